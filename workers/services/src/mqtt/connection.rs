//! The connection of one node: kept up, and told on it what lies in the node's outbox.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use events::{Event, NodeState, NodeStatus, Record};
use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, EventLoop, LastWill, MqttOptions, Outgoing,
    QoS, StateError,
};
use sys::Clocks;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::outbox::{Entry, Next};
use super::{LAST, Node, Way};
use crate::backoff::Backoff;
use crate::relay::{Link, copy};
use crate::services::Services;
use crate::{calls, log};

/// A broker that says nothing is asked so often, and given up when it has not answered until the next time.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// How long a step of the connection may take, in seconds.
const PATIENCE_S: u64 = 5;

/// Why a connection is over.
enum Ended {
    /// The node is gone, and that was told.
    Closed,
    /// The broker is gone, for a reason.
    Lost(String),
}

/// Keeps a node connected until its outbox is closed.
pub(super) async fn keep(node: Rc<Node>, way: Rc<Way>, services: Weak<RefCell<Services>>) {
    let mut backoff = Backoff::new();
    loop {
        let opened = tokio::select! {
            biased;
            () = node.outbox.closed() => return,
            opened = open(&node, &way) => opened,
        };
        let began = Instant::now();
        let ended = match opened {
            Ok(open) => {
                node.begin(&services);
                node.serve(open, &way).await
            }
            Err(reason) => Ended::Lost(reason),
        };
        let Ended::Lost(reason) = ended else { return };
        node.is(&services, Err(format!("{}: {reason}", way.uplink.address())));
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            () = node.outbox.closed() => return,
            () = sleep(backoff.next(began.elapsed(), chance)) => {}
        }
    }
}

/// A connection that the broker has accepted.
struct Open {
    client: AsyncClient,
    events: EventLoop,
    link: Link,
}

async fn open(node: &Node, way: &Way) -> Result<Open, String> {
    let link = way.relay.open(&way.uplink, copy).await.map_err(|error| match error {
        crate::Error::Unreachable { reason, .. } => reason,
        other => other.to_string(),
    })?;
    let here = way.relay.address();
    let mut options = MqttOptions::new(format!("bmctl-{}", node.id), here.ip().to_string(), here.port());
    options.set_keep_alive(KEEP_ALIVE);
    let offline = NodeStatus { node: node.id, state: NodeState::Offline };
    options.set_last_will(LastWill::new(offline.topic(), offline.to_json(), QoS::AtLeastOnce, true));
    if let Some((user, password)) = &way.login {
        options.set_credentials(user, password.expose());
    }
    let (client, mut events) = AsyncClient::new(options, 1);
    events.network_options.set_connection_timeout(PATIENCE_S).set_tcp_nodelay(true);
    // The first that it tells is that the broker has accepted.
    events.poll().await.map_err(|error| why(&error, way))?;
    Ok(Open { client, events, link })
}

impl Node {
    /// It is connected: who listens is told what goes on.
    fn begin(&self, services: &Weak<RefCell<Services>>) {
        if let Some(services) = services.upgrade() {
            let waiting = self.outbox.beginning();
            let mut entries = Vec::new();
            for (report, refused) in services.borrow().calls.running(self.slot) {
                if waiting.contains(&Uuid::from_u128(report.session.uuid())) {
                    continue;
                }
                let refused = refused.map(|reason| calls::refused_event(report, reason));
                for event in [Some(calls::start_event(report)), refused].into_iter().flatten() {
                    // A session's key begins with its start: see SessionId.
                    let record = self.record(report.session.key >> 12, event);
                    entries.extend(record.to_json().ok().map(|json| Entry::new(&record, json)));
                }
            }
            self.outbox.resume(entries);
        }
        self.is(services, Ok(()));
    }

    /// Tells the supervisor, and the log where that is news.
    fn is(&self, services: &Weak<RefCell<Services>>, state: Result<(), String>) {
        let before = self.state.replace(Some(state.clone()));
        self.tried.notify_one();
        if before.as_ref() != Some(&state) {
            match state {
                Err(reason) => log::line(format_args!("services: events of node {}: {reason}", self.id)),
                Ok(()) if before.is_some() => {
                    log::line(format_args!("services: events of node {}: connected again", self.id));
                }
                Ok(()) => {}
            }
        }
        if let Some(services) = services.upgrade() {
            services.borrow_mut().look_at_broker();
        }
    }

    async fn serve(&self, open: Open, way: &Way) -> Ended {
        let Open { client, mut events, link } = open;
        let (given, written) = (Cell::new(0_u64), Cell::new(0_u64));
        // Neither is ever left in the middle of a step, which might lose a part of it.
        let write = async {
            loop {
                match events.poll().await {
                    Ok(rumqttc::Event::Outgoing(Outgoing::Publish(_))) => {
                        written.set(written.get() + 1);
                        self.published.set(self.published.get() + 1);
                    }
                    Ok(rumqttc::Event::Outgoing(Outgoing::Disconnect)) => return Ended::Closed,
                    Ok(_) => {}
                    Err(error) => return Ended::Lost(why(&error, way)),
                }
            }
        };
        let ended = tokio::select! {
            biased;
            ended = write => ended,
            // The client lives as long as its loop.
            Err(_) = self.give(&client, &given) => Ended::Lost("it has ended the connection".to_owned()),
        };
        match ended {
            Ended::Lost(_) => self.outbox.lost(given.get().saturating_sub(written.get())),
            Ended::Closed => {
                // The end of our side takes what was said before it along.
                drop(events);
                let _ = timeout(LAST, link.ended()).await;
            }
        }
        ended
    }

    /// Gives the client all that there is to tell, and at the end that this node is gone.
    async fn give(&self, client: &AsyncClient, given: &Cell<u64>) -> Result<(), ClientError> {
        let status = async |state| {
            let status = NodeStatus { node: self.id, state };
            given.set(given.get() + 1);
            client.publish(status.topic(), QoS::AtMostOnce, true, status.to_json()).await
        };
        status(NodeState::Online).await?;
        while let Some(next) = self.outbox.next().await {
            let (topic, json) = match &next {
                Next::Event(_, entry) => (entry.topic.clone(), entry.json.clone()),
                Next::Lost(count) => {
                    let record = self.record(Clocks::now().wall_us, Event::EventsLost { count: *count });
                    (record.topic(), record.to_json().unwrap_or_default())
                }
            };
            client.publish(topic, QoS::AtMostOnce, false, json).await?;
            given.set(given.get() + 1);
            match next {
                Next::Event(number, _) => self.outbox.told(number),
                Next::Lost(count) => self.outbox.told_lost(count),
            }
        }
        status(NodeState::Offline).await?;
        client.disconnect().await?;
        std::future::pending().await
    }

    fn record(&self, time_us: u64, event: Event) -> Record {
        Record { time_us, node: self.id, worker: Some(self.slot.into()), event }
    }
}

/// In words, with what to do.
fn why(error: &ConnectionError, way: &Way) -> String {
    use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => match &way.login {
            Some((user, _)) => {
                format!("the broker does not let {user} in; see the user in events.url, and its password")
            }
            None => "the broker lets nobody in without a name; write user@ before the host in events.url"
                .to_owned(),
        },
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses us: {code:?}"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            format!("no answer within {PATIENCE_S} s; does it hang, and is it an MQTT broker?")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "it answers no more; does it hang?".to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) | ConnectionError::Io(_) => {
            "it has ended the connection".to_owned()
        }
        ConnectionError::MqttState(StateError::Deserialization(_)) | ConnectionError::NotConnAck(_) => {
            "what it says is not MQTT; is this the broker's port?".to_owned()
        }
        other => other.to_string(),
    }
}
