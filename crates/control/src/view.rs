//! What the services show of contexts, calls and devices.

use std::net::SocketAddr;

use events::RefuseReason;
use schedule::Timed;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Something that TS1 and TS2 have each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerSlot<T> {
    /// Of TS1.
    pub ts1: T,
    /// Of TS2.
    pub ts2: T,
}

/// A context: one logged-in repeater.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextInfo {
    /// Its ID.
    pub id: u32,
    /// The slot of the worker that has it.
    pub worker: u16,
    /// Its shard.
    pub shard: u16,
    /// Its stack, e.g. `mmdvm`.
    pub stack: String,
    /// Its call sign; empty while not told.
    pub call: String,
    /// Whence it speaks.
    pub address: SocketAddr,
    /// Its software and package, in its own words.
    pub software: String,
    /// The slots it serves.
    pub slots: SlotsServed,
    /// How far its login is.
    pub state: ContextState,
    /// Static talkgroups.
    pub statics: PerSlot<Vec<u32>>,
    /// Dynamic talkgroups.
    pub dynamics: PerSlot<Vec<Dynamic>>,
    /// Talkgroups that neither reach it nor can be keyed at it.
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot at most.
    pub single: bool,
    /// Receive frequency, Hz.
    pub rx_hz: u32,
    /// Transmit frequency, Hz.
    pub tx_hz: u32,
    /// DMR colour code, 0 to 15.
    pub colour_code: u8,
}

/// The slots that a context serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotsServed {
    /// A duplex repeater.
    Both,
    /// TS1 alone.
    Ts1,
    /// TS2 alone.
    Ts2,
    /// A simplex hotspot.
    Simplex,
}

/// How far a context's login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContextState {
    /// Its password was right; its configuration is awaited.
    Configuring,
    /// Its calls are carried.
    Connected,
}

/// A dynamic talkgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// Which.
    pub talkgroup: u32,
    /// How long it stays without a further key up, in seconds; `None` until another one is keyed, at a simplex
    /// hotspot.
    pub seconds_left: Option<u32>,
}

/// A session that runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallInfo {
    /// Its UUID.
    pub session: Uuid,
    /// The slot of the worker that it came in at.
    pub worker: u16,
    /// The node where it began: that worker's, or one of another host.
    pub node: u32,
    /// ID of the context that it came from; `None` where that is at another host.
    pub context: Option<u32>,
    /// The timeslot it came from, 1 or 2.
    pub slot: u8,
    /// Radio ID of the talker.
    pub source: u32,
    /// Talkgroup or radio ID called.
    pub destination: u32,
    /// Whether `destination` is a talkgroup.
    pub group: bool,
    /// Since its first burst.
    pub seconds: f64,
    /// Why nobody hears it, while that is so.
    pub refused: Option<RefuseReason>,
}

/// A device of the registry; never its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its ID.
    pub id: u32,
    /// Its call sign.
    pub call: Option<String>,
    /// Whether it has a password of its own.
    pub has_password: bool,
    /// Static talkgroups of TS1.
    pub ts1: Vec<u32>,
    /// Static talkgroups of TS2.
    pub ts2: Vec<u32>,
    /// Talkgroups that are static at times.
    pub timed: Vec<Timed>,
    /// Blocked talkgroups.
    pub blocked: Vec<u32>,
    /// Whether it has one dynamic talkgroup a slot at most.
    pub single: bool,
}

/// The devices of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// By ID.
    pub devices: Vec<DeviceInfo>,
    /// What is wrong with records that could not be read.
    pub unreadable: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_documented() {
        let call = CallInfo {
            session: Uuid::nil(),
            worker: 1,
            node: 25012,
            context: Some(262_137_001),
            slot: 2,
            source: 2_621_370,
            destination: 91,
            group: true,
            seconds: 1.5,
            refused: Some(RefuseReason::Taken),
        };
        let expected = concat!(
            r#"{"session":"00000000-0000-0000-0000-000000000000","worker":1,"node":25012,"context":262137001,"#,
            r#""slot":2,"source":2621370,"destination":91,"group":true,"seconds":1.5,"refused":"taken"}"#
        );
        assert_eq!(serde_json::to_string(&call).unwrap(), expected);
        let context = ContextInfo {
            id: 262_137_001,
            worker: 1,
            shard: 63,
            stack: "mmdvm".to_owned(),
            call: "N0CALL".to_owned(),
            address: "[::1]:62032".parse().unwrap(),
            software: "20260101 MMDVM".to_owned(),
            slots: SlotsServed::Ts2,
            state: ContextState::Connected,
            statics: PerSlot::default(),
            dynamics: PerSlot { ts1: vec![], ts2: vec![Dynamic { talkgroup: 91, seconds_left: Some(600) }] },
            blocked: vec![666],
            single: true,
            rx_hz: 430_000_000,
            tx_hz: 439_000_000,
            colour_code: 1,
        };
        let expected = concat!(
            r#"{"id":262137001,"worker":1,"shard":63,"stack":"mmdvm","call":"N0CALL","address":"[::1]:62032","#,
            r#""software":"20260101 MMDVM","slots":"ts2","state":"connected","statics":{"ts1":[],"ts2":[]},"#,
            r#""dynamics":{"ts1":[],"ts2":[{"talkgroup":91,"seconds_left":600}]},"blocked":[666],"single":true,"#,
            r#""rx_hz":430000000,"tx_hz":439000000,"colour_code":1}"#
        );
        assert_eq!(serde_json::to_string(&context).unwrap(), expected);
    }
}
