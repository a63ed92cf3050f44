//! What is written down of a context, so that another worker can go on with it: its dynamic subscriptions
//! and the calls that it is sending.

use serde::{Deserialize, Serialize};
use stack::{CallType, Slot, Time};

use crate::Kind;
use crate::contexts::Context;
use crate::session::Origin;
use crate::sessions::Sessions;

/// Changes with the encoding; a record of another version is not read.
const VERSION: u8 = 2;

/// A talkgroup that was subscribed to by keying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// Which.
    pub talkgroup: u32,
    /// Until when.
    pub until: Time,
}

/// A call that a context is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Key of the session, at the node in the record.
    pub key: u64,
    /// Node where it began.
    pub node: u32,
    /// The sender's stream ID.
    pub stream: u32,
    /// Radio ID of the talker.
    pub source: u32,
    /// Talkgroup or radio called.
    pub destination: u32,
    /// Which of the two.
    pub call: CallType,
    /// What it carries.
    pub kind: Kind,
    /// Service options of its LC.
    pub options: u8,
}

/// A context's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Dynamic talkgroups of TS1 and TS2.
    pub dynamics: [Vec<Dynamic>; 2],
    /// The call on TS1 and on TS2.
    pub running: [Option<Running>; 2],
}

/// Reads a record; `None` for one of another version or a damaged one.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<Record> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    postcard::from_bytes(rest).ok()
}

/// Writes the record of a context into `out` and returns its length; `None` where it does not fit.
pub(crate) fn write_record(context: &Context, sessions: &Sessions, out: &mut [u8]) -> Option<usize> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        dynamics: [&'a [Dynamic]; 2],
        running: [Option<Running>; 2],
    }
    let running = Slot::ALL.map(|slot| {
        let session = sessions.get(context.slots[slot.index()].incoming?)?;
        let Origin::Local { stream, .. } = session.origin else { return None };
        Some(Running {
            key: session.id.key,
            node: session.id.node,
            stream,
            source: session.call.source,
            destination: session.call.destination,
            call: session.call.to,
            kind: session.call.kind,
            options: session.voice.lc.service_options().0,
        })
    });
    let record = Borrowed { dynamics: [&context.dynamics[0], &context.dynamics[1]], running };
    let (version, rest) = out.split_first_mut()?;
    *version = VERSION;
    Some(1 + postcard::to_slice(&record, rest).ok()?.len())
}
