//! What goes into a stack and what comes out.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{DeviceSettings, Frame, Now, PeerSettings, Profile, Slot, Time};

/// The longest datagram that a stack may send, in bytes: what a path of 1,500 bytes takes whole over IPv4.
pub const MAX_DATAGRAM: usize = 1472;

/// The longest record of a context, in bytes: the room for it in its shard's memory.
pub const MAX_RECORD: usize = 448;

/// Datagrams up to here take no memory of their own: answers of all protocols are as short. Outputs are moved again and again.
const SHORT: usize = 32;

/// Where a datagram goes, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Which of the stack's listen addresses it leaves from.
    pub listener: u8,
    /// Source address, where the listener is bound to a wildcard: answers leave from the address called.
    pub local: Option<IpAddr>,
    /// Where it goes.
    pub to: SocketAddr,
}

/// A datagram to send.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where it goes.
    pub envelope: Envelope,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Short([u8; SHORT], u8),
    Long(Box<[u8]>),
}

impl Datagram {
    /// One with the concatenation of `parts`, which must not be longer than [`MAX_DATAGRAM`]: what is over is cut off.
    #[must_use]
    pub fn new(envelope: Envelope, parts: &[&[u8]]) -> Self {
        let (mut bytes, mut len) = ([0; SHORT], 0);
        for part in parts {
            let Some(room) = bytes.get_mut(len..len + part.len()) else { return Self::long(envelope, parts) };
            room.copy_from_slice(part);
            len += part.len();
        }
        #[expect(clippy::cast_possible_truncation, reason = "len <= SHORT = 32")]
        Self { envelope, bytes: Bytes::Short(bytes, len as u8) }
    }

    #[cold]
    fn long(envelope: Envelope, parts: &[&[u8]]) -> Self {
        let mut bytes = parts.concat();
        debug_assert!(bytes.len() <= MAX_DATAGRAM, "a datagram of {} bytes is cut short", bytes.len());
        bytes.truncate(MAX_DATAGRAM);
        Self { envelope, bytes: Bytes::Long(bytes.into()) }
    }

    /// What is sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Short(bytes, len) => &bytes[..usize::from(*len)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

/// What a stack needs to know and cannot know itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// May this device log in?
    Login(Login),
}

/// The question of a login: is `digest` SHA-256 of one of `salts` followed by the device's password?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The device's ID.
    pub id: u32,
    /// Whence it asks.
    pub from: SocketAddr,
    /// The salts that it may have been given: the present one and the one before.
    pub salts: [[u8; 4]; 2],
    /// The salt was given as text and is hashed as it was given: eight hexadecimal digits, upper case.
    pub text: bool,
    /// What it answered.
    pub digest: [u8; 32],
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Login`]: `id` and `from` are those of the question.
    Login {
        /// The device that asked.
        id: u32,
        /// Whence it asked.
        from: SocketAddr,
        /// What was decided.
        verdict: Verdict,
    },
}

/// What was decided about a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It may; this is what the registry says of it.
    Accepted {
        /// What it says.
        settings: DeviceSettings,
    },
    /// It may not. `tell`: say so to the device; else it has been told often enough.
    Refused {
        /// Whether the refusal is sent.
        tell: bool,
    },
}

/// Why a context is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gone {
    /// It said goodbye.
    Closed,
    /// Nothing was heard of it for the stack's time-out.
    Silent,
    /// Its ID logged in again from elsewhere.
    Replaced,
    /// An operator threw it out.
    Kicked,
    /// Its configuration was refused.
    Refused,
    /// The cluster stops.
    Shutdown,
}

/// Why a datagram was refused; each is a counter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No packet of the protocol: unknown tag, wrong length, truncated.
    Malformed,
    /// From an address that is not logged in under the ID it names, or that is of no network.
    NotLoggedIn,
    /// A login that was answered wrongly, or a datagram that is not signed with the key.
    WrongPassword,
    /// A configuration that cannot be.
    BadConfiguration,
    /// A device or call sign that the configuration of the cluster does not let in, or a talkgroup that it does not take from
    /// another network.
    Denied,
    /// A burst whose header cannot be (kind or IDs out of range).
    BadFrame,
    /// No room for one more context in the shard.
    Full,
    /// It has come before: a stream that is over, or an old time.
    Replayed,
    /// On a timeslot that the protocol does not have.
    WrongSlot,
    /// It has come over too many networks.
    TooFar,
}

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A device was refused, and why, in words for a log.
    Refused {
        /// The ID it claimed.
        id: u32,
        /// Whence.
        from: SocketAddr,
        /// Why.
        reason: String,
    },
    /// A context is there: a device logged in.
    Up {
        /// Its ID.
        id: u32,
        /// Its address.
        from: SocketAddr,
        /// Its call sign.
        call: String,
        /// Its software and package.
        software: String,
    },
    /// A context is gone.
    Down {
        /// Its ID.
        id: u32,
        /// Its address.
        from: SocketAddr,
        /// Why.
        gone: Gone,
    },
}

/// What goes into a stack.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came in.
    Datagram {
        /// Which of the stack's listen addresses it came to.
        listener: u8,
        /// Whence.
        from: SocketAddr,
        /// The address that was called, where the listener is bound to a wildcard.
        local: Option<IpAddr>,
        /// What came.
        bytes: &'a [u8],
    },
    /// An [`Ask`] was answered.
    Answer(Answer),
    /// The contexts of this ID go, but for the one at `keep`.
    Evict {
        /// The ID.
        id: u32,
        /// The login that stays.
        keep: Option<SocketAddr>,
        /// Why.
        gone: Gone,
    },
    /// What the registry says of a device has changed.
    Settings {
        /// The device's ID.
        id: u32,
        /// What it says now.
        settings: DeviceSettings,
    },
    /// What a context is sending is not carried, for good: where its protocol has a word for that, it need not send more of it.
    Unwanted {
        /// Its record.
        context: u16,
        /// On which slot.
        slot: Slot,
    },
    /// What is set for another network has changed, or is told for the first time.
    Peer {
        /// Its ID.
        id: u32,
        /// What is set; `None` where there is no such network any more.
        settings: Option<Box<PeerSettings>>,
    },
    /// A context as an earlier owner of the shard wrote it down.
    Restore {
        /// Its record.
        context: u16,
        /// What [`Stack::encode_record`] gave.
        bytes: &'a [u8],
    },
    /// The cluster stops: say goodbye to all.
    Shutdown,
}

/// What comes out of a stack.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Send(Datagram),
    /// A burst came from a context.
    Frame {
        /// The context's record.
        context: u16,
        /// The slot on which it was sent.
        slot: Slot,
        /// The stream ID of the sender: opaque.
        stream: u32,
        /// The burst.
        frame: Frame,
    },
    /// The record of this context has changed: write it down ([`Stack::encode_record`]) before anything that
    /// follows.
    Changed(u16),
    /// A context is there, or has another profile than before.
    Up {
        /// The context's record.
        context: u16,
        /// What the switch has to know.
        profile: Box<Profile>,
    },
    /// A context is gone.
    Down(u16),
    /// A question, answered by [`Input::Answer`] or never.
    Ask(Box<Ask>),
    /// A device wants the call that it hears to end.
    Interrupt {
        /// The ID of its context.
        id: u32,
        /// The slot on which it hears it.
        slot: Slot,
    },
    /// A datagram was refused.
    Refused(Refusal),
    /// Something worth an event.
    Notice(Box<Notice>),
}

/// What [`Stack::deliver`] sends, as a datagram of its own: for where a copy more is of no matter.
pub fn delivered(
    stack: &mut dyn Stack,
    now: Now,
    context: u16,
    slot: Slot,
    stream: u32,
    frame: &Frame,
) -> Option<Datagram> {
    let mut out = [0; MAX_DATAGRAM];
    let (envelope, len) = stack.deliver(now, context, slot, stream, frame, &mut out)?;
    Some(Datagram::new(envelope, &[&out[..len]]))
}

/// The driver of one protocol for one shard: sans-IO.
///
/// After each call of a `handle_` method the caller takes outputs until there are none.
pub trait Stack {
    /// Takes in what happened.
    fn handle_input(&mut self, now: Now, input: Input<'_>);

    /// Does what is due.
    fn handle_timeout(&mut self, now: Now);

    /// What carries a burst to a context: to its record, on the slot on which it hears it, with the ID that marks the
    /// bursts of one call. The datagram is written to the beginning of `out`; returned is where it goes and how long it is.
    /// `None` where nothing goes out: the context is not there, or does not want it. Nothing else comes of it, and it comes
    /// at once: this is called for every receiver of every burst.
    fn deliver(
        &mut self,
        now: Now,
        context: u16,
        slot: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)>;

    /// [`Stack::deliver`] is about to be called for this context: whatever it will need is fetched, and nothing changed.
    /// Between two bursts of a call memory gets cold, and many contexts are fetched faster one right after the other than
    /// each when its turn comes.
    fn warm(&self, context: u16);

    /// What is to be done next, in order.
    fn poll_output(&mut self) -> Option<Output>;

    /// When [`Stack::handle_timeout`] is to be called, at the latest.
    fn poll_timeout(&self) -> Option<Time>;

    /// Writes the record of a context into `out`, which has [`MAX_RECORD`] bytes, and returns its length; `None` where there
    /// is no such context, so that the record is to be erased.
    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_datagrams_are_what_they_were_made_of() {
        let envelope = Envelope { listener: 1, local: None, to: SocketAddr::from(([192, 0, 2, 1], 7)) };
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, MAX_DATAGRAM] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let (a, b) = bytes.split_at(len / 2);
            assert_eq!(Datagram::new(envelope, &[a, b]).bytes(), bytes);
        }
        // Up to 128 bytes a move is a few instructions.
        assert!(size_of::<Output>() <= 128, "{}", size_of::<Output>());
    }
}
