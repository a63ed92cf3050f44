//! Shared memory between the processes of one host: broadcast rings, bells, interest filters, location
//! tables, state segments, queues and stats pages.
//!
//! Everything lives in memfds without names, made by the supervisor and handed out by descriptor. One writer
//! per field, no locks, no pointers; each segment carries magic, layout version and epoch, and a reader takes
//! every word in it as hostile. Nothing here knows what a frame or a record means, and nothing here waits:
//! who sleeps does so in its own epoll, on the descriptor of its bell.

mod bell;
mod interest;
mod location;
mod queue;
mod ring;
mod segment;
mod state;
mod stats;
mod worker;

pub use bell::{Bell, BellSegment, MAX_PROCESSES, SERVICES, Wake};
pub use interest::{FILTER_WORDS, Filter, FilterWriter};
pub use location::{Location, Locations, LocationsWriter};
pub use queue::{MAX_MESSAGE, QueueReader, QueueSegment, QueueWriter};
pub use ring::{FRAME_LEN, Read, RingReader, RingWriter, SLOTS};
pub use segment::{Error, Segment};
pub use state::{CELL_LEN, Cell, StateReader, StateSegment, StateWriter, Stored};
pub use stats::{Counter, LAG_BUCKETS_US, Stats, StatsSegment};
pub use worker::{WorkerReader, WorkerSegment, WorkerWriter};
