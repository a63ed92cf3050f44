//! Shared memory between the processes of one host: broadcast rings, bells, interest filters, location
//! tables, state segments, queues and stats pages.
//!
//! Everything lives in memfds without names, made by the supervisor and handed out by descriptor. One writer
//! per field, no locks, no pointers; each segment carries magic, layout version and epoch, and a reader takes
//! every word in it as hostile. Nothing here knows what a frame or a record means, and nothing here waits:
//! who sleeps does so in its own epoll, on the descriptor of its bell.

// The models drive the words without what maps them.
#![cfg_attr(loom, allow(dead_code))]

// What is done to the words alone, which the models check.
mod cell;
mod fifo;
mod handshake;
mod interest;
mod location;
mod origin;
mod ring;
mod sync;

// What maps them, which loom cannot.
#[cfg(not(loom))]
mod bell;
#[cfg(not(loom))]
mod export;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod state;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod worker;

#[cfg(all(test, loom))]
mod models;

pub use cell::CELL_LEN;
pub use fifo::MAX_MESSAGE;
pub use handshake::members;
pub use interest::{FILTER_WORDS, Filter, FilterWriter};
pub use location::{Location, Locations, LocationsWriter};
pub use origin::ORIGINS;
pub use ring::{FRAME_LEN, Read, RingReader, RingWriter, SLOTS};

#[cfg(not(loom))]
pub use {
    bell::{Bell, BellSegment, MAX_PROCESSES, SERVICES, Wake},
    export::Export,
    queue::{QueueReader, QueueSegment, QueueWriter},
    segment::{ABI, Error, Segment},
    state::{Cell, StateReader, StateSegment, StateWriter, Stored},
    stats::{Counter, LAG_BUCKETS_US, Stats, StatsSegment, Work},
    worker::{WorkerReader, WorkerSegment, WorkerWriter},
};
