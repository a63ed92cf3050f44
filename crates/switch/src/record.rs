//! What is written down of a context, so that another worker can go on with it: its dynamic subscriptions
//! and the calls that it is sending.

use serde::{Deserialize, Serialize};
use stack::{CallType, Slot, Time};

use crate::Kind;
use crate::contexts::{Context, Contexts};
use crate::session::{Origin, Session};
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
    /// When it began.
    pub begun: Time,
    /// Where the radio of a private call is, if it is at this worker: context ID and slot.
    pub callee: Option<(u32, Slot)>,
}

/// A context's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Dynamic talkgroups of TS1 and TS2.
    pub dynamics: [Vec<Dynamic>; 2],
    /// The call that comes in on TS1 and on TS2.
    pub running: [Option<Running>; 2],
    /// The voice call that goes out on TS1 and on TS2.
    pub heard: [Option<Running>; 2],
}

/// Reads a record; `None` for one of another version or a damaged one.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<Record> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    postcard::from_bytes(rest).ok()
}

/// Writes the record of a context into `out` and returns its length; `None` where it does not fit.
pub(crate) fn write_record(
    context: &Context,
    contexts: &Contexts,
    sessions: &Sessions,
    out: &mut [u8],
) -> Option<usize> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        dynamics: [&'a [Dynamic]; 2],
        running: [Option<Running>; 2],
        heard: [Option<Running>; 2],
    }
    let describe = |session: &Session| Running {
        key: session.id.key,
        node: session.id.node,
        stream: if let Origin::Local { stream, .. } = session.origin { stream } else { 0 },
        source: session.call.source,
        destination: session.call.destination,
        call: session.call.to,
        kind: session.call.kind,
        options: session.voice.lc.service_options().0,
        begun: session.begun,
        callee: match session.callee {
            Some((key, slot)) => contexts.get(key).map(|context| (context.profile.id, slot)),
            None => session.hint,
        },
    };
    let running = |slot: Slot| {
        let session = sessions.get(context.slots[slot.index()].incoming?)?;
        session.origin.is_local().then(|| describe(session))
    };
    let heard = |slot: Slot| {
        let session = sessions.get(context.slots[slot.index()].outgoing?)?;
        session.call.is_voice().then(|| describe(session))
    };
    let record = Borrowed {
        dynamics: [&context.dynamics[0], &context.dynamics[1]],
        running: Slot::ALL.map(running),
        heard: Slot::ALL.map(heard),
    };
    let (version, rest) = out.split_first_mut()?;
    *version = VERSION;
    Some(1 + postcard::to_slice(&record, rest).ok()?.len())
}
