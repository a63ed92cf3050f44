//! What goes into the switch and what comes out.

use std::time::Duration;

use dmr::AliasText;
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
    /// A burst came from a sibling worker, or from another host.
    Remote {
        /// The sibling's number on this host, below 127, or [`crate::FAR`]: then the bursts of a session are in order, each
        /// comes once, and its node is none of this host.
        peer: u8,
        /// ID of the node where the session began: the sibling's, or another's whose context has moved there since.
        node: u32,
        /// What it published. Its `index` is the session's number there; of a far session, any that no other one has now.
        forward: &'a Forward,
    },
    /// The answer to [`Output::Moved`], as that has it.
    Moved {
        /// The sibling's number.
        peer: u8,
        /// ID of the node where the session began.
        node: u32,
        /// The burst.
        forward: &'a Forward,
    },
    /// The answer to [`Output::Locate`].
    Located {
        /// The session's number.
        index: u16,
        /// Its ID.
        session: SessionId,
        /// Where the radio is.
        place: Place,
    },
    /// Calls of this radio are refused until then, or no longer if that is past.
    Ban {
        /// Its ID.
        radio: u32,
        /// Milliseconds since 1970; `u64::MAX` for ever.
        until_ms: u64,
    },
    /// The calls that a context sends or hears end, and what still comes of them is dropped.
    DropCall {
        /// The context's ID.
        id: u32,
        /// On this slot; `None` for both.
        slot: Option<Slot>,
    },
    /// The dynamic talkgroups of a context end.
    DropDynamic {
        /// The context's ID.
        id: u32,
        /// Those of this slot; `None` for both.
        slot: Option<Slot>,
    },
    /// The contexts of this shard go on at another worker: they are forgotten, and nothing of theirs ends. Their records
    /// have been written down, and are not changed any more.
    Leave(u16),
    /// What an earlier owner of the context wrote down, after its [`Input::Up`].
    Restore {
        /// Which.
        context: ContextKey,
        /// What [`crate::Switch::encode_record`] gave.
        bytes: &'a [u8],
    },
}

/// Where the radio of a private call is, as far as all workers of the host know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was last heard here.
    Here {
        /// ID of the context.
        context: u32,
        /// On which slot.
        slot: Slot,
    },
    /// It was last heard at a sibling, or a sibling has a hotspot of this ID.
    Elsewhere,
    /// Nobody has heard it.
    Nowhere,
}

/// Why a burst went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its call had ended already, or later ones of its call have come before it.
    Late,
    /// It came before.
    Duplicate,
    /// It is more than the air can carry.
    TooFast,
    /// It begins a data call, and a slot that it is for has another call.
    DataBusy,
}

/// Why a call was refused: its bursts go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refused {
    /// Nobody has heard the radio called.
    NoRoute,
    /// The slot of the radio called has another call.
    Busy,
    /// The talkgroup has a talker.
    Taken,
    /// It is a call that is running already, come back another way.
    Loop,
    /// The configuration does not let the radio or the talkgroup in.
    Denied,
    /// The radio is banned.
    Banned,
    /// The talkgroup is blocked for the device.
    Blocked,
    /// It is encrypted.
    Encrypted,
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
    /// It was longer than [`crate::Settings::call_timeout`].
    TooLong,
    /// An operator ended it.
    Dropped,
}

/// What a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Speech.
    Voice,
    /// Data blocks.
    Data,
    /// Signalling (CSBK) alone, which may announce data.
    Control,
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
    /// What it carries.
    pub kind: Kind,
    /// The talker is in distress: the emergency bit of the service options.
    pub emergency: bool,
    /// Bursts so far.
    pub bursts: u32,
}

/// A call that began at another host and comes in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarCall {
    /// Its session.
    pub session: SessionId,
    /// The timeslot on which it began.
    pub slot: Slot,
    /// Radio ID of the talker.
    pub source: u32,
    /// Talkgroup or radio called.
    pub destination: u32,
    /// Which of the two.
    pub call: CallType,
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
    /// A session of a context here goes on at another worker; its number may be used again.
    Left {
        /// Its number.
        index: u16,
    },
    /// A session for a radio began: where is it? Answered at once by [`Input::Located`].
    Locate {
        /// The session's number.
        index: u16,
        /// Its ID.
        session: SessionId,
        /// The radio called.
        radio: u32,
    },
    /// A session's burst came from another sibling than those before it, since its context has moved, or nothing is known
    /// of those before it. What has been published until now is to be given as [`Input::Remote`] first, so that nothing of
    /// it is overtaken, and then this, and all that are given out like it until then, in order, as [`Input::Moved`].
    Moved {
        /// The sibling's number.
        peer: u8,
        /// ID of the node where the session began.
        node: u32,
        /// The burst; in a box, since it is rare and outputs are copied.
        forward: Box<Forward>,
    },
    /// A session of a context here that was refused is carried after all, since the other talker has ended.
    Carried {
        /// What it is.
        report: SessionReport,
    },
    /// A session of a context here was refused, after its [`Output::Started`], or a private call of a sibling's
    /// context to a radio here. What lost to another talker may be carried later.
    Refused {
        /// What it is.
        report: SessionReport,
        /// Why.
        why: Refused,
    },
    /// The talker of a session of a context here has said its alias.
    Alias {
        /// What it is.
        report: SessionReport,
        /// The alias; in a box, since it is rare and outputs are copied.
        alias: Box<AliasText>,
    },
    /// A radio has keyed up so often that it is blocked here from now on: ban it everywhere.
    Blocked {
        /// Its ID.
        radio: u32,
        /// ID of the context where it did so.
        context: u32,
        /// For how long.
        time: Duration,
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
    /// From now on calls to any talkgroup may be wanted here (`wanted`), or only those of [`Output::Interest`].
    Everything {
        /// Whether.
        wanted: bool,
    },
    /// From now on other networks here want calls to these talkgroups (`wanted`), or no longer. It is told beside
    /// [`Output::Everything`], for who can tell ranges apart. Ranges that are wanted do not touch each other but for the
    /// moment in which one takes the place of others; it is told first.
    Range {
        /// The first talkgroup.
        first: u32,
        /// The last one.
        last: u32,
        /// Whether.
        wanted: bool,
    },
    /// What comes in over this leg is not carried, for good: its network need not send more of it.
    Unwanted {
        /// The leg.
        context: ContextKey,
        /// Its slot.
        slot: Slot,
    },
    /// A context with this ID is here: a private call to the ID goes to it while no radio with it was heard.
    Home {
        /// Its ID.
        id: u32,
        /// The slot that such a call goes to.
        slot: Slot,
    },
    /// The context with this ID is gone: no radio is there any more.
    Away {
        /// Its ID.
        id: u32,
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

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn outputs_are_small_enough_to_be_copied() {
        assert!(size_of::<Output>() <= 80, "{}", size_of::<Output>());
    }
}
