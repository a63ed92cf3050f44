//! The control sockets of a running cluster: requests, answers, where the sockets are, and a blocking client.
//!
//! Two Unix sockets lie in the runtime directory: the supervisor's ([`SupervisorRequest`]) and the services'
//! ([`ServicesRequest`]). One connection carries one request: a JSON object on one line, answered by one line,
//! `{"ok": ...}` or `{"error": "..."}`; only [`ServicesRequest::Events`] is followed by more lines, one event
//! each. Who may speak is decided by the file system alone.
//!
//! This crate serves no socket and carries out no request.

#![forbid(unsafe_code)]

mod client;
mod exit;
mod followed;
mod history;
mod hosts;
mod line;
mod operation;
mod paths;
mod peers;
mod records;
mod request;
mod status;
mod view;

pub use client::{Error, Lines, events, request};
pub use exit::Exit;
pub use followed::{RegistryInfo, Right};
pub use history::{BanInfo, HeardInfo};
pub use hosts::{ConfiguredHost, FarCallsInfo, HostInfo, HostsInfo, LinkInfo, OwnNodeInfo};
pub use line::{LineError, MAX_REPLY, MAX_REQUEST, MAX_SERVICES_REQUEST, read_line_limited, to_line};
pub use operation::{DeathInfo, OperationInfo};
pub use paths::{Paths, default_runtime_dir};
pub use peers::{PeerInfo, PeerSource};
pub use records::{Fields, NodeInfo, RegistryKey, RegistryPage, RegistryPut};
pub use request::{Peer, Reply, Request, ServicesRequest, SupervisorRequest};
pub use status::{ClusterState, ServicesStatus, State, Status, StoreStatus, WorkerStatus};
pub use view::{CallInfo, ContextInfo, ContextState, DeviceInfo, DeviceList, Dynamic, PerSlot, SlotsServed};

/// A password, as in the configuration.
pub use config::Secret;
