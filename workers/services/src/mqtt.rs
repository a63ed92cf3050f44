//! Events to a broker elsewhere: one MQTT connection a node, which tells what happens on it and is its sign of life.
//!
//! Nothing waits for the broker. What it does not take lies in a bounded queue ([`outbox`]); what finds no room there
//! is dropped, and told as a number. A connection that is lost is made anew, later and later ([`crate::backoff`]).

mod connection;
mod outbox;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use config::{Secret, Store, Url};
use events::Record;
use metrics::BrokerView;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use self::outbox::Outbox;
use crate::facts::READY;
use crate::relay::Relay;
use crate::services::{Services, Shared};
use crate::uplink::Uplink;
use crate::{Error, log};

/// How long the services' start waits for the first connections.
const FIRST: Duration = Duration::from_secs(1);
/// How long the last events may take to leave.
const LAST: Duration = Duration::from_millis(500);

/// The way to the broker, the same for all nodes.
pub(crate) struct Way {
    uplink: Uplink,
    relay: Relay,
    login: Option<(String, Secret)>,
}

/// The broker, as all nodes see it.
pub(crate) struct Broker {
    way: Rc<Way>,
    services: Weak<RefCell<Services>>,
    /// By slot.
    nodes: BTreeMap<u8, Rc<Node>>,
    /// Connections, those of nodes that are gone among them.
    tasks: Vec<JoinHandle<()>>,
}

/// One node and its connection.
struct Node {
    slot: u8,
    id: u32,
    outbox: Outbox,
    published: Cell<u64>,
    /// Connected, or why not; `None` before the first attempt has come to its end.
    state: RefCell<Option<Result<(), String>>>,
    /// That is known now.
    tried: Notify,
}

impl Way {
    /// Takes what is configured; `None` for the events that are the services' own. To be called before the sandbox is
    /// entered, within the runtime.
    pub(crate) fn new(store: &Store) -> Result<Option<Self>, Error> {
        let remote = match &store.url {
            Url::Embedded => return Ok(None),
            Url::Managed => return Err(Error::Orders("a managed broker without its address".to_owned())),
            Url::Remote(remote) => remote,
        };
        let uplink = Uplink::new(remote, store.ca_file.as_deref())?;
        let relay = Relay::bind().map_err(Error::system("binding a port on 127.0.0.1 for the relay"))?;
        Ok(Some(Self { uplink, relay, login: remote.user.clone().zip(store.password.clone()) }))
    }

    /// The TCP ports that are connected to, for the sandbox.
    pub(crate) fn ports(&self) -> Vec<u16> {
        [self.uplink.ports(), vec![self.relay.address().port()]].concat()
    }
}

/// Publishes what happens from now on, and waits a moment for the first connections.
pub(crate) async fn begin(shared: &Shared, way: Way) {
    let nodes: Vec<Rc<Node>> = {
        let services = &mut *shared.borrow_mut();
        let (way, nodes, tasks) = (Rc::new(way), BTreeMap::new(), Vec::new());
        let mut broker = Broker { way, services: Rc::downgrade(shared), nodes, tasks };
        broker.follow(&services.host.nodes());
        services.bus.broker.insert(broker).nodes.values().cloned().collect()
    };
    let all_connected = async {
        for node in nodes {
            // The broker may be starting as well.
            while !matches!(*node.state.borrow(), Some(Ok(()))) {
                node.tried.notified().await;
            }
        }
    };
    // What is not known by then is told as a fact later.
    let _ = timeout(FIRST, all_connected).await;
    shared.borrow_mut().look_at_broker();
}

impl Broker {
    /// These are the nodes now, by slot.
    pub(crate) fn follow(&mut self, nodes: &BTreeMap<u8, u32>) {
        self.nodes.retain(|slot, node| {
            let stays = nodes.get(slot) == Some(&node.id);
            if !stays {
                node.outbox.close();
            }
            stays
        });
        self.tasks.retain(|task| !task.is_finished());
        for (&slot, &id) in nodes {
            if self.nodes.contains_key(&slot) {
                continue;
            }
            let node = Rc::new(Node::new(slot, id));
            self.nodes.insert(slot, Rc::clone(&node));
            let (way, services) = (Rc::clone(&self.way), Weak::clone(&self.services));
            self.tasks.push(spawn_local(connection::keep(node, way, services)));
        }
    }

    /// Tells of a record; `json` is its text.
    pub(crate) fn publish(&self, record: &Record, json: &str) {
        if let Some(node) = self.nodes.values().find(|node| node.id == record.node) {
            node.outbox.push(outbox::Entry::new(record, json.to_owned()));
        }
    }

    /// The fact `events`.
    fn fact(&self) -> String {
        let states = || self.nodes.values().map(|node| node.state.borrow());
        let trouble = states().find_map(|state| state.as_ref()?.as_ref().err().cloned());
        match trouble {
            Some(trouble) => trouble,
            // A node that has just come does not make the others' work undone.
            None if states().any(|state| state.is_some()) => READY.to_owned(),
            None => format!("{}: not connected yet", self.way.uplink.address()),
        }
    }

    /// How the connection of a worker's node is.
    pub(crate) fn view(&self, slot: u8) -> Option<BrokerView> {
        let node = self.nodes.get(&slot)?;
        let connected = matches!(*node.state.borrow(), Some(Ok(())));
        Some(BrokerView { connected, published: node.published.get(), dropped: node.outbox.dropped() })
    }

    /// There will be no more events: lets the last ones leave, and says that all nodes are gone.
    pub(crate) async fn farewell(self) {
        self.nodes.values().for_each(|node| node.outbox.close());
        let all = async {
            for task in self.tasks {
                let _ = task.await;
            }
        };
        let _ = timeout(LAST, all).await;
    }
}

impl Node {
    fn new(slot: u8, id: u32) -> Self {
        let (state, tried) = (RefCell::new(None), Notify::new());
        Self { slot, id, outbox: Outbox::default(), published: Cell::new(0), state, tried }
    }
}

impl Services {
    /// Tells the supervisor how the broker is, where events go to one, and the log where that is news.
    fn look_at_broker(&mut self) {
        let Some(broker) = &self.bus.broker else { return };
        let fact = broker.fact();
        if self.facts.get("events") != Some(&fact) {
            log::line(format_args!("services: events: {fact}"));
            self.facts.set("events", &fact);
        }
    }
}

impl std::fmt::Debug for Broker {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("address", &self.way.uplink.address()).finish_non_exhaustive()
    }
}
