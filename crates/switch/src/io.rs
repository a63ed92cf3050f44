//! What goes into the switch and what comes out.

use serde::{Deserialize, Serialize};
use stack::{CallType, ContextKey, Frame, Profile, Slot};

use crate::{Forward, SessionId};

/// What goes into the switch.
#[derive(Debug)]
pub enum Input<'a> {
    /// A context is there, or has another profile than before. One with another ID or other slots than the
    /// one at its place begins anew, as after [`Input::Down`].
    Up {
        /// Which.
        context: ContextKey,
        /// What is known of it.
        profile: Profile,
    },
    /// A context is gone.
    Down(ContextKey),
    /// A burst came from a context.
    Frame {
        /// Which.
        context: ContextKey,
        /// The slot on which it was sent.
        slot: Slot,
        /// The stream ID of the sender.
        stream: u32,
        /// The burst.
        frame: &'a Frame,
    },
    /// A burst came from a sibling worker.
    Remote {
        /// The sibling's number on this host, below 128.
        peer: u8,
        /// Its node ID.
        node: u32,
        /// What it published.
        forward: &'a Forward,
    },
    /// What an earlier owner of the context wrote down, after its [`Input::Up`].
    Restore {
        /// Which.
        context: ContextKey,
        /// What [`crate::Switch::encode_record`] gave.
        bytes: &'a [u8],
    },
}

/// Why a burst went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its call had ended already.
    Late,
    /// It begins a private call, and nobody knows where the radio is.
    NoRoute,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By its terminator.
    Terminator,
    /// No burst for [`crate::STREAM_TIMEOUT`].
    Timeout,
    /// Another call began on its slot.
    Superseded,
    /// Its context is gone, or has other slots now.
    ContextGone,
}

/// A session as the outside is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// Which.
    pub session: SessionId,
    /// ID of the context whence it comes.
    pub context: u32,
    /// Slot on which it comes.
    pub slot: Slot,
    /// Radio ID of the talker.
    pub source: u32,
    /// Talkgroup or radio called.
    pub destination: u32,
    /// Which of the two.
    pub call: CallType,
    /// Voice, else data or control.
    pub voice: bool,
    /// Bursts so far.
    pub bursts: u32,
}

/// What comes out of the switch.
#[derive(Debug)]
pub enum Output {
    /// A burst goes to a context.
    Deliver {
        /// Which.
        context: ContextKey,
        /// On which slot it hears it.
        slot: Slot,
        /// Stream ID: one for all receivers of the session.
        stream: u32,
        /// The burst.
        frame: Frame,
    },
    /// A burst goes to every sibling that wants the session.
    Forward(Forward),
    /// A session of a context here began; `index` marks its bursts in [`Output::Forward`].
    Started {
        /// Its number.
        index: u16,
        /// What it is.
        report: SessionReport,
    },
    /// A session of a context here ended; its number may be used again.
    Stopped {
        /// Its number.
        index: u16,
        /// What it was.
        report: SessionReport,
        /// Why.
        ended: Ended,
    },
    /// The record of this context has changed: write it down before anything that follows.
    Changed(ContextKey),
    /// From now on somebody here wants this talkgroup (`wanted`), or nobody any more.
    Interest {
        /// Which.
        talkgroup: u32,
        /// Whether.
        wanted: bool,
    },
    /// A radio was heard.
    Heard {
        /// Its ID.
        radio: u32,
        /// ID of the context.
        context: u32,
        /// On which slot.
        slot: Slot,
    },
    /// A burst went nowhere.
    Dropped(Dropped),
}
