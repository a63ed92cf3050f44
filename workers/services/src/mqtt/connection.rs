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
use crate::calls;
use crate::relay::{Link, copy};
use crate::services::Services;

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
            let services = services.borrow();
            for (report, refused) in services.calls.running(self.slot) {
                if waiting.contains(&Uuid::from_u128(report.session.uuid())) {
                    continue;
                }
                let link = services.link(report.context);
                let refused = refused.map(|reason| calls::refused_event(report, link, reason));
                for event in [Some(calls::start_event(report, link)), refused].into_iter().flatten() {
                    // A session's key begins with its start: see SessionId.
                    let record = self.record(report.session.key >> 12, event);
                    entries.extend(record.to_json().ok().map(|json| Entry::new(&record, json)));
                }
            }
            self.outbox.resume(entries);
        }
        self.is(services, Ok(()));
    }

    /// From now on it is so.
    fn is(&self, services: &Weak<RefCell<Services>>, state: Result<(), String>) {
        self.state.replace(Some(state));
        self.tried.notify_one();
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

#[cfg(test)]
mod tests {
    use config::{Store, Url};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    /// How a connection to a broker ends that says these, each to a connection of its own.
    fn endings(all: &[Vec<u8>]) -> Vec<String> {
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url: Url = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
            let store = Store { url, password_file: None, ca_file: None, password: None };
            let way = Way::new(&store).unwrap().unwrap();
            let serve = async {
                for words in all {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    // Our CONNECT is never longer.
                    let _ = stream.read(&mut [0; 512]).await;
                    let _ = stream.write_all(words).await;
                    let _ = stream.shutdown().await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            };
            let connect = async {
                let mut endings = Vec::new();
                for _ in all {
                    let node = Node::new(0, 25_011);
                    let ended = match open(&node, &way).await {
                        Ok(open) => node.serve(open, &way).await,
                        Err(reason) => Ended::Lost(reason),
                    };
                    let Ended::Lost(reason) = ended else { panic!("it was not closed") };
                    endings.push(reason);
                }
                endings
            };
            tokio::join!(connect, serve).0
        })
    }

    #[test]
    fn who_is_no_broker_or_refuses_us_is_told() {
        let refusal = |code| vec![0x20, 2, 0, code];
        let said = endings(&[
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            refusal(5),
            refusal(3),
            vec![],
            refusal(0),
        ]);
        assert_eq!(
            said,
            [
                "what it says is not MQTT; is this the broker's port?",
                "the broker lets nobody in without a name; write user@ before the host in events.url",
                "the broker refuses us: ServiceUnavailable",
                "it has ended the connection",
                "it has ended the connection",
            ]
        );
    }

    /// Whatever a broker says, the connection ends and the services do not.
    #[test]
    fn a_hostile_broker_ends_its_connection_alone() {
        let mut state = 1_u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let words: Vec<Vec<u8>> = (0..400)
            .map(|_| {
                let mut words = vec![0x20, 2, 0, 0];
                for _ in 0..draw() % 5 {
                    // A packet of some kind with a length that is right, as often as not.
                    let len = draw() % 12;
                    let said = if draw() < 128 { len } else { draw() };
                    words.extend([draw(), said]);
                    words.extend((0..len).map(|_| draw() % 7));
                }
                words
            })
            .collect();
        assert_eq!(endings(&words).len(), words.len());
    }
}
