//! What the processes of one host tell each other beside the packet path: the supervisor and its children
//! over a socket each ([`Parent`], [`Child`]), workers and services over queues ([`Report`], [`Order`]).
//! Only words and their encoding; who acts on them is elsewhere.

#![forbid(unsafe_code)]

mod child;
mod queue;
mod socket;

pub use child::{
    Child, FastForwardSetup, Parent, RingPlace, ServicesSetup, ShardSetup, StackSetup, WorkerInfo,
    WorkerSetup,
};
pub use queue::{
    ContactReport, FarReport, HOSTS_TIME, HostReport, NodeReport, Order, Report, SameIdReport, read, write,
};
pub use socket::{Error, Socket, descriptors};
