//! What can be asked of a running cluster, and the form of an answer.

use std::fmt;

use config::Secret;
use schedule::Schedule;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{RegistryKey, RegistryPut, Right};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The supervisor, on [`Paths::control`](crate::Paths::control).
    Supervisor,
    /// The services, on [`Paths::services`](crate::Paths::services).
    Services,
}

/// A request that knows to whom it goes.
pub trait Request: Serialize {
    /// To whom.
    const PEER: Peer;
}

/// What the supervisor is asked: `{"request":"status"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SupervisorRequest {
    /// How are things? Answered by [`Status`](crate::Status).
    Status,
    /// Stop the cluster. Answered by `null` when the stop has begun; the socket is gone when it is done.
    Stop,
    /// How did processes end lately? Answered by a list of [`DeathInfo`](crate::DeathInfo), the newest first.
    Deaths,
    /// Put a new process in a worker's place, or the services' (`null`). Answered by `null` when that has begun, as all
    /// that follow; [`Self::Operation`] tells how it goes on.
    Restart {
        /// Slot of the worker.
        worker: Option<u8>,
    },
    /// Let other workers serve what this one serves, and end it.
    Drain {
        /// Its slot.
        worker: u8,
    },
    /// Have so many workers.
    Scale {
        /// How many.
        workers: u16,
    },
    /// Read the configuration again, and put it in force. Answered by the list of what changes.
    Reload,
    /// Put the programs that lie on disk now in the place of those that run.
    Upgrade,
    /// How does the last thing go on that was ordered? Answered by [`OperationInfo`](crate::OperationInfo) or `null`.
    Operation,
}

impl Request for SupervisorRequest {
    const PEER: Peer = Peer::Supervisor;
}

/// What the services are asked: `{"request":"kick","id":2621370}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ServicesRequest {
    /// Put a device into the registry. Answered by [`DeviceInfo`](crate::DeviceInfo); an error if it is there
    /// already.
    DeviceAdd {
        /// Its ID, up to nine digits.
        id: u32,
        /// Its own password; without one the configuration's is good.
        #[serde(default)]
        password: Option<Secret>,
        /// Its call sign.
        #[serde(default)]
        call: Option<String>,
        /// Static talkgroups of TS1.
        #[serde(default)]
        ts1: Vec<u32>,
        /// Static talkgroups of TS2.
        #[serde(default)]
        ts2: Vec<u32>,
        /// Talkgroups that neither reach it nor can be keyed at it.
        #[serde(default)]
        blocked: Vec<u32>,
        /// One dynamic talkgroup a slot at most.
        #[serde(default)]
        single: bool,
    },
    /// Take a device out of the registry. Answered by `null`; an error if it is not there.
    DeviceRemove {
        /// Its ID.
        id: u32,
    },
    /// All devices of the registry. Answered by [`DeviceList`](crate::DeviceList).
    DeviceList,
    /// Give a device of the registry another password. Answered by [`DeviceInfo`](crate::DeviceInfo).
    DevicePassword {
        /// Its ID.
        id: u32,
        /// The new one.
        password: Secret,
    },
    /// Block a talkgroup for a device, which is added to the registry where it is not there. Answered by
    /// [`DeviceInfo`](crate::DeviceInfo).
    DeviceBlock {
        /// The device's ID.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
    },
    /// Block a talkgroup no longer. Answered by [`DeviceInfo`](crate::DeviceInfo); an error if it is not blocked.
    DeviceUnblock {
        /// The device's ID.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
    },
    /// Whether a device has one dynamic talkgroup a slot at most; it is added to the registry where it is not
    /// there. Answered by [`DeviceInfo`](crate::DeviceInfo).
    DeviceSingle {
        /// The device's ID.
        id: u32,
        /// Whether.
        on: bool,
    },
    /// Give a device a static talkgroup, always or at times; it is added to the registry where it is not there.
    /// Answered by [`DeviceInfo`](crate::DeviceInfo).
    Subscribe {
        /// The device's ID.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
        /// On which slot, 1 or 2.
        slot: u8,
        /// When; `None` for always.
        #[serde(default)]
        schedule: Option<Schedule>,
    },
    /// Take a static talkgroup from a device, with all its times. Answered by
    /// [`DeviceInfo`](crate::DeviceInfo); an error if it has none.
    Unsubscribe {
        /// The device's ID.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
        /// On which slot, 1 or 2.
        slot: u8,
    },
    /// Keep a radio or device out. Answered by [`BanInfo`](crate::BanInfo); it takes the place of an earlier ban.
    Ban {
        /// The ID.
        id: u32,
        /// For how long, seconds; `None` for ever.
        #[serde(default)]
        seconds: Option<u64>,
        /// Why, in words.
        #[serde(default)]
        reason: String,
    },
    /// Lift a ban. Answered by `null`; an error if there is none.
    Unban {
        /// The ID.
        id: u32,
    },
    /// Who is banned? Answered by a list of [`BanInfo`](crate::BanInfo).
    Bans,
    /// End the calls that a context sends or hears. Answered by their number; an error if it is not logged in.
    DropCall {
        /// The context's ID.
        id: u32,
        /// On this slot, 1 or 2; `None` for both.
        #[serde(default)]
        slot: Option<u8>,
    },
    /// End the dynamic talkgroups of a context. Answered by their number; an error if it is not logged in.
    DropDynamic {
        /// The context's ID.
        id: u32,
        /// Those of this slot, 1 or 2; `None` for both.
        #[serde(default)]
        slot: Option<u8>,
    },
    /// Who was heard last? Answered by a list of [`HeardInfo`](crate::HeardInfo), the newest first.
    LastHeard {
        /// How many at most.
        count: u32,
    },
    /// Who is logged in? Answered by a list of [`ContextInfo`](crate::ContextInfo).
    Contexts,
    /// Who is talking? Answered by a list of [`CallInfo`](crate::CallInfo).
    Calls,
    /// Which other networks are there? Answered by a list of [`PeerInfo`](crate::PeerInfo); an error if the stack is not on.
    Peers,
    /// Which hosts is this one joined with, and how well? Answered by [`HostsInfo`](crate::HostsInfo); an error if it is
    /// joined with none.
    Nodes,
    /// Throw out the contexts of an ID. Answered by `null`; an error if there is none.
    Kick {
        /// The ID.
        id: u32,
    },
    /// How far do the cluster and the registry that it shares agree? Answered by
    /// [`RegistryInfo`](crate::RegistryInfo).
    RegistryStatus,
    /// Which is right, the registry or the cluster's copy of it? Answered by `null`; an error if there is no doubt.
    RegistryConfirm {
        /// That one.
        right: Right,
    },
    /// A record of the registry. Answered by its fields ([`Fields`](crate::Fields)), or `null` where there is none.
    RegistryGet {
        /// Name of its space, in any case.
        space: String,
        /// Its key: a number, or a name.
        key: Value,
        /// Whether passwords are to be shown; else each is `***`.
        #[serde(default)]
        secrets: bool,
    },
    /// Records of a space in the order of their keys. Answered by [`RegistryPage`](crate::RegistryPage).
    RegistryPage {
        /// Name of the space, in any case.
        space: String,
        /// Those after this key; `None` from the first one on.
        #[serde(default)]
        after: Option<Value>,
        /// How many at most: 1 to 1000.
        most: usize,
        /// Whether passwords are to be shown; else each is `***`.
        #[serde(default)]
        secrets: bool,
    },
    /// Put records into the registry and take others out: all of it or nothing, at most 1000. Answered by how many
    /// records are not as before; an error names every one that cannot be.
    RegistryWrite {
        /// Records, each in place of what is there under its key.
        #[serde(default)]
        puts: Vec<RegistryPut>,
        /// Those that go, after the others are put.
        #[serde(default)]
        removes: Vec<RegistryKey>,
        /// Fields that stay as they are there where a record that is put leaves them out.
        #[serde(default)]
        keep: Vec<String>,
    },
    /// The nodes that are reached in a way of their own. Answered by a list of [`NodeInfo`](crate::NodeInfo).
    NodeList,
    /// Have a node reached in a way of its own. Answered by [`NodeInfo`](crate::NodeInfo); an error where this host cannot.
    NodeSet {
        /// Its ID.
        id: u32,
        /// `udp`, `tls`, `direct`, `vsock` or `rdma`.
        transport: String,
        /// Host name or IP address; for `vsock` the CID; nothing for `direct`.
        #[serde(default)]
        address: String,
        /// 0 for `direct`.
        #[serde(default)]
        port: u16,
        /// Flags of the transport.
        #[serde(default)]
        options: u32,
    },
    /// What happens from now on: answered by `null`, then one event a line until the connection ends.
    Events,
}

impl Request for ServicesRequest {
    const PEER: Peer = Peer::Services;
}

/// An answer: `{"ok": ...}` or `{"error": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply<T> {
    /// What was asked for.
    Ok(T),
    /// Why not, in words for whoever asked.
    Error(String),
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reply<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(body) => Self::Ok(body),
            Err(error) => Self::Error(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_tagged_objects() {
        let json = |request: &SupervisorRequest| serde_json::to_string(request).unwrap();
        assert_eq!(json(&SupervisorRequest::Status), r#"{"request":"status"}"#);
        assert_eq!(json(&SupervisorRequest::Stop), r#"{"request":"stop"}"#);
        let add: ServicesRequest =
            serde_json::from_str(r#"{"request":"device_add","id":2621370,"password":"p","ts2":[91]}"#)
                .unwrap();
        let expected = ServicesRequest::DeviceAdd {
            id: 2_621_370,
            password: Secret::new("p").ok(),
            call: None,
            ts1: vec![],
            ts2: vec![91],
            blocked: vec![],
            single: false,
        };
        assert_eq!(add, expected);
        assert!(!format!("{add:?}").contains("\"p\""));
        let subscribe: ServicesRequest = serde_json::from_str(
            r#"{"request":"subscribe","id":7,"talkgroup":91,"slot":2,"schedule":{"from":0,"until":60}}"#,
        )
        .unwrap();
        let schedule = Schedule { days: vec![], from: 0, until: 60, first: None, last: None };
        let expected = ServicesRequest::Subscribe { id: 7, talkgroup: 91, slot: 2, schedule: Some(schedule) };
        assert_eq!(subscribe, expected);
        let ban: ServicesRequest = serde_json::from_str(r#"{"request":"ban","id":7}"#).unwrap();
        assert_eq!(ban, ServicesRequest::Ban { id: 7, seconds: None, reason: String::new() });
        for request in [subscribe, ban, ServicesRequest::Events, ServicesRequest::Kick { id: 7 }, add] {
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<ServicesRequest>(&text).unwrap(), request);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bad in [
            "{}",
            r#"{"request":"reboot"}"#,
            r#"{"request":"kick"}"#,
            r#"{"request":"kick","id":-1}"#,
            r#"{"request":"kick","id":1,"now":true}"#,
            r#"{"request":"device_password","id":1,"password":""}"#,
            r#"{"request":"ban","id":1,"seconds":-1}"#,
            r#"{"request":"registry_write","puts":[{"space":"Devices"}]}"#,
            r#"{"request":"registry_write","puts":[{"space":"Devices","record":[]}]}"#,
            r#"{"request":"registry_page","space":"Devices","most":-1}"#,
            r#"{"request":"subscribe","id":1,"talkgroup":1,"slot":256}"#,
            r#"{"request":"subscribe","id":1,"talkgroup":1,"slot":1,"schedule":{"from":"7","until":1}}"#,
        ] {
            assert!(serde_json::from_str::<ServicesRequest>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replies_say_ok_or_error() {
        let ok: Reply<u8> = Ok::<_, String>(7).into();
        let error: Reply<u8> = Err("no such device").into();
        assert_eq!(serde_json::to_string(&ok).unwrap(), r#"{"ok":7}"#);
        assert_eq!(serde_json::to_string(&error).unwrap(), r#"{"error":"no such device"}"#);
        assert_eq!(serde_json::to_string(&Reply::Ok(())).unwrap(), r#"{"ok":null}"#);
        assert_eq!(serde_json::from_str::<Reply<()>>(r#"{"ok":null}"#).unwrap(), Reply::Ok(()));
    }
}
