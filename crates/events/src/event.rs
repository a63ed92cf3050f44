//! The events.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{RefuseReason, Session, SessionState, StopReason};

/// Something that happened. Which worker it happened on is said by the [`Record`](crate::Record) around it.
///
/// The sessions' keys are BrandMeister's; what it sends of repeaters and of the system is not public, so
/// those keys are our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "Event", rename_all_fields = "PascalCase")]
#[non_exhaustive]
pub enum Event {
    /// A transmission began.
    #[serde(rename = "Session-Start")]
    SessionStart {
        /// Which.
        #[serde(flatten)]
        session: Session,
        /// Where it goes; `None`, the word, while not known.
        route: String,
    },
    /// A transmission is over.
    #[serde(rename = "Session-Stop")]
    SessionStop {
        /// Which.
        #[serde(flatten)]
        session: Session,
        /// [`SessionState::Final`].
        state: SessionState,
        /// Bursts of it: a voice call's length in units of 60 ms.
        data_count: u32,
        /// Why.
        reason: StopReason,
    },
    /// A transmission that was refused is carried after all: the other talker has ended.
    #[serde(rename = "Session-Carried")]
    SessionCarried {
        /// Which.
        #[serde(flatten)]
        session: Session,
    },
    /// A transmission that began is carried nowhere, unless [`Self::SessionCarried`] follows.
    #[serde(rename = "Session-Refused")]
    SessionRefused {
        /// Which.
        #[serde(flatten)]
        session: Session,
        /// Why.
        reason: RefuseReason,
    },
    /// A talker has said what it is called.
    #[serde(rename = "Talker-Alias")]
    TalkerAlias {
        /// The transmission it said so in.
        #[serde(rename = "SessionID")]
        session_id: Uuid,
        /// Its radio ID.
        #[serde(rename = "SourceID")]
        source_id: u32,
        /// What it said: up to 31 characters, none of them a control character.
        talker_alias: String,
    },
    /// Calls of a radio, and logins of devices with its ID, are refused from now on.
    #[serde(rename = "Radio-Banned")]
    RadioBanned {
        /// Its ID.
        #[serde(rename = "RadioID")]
        radio_id: u32,
        /// Until when, RFC 3339; left out for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
        /// By whom: `operator` or `keyed up too often`.
        by: String,
        /// Why, in words.
        reason: String,
    },
    /// A ban is over.
    #[serde(rename = "Radio-Unbanned")]
    RadioUnbanned {
        /// The radio's ID.
        #[serde(rename = "RadioID")]
        radio_id: u32,
        /// Why, in words.
        reason: String,
    },
    /// A repeater logged in and has been configured.
    #[serde(rename = "Repeater-Connected")]
    RepeaterConnected {
        /// Its ID.
        #[serde(rename = "ContextID")]
        context_id: u32,
        /// Whence.
        address: SocketAddr,
        /// Its call sign.
        call: String,
        /// Its software and package, in its own words.
        software: String,
    },
    /// A repeater is gone.
    #[serde(rename = "Repeater-Disconnected")]
    RepeaterDisconnected {
        /// Its ID.
        #[serde(rename = "ContextID")]
        context_id: u32,
        /// Where it was.
        address: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// A repeater may not log in.
    #[serde(rename = "Repeater-Refused")]
    RepeaterRefused {
        /// The ID it claimed.
        #[serde(rename = "ContextID")]
        context_id: u32,
        /// Whence.
        address: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// A worker is ready, for the first time or again.
    #[serde(rename = "Worker-Started")]
    WorkerStarted {
        /// Its process.
        pid: u32,
    },
    /// A worker's process ended without being told to.
    #[serde(rename = "Worker-Died")]
    WorkerDied {
        /// What was its process.
        pid: u32,
        /// How it ended, in words.
        reason: String,
    },
    /// The cluster is ready.
    #[serde(rename = "System-Started")]
    SystemStarted {
        /// The software's version.
        version: String,
        /// How many workers it has.
        workers: u16,
    },
    /// Another host of the network can be reached.
    #[serde(rename = "Host-Reached")]
    HostReached {
        /// Its ID: that of its first node.
        #[serde(rename = "HostID")]
        host_id: u32,
        /// How many hosts away it is: 1 where it is heard itself.
        hops: u8,
    },
    /// Another host can be reached no longer.
    #[serde(rename = "Host-Gone")]
    HostGone {
        /// Its ID.
        #[serde(rename = "HostID")]
        host_id: u32,
    },
    /// Events of the node that are missing here: the broker was away or slow for too long.
    #[serde(rename = "Events-Lost")]
    EventsLost {
        /// How many.
        count: u64,
    },
    /// The cluster was told to stop.
    #[serde(rename = "System-Stopping")]
    SystemStopping {
        /// By what, in words.
        reason: String,
    },
}

impl Event {
    /// The MQTT topic of this event on a node: `Master/<node>/Session`, `/Repeater` or `/System`.
    #[must_use]
    pub fn topic(&self, node: u32) -> String {
        let kind = match self {
            Self::SessionStart { .. }
            | Self::SessionStop { .. }
            | Self::SessionRefused { .. }
            | Self::SessionCarried { .. }
            | Self::TalkerAlias { .. } => "Session",
            Self::RepeaterConnected { .. }
            | Self::RepeaterDisconnected { .. }
            | Self::RepeaterRefused { .. } => "Repeater",
            Self::WorkerStarted { .. }
            | Self::WorkerDied { .. }
            | Self::SystemStarted { .. }
            | Self::SystemStopping { .. }
            | Self::HostReached { .. }
            | Self::HostGone { .. }
            | Self::EventsLost { .. }
            | Self::RadioBanned { .. }
            | Self::RadioUnbanned { .. } => "System",
        };
        format!("Master/{node}/{kind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkType, MMDVM_HOST, SessionKind, session_type};

    fn session() -> Session {
        Session {
            link_name: MMDVM_HOST.to_owned(),
            link_type: LinkType::Repeater,
            context_id: 262_137_001,
            session_id: Uuid::nil(),
            session_type: session_type(true, SessionKind::Voice),
            slot: 2,
            source_id: 2_621_370,
            destination_id: 91,
            emergency: false,
        }
    }

    fn check(event: &Event, topic: &str, json: &str) {
        assert_eq!(serde_json::to_string(event).unwrap(), json);
        assert_eq!(&serde_json::from_str::<Event>(json).unwrap(), event);
        assert_eq!(event.topic(25011), topic);
    }

    #[test]
    fn sessions_have_brandmeisters_keys() {
        const SESSION: &str = concat!(
            r#""LinkName":"MMDVM Host","LinkType":1,"ContextID":262137001,"#,
            r#""SessionID":"00000000-0000-0000-0000-000000000000","SessionType":7,"Slot":2,"#,
            r#""SourceID":2621370,"DestinationID":91"#
        );
        let start = Event::SessionStart { session: session(), route: "None".to_owned() };
        let json = format!(r#"{{"Event":"Session-Start",{SESSION},"Route":"None"}}"#);
        check(&start, "Master/25011/Session", &json);
        let reason = StopReason::ContextGone;
        let stop =
            Event::SessionStop { session: session(), state: SessionState::Final, data_count: 50, reason };
        let json = format!(
            r#"{{"Event":"Session-Stop",{SESSION},"State":2,"DataCount":50,"Reason":"context gone"}}"#
        );
        check(&stop, "Master/25011/Session", &json);
        let session = Session { emergency: true, ..session() };
        let refused = Event::SessionRefused { session, reason: RefuseReason::NoRoute };
        let json = format!(r#"{{"Event":"Session-Refused",{SESSION},"Emergency":true,"Reason":"no_route"}}"#);
        check(&refused, "Master/25011/Session", &json);
        check(
            &Event::TalkerAlias { session_id: Uuid::nil(), source_id: 7, talker_alias: "N0CALL".to_owned() },
            "Master/25011/Session",
            concat!(
                r#"{"Event":"Talker-Alias","SessionID":"00000000-0000-0000-0000-000000000000","#,
                r#""SourceID":7,"TalkerAlias":"N0CALL"}"#
            ),
        );
    }

    #[test]
    fn bans() {
        let (by, reason) = ("operator".to_owned(), "noise".to_owned());
        check(
            &Event::RadioBanned { radio_id: 7, until: None, by, reason: reason.clone() },
            "Master/25011/System",
            r#"{"Event":"Radio-Banned","RadioID":7,"By":"operator","Reason":"noise"}"#,
        );
        check(
            &Event::RadioUnbanned { radio_id: 7, reason },
            "Master/25011/System",
            r#"{"Event":"Radio-Unbanned","RadioID":7,"Reason":"noise"}"#,
        );
    }

    #[test]
    fn hosts() {
        check(
            &Event::HostReached { host_id: 25_021, hops: 1 },
            "Master/25011/System",
            r#"{"Event":"Host-Reached","HostID":25021,"Hops":1}"#,
        );
        check(
            &Event::HostGone { host_id: 25_021 },
            "Master/25011/System",
            r#"{"Event":"Host-Gone","HostID":25021}"#,
        );
    }

    #[test]
    fn repeaters_and_system() {
        check(&Event::EventsLost { count: 3 }, "Master/25011/System", r#"{"Event":"Events-Lost","Count":3}"#);
        let address = "[2001:db8::1]:62032".parse().unwrap();
        check(
            &Event::RepeaterConnected {
                context_id: 7,
                address,
                call: "N0CALL".to_owned(),
                software: "a \"b\"\n".to_owned(),
            },
            "Master/25011/Repeater",
            concat!(
                r#"{"Event":"Repeater-Connected","ContextID":7,"Address":"[2001:db8::1]:62032","#,
                r#""Call":"N0CALL","Software":"a \"b\"\n"}"#
            ),
        );
        check(
            &Event::RepeaterRefused { context_id: 7, address, reason: "wrong password".to_owned() },
            "Master/25011/Repeater",
            concat!(
                r#"{"Event":"Repeater-Refused","ContextID":7,"Address":"[2001:db8::1]:62032","#,
                r#""Reason":"wrong password"}"#
            ),
        );
        check(
            &Event::WorkerDied { pid: 9, reason: "killed by signal 9".to_owned() },
            "Master/25011/System",
            r#"{"Event":"Worker-Died","Pid":9,"Reason":"killed by signal 9"}"#,
        );
        check(
            &Event::SystemStarted { version: "0.1.0".to_owned(), workers: 2 },
            "Master/25011/System",
            r#"{"Event":"System-Started","Version":"0.1.0","Workers":2}"#,
        );
    }
}
