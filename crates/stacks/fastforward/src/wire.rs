//! What goes over the wire, as `docs/fastforward.md` has it: the header of a datagram, and the frames in it. Little-endian.
//!
//! Reading takes whatever bytes there are and allocates nothing. What seals a datagram is in `seal`.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Frame as Burst, Slot};
use switch::{Forward, SessionId};

use crate::bytes::{Reader, Writer};

/// "FastForward", and its version.
pub(crate) const MAGIC: u8 = 0xF1;
/// The highest version of the protocol that is spoken here.
pub(crate) const VERSION: u8 = 1;
/// Bytes before what is sealed.
pub const HEADER_LEN: usize = 17;
/// Bytes of the seal, at the end.
pub const SEAL_LEN: usize = 16;
/// The longest datagram, in bytes: what passes over IPv6 and PPPoE whole.
pub const MAX_DATAGRAM: usize = 1400;
/// Room for frames in one.
pub(crate) const MAX_CONTENT: usize = MAX_DATAGRAM - HEADER_LEN - SEAL_LEN;
/// Bytes of a burst with all that belongs to it.
pub const BURST_FRAME_LEN: usize = 63;
/// How many hosts a burst passes at most.
pub(crate) const MAX_HOPS: u8 = 15;
/// The longest frame, with its length.
pub(crate) const MAX_FRAME: usize = 256;

/// A burst with all that belongs to it is short enough.
const _: () = assert!(HEADER_LEN + BURST_FRAME_LEN <= 80);

const FLAG_SLOT: u8 = 0x80;
const FLAG_PRIVATE: u8 = 0x40;
const FLAG_DATA: u8 = 0x20;

const BURST: u8 = 1;
const HELLO: u8 = 2;
const SUMMARY: u8 = 3;
const WANT: u8 = 4;
const UPDATE: u8 = 5;

/// What a datagram begins with, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which key it is sealed with.
    pub(crate) key: u8,
    /// Who sends it.
    pub(crate) node: u32,
    /// When that node started, milliseconds since 1970: 48 bits.
    pub(crate) start: u64,
    /// Counts the datagrams from this node to the one that it is for: 40 bits.
    pub(crate) number: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut writer = Writer::new(&mut out);
        writer.bytes(&[MAGIC, self.key]).number(self.node.into(), 4).number(self.start, 6);
        writer.number(self.number, 5);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.u8()? != MAGIC {
            return None;
        }
        Some(Self {
            key: reader.u8()?,
            node: reader.u32()?,
            start: reader.number(6)?,
            number: reader.number(5)?,
        })
    }
}

/// A burst of a session on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireBurst {
    /// How many hosts it may still pass.
    pub(crate) hops: u8,
    pub(crate) session: SessionId,
    /// The sender's number for the session, for a look-up without a search.
    pub(crate) index: u16,
    /// Counts the bursts of the session.
    pub(crate) sequence: u16,
    /// When its first host sent it, milliseconds, wrapping.
    pub(crate) sent_ms: u16,
    /// Its `key` is that of the session; its `index` means nothing here.
    pub(crate) forward: Forward,
}

impl WireBurst {
    pub(crate) fn encode(&self) -> [u8; BURST_FRAME_LEN] {
        let Forward { slot, options, frame, .. } = &self.forward;
        let mut flags = match frame.kind {
            BurstKind::Voice(place) => place & 7,
            BurstKind::Data(data_type) => FLAG_DATA | data_type.bits() & 0xf,
        };
        if frame.call == CallType::Private {
            flags |= FLAG_PRIVATE;
        }
        if *slot == Slot::Two {
            flags |= FLAG_SLOT;
        }
        let mut out = [0; BURST_FRAME_LEN];
        let mut writer = Writer::new(&mut out);
        #[expect(clippy::cast_possible_truncation, reason = "63 - 1")]
        writer.bytes(&[(BURST_FRAME_LEN - 1) as u8, BURST << 4 | self.hops & 0xf]);
        writer.number(self.session.node.into(), 4).number(self.session.key, 8);
        writer.number(self.index.into(), 2).number(self.sequence.into(), 2).number(self.sent_ms.into(), 2);
        writer.bytes(&[flags]).number(frame.source.into(), 3).number(frame.destination.into(), 3);
        writer.bytes(&[*options, frame.ber, frame.rssi]).bytes(&frame.burst);
        out
    }

    fn decode(hops: u8, mut reader: Reader<'_>) -> Option<Self> {
        let session = SessionId { node: reader.u32()?, key: reader.number(8)? };
        let (index, sequence, sent_ms) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let flags = reader.u8()?;
        let (source, destination) = (reader.u24()?, reader.u24()?);
        let (options, ber, rssi) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let burst = *reader.take(BURST_LEN)?.first_chunk::<BURST_LEN>()?;
        let kind = match flags & FLAG_DATA {
            0 if flags & 7 > 5 => return None,
            0 => BurstKind::Voice(flags & 7),
            _ => BurstKind::Data(DataType::from_bits(flags)),
        };
        let call = if flags & FLAG_PRIVATE == 0 { CallType::Group } else { CallType::Private };
        let slot = if flags & FLAG_SLOT == 0 { Slot::One } else { Slot::Two };
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is what is wanted")]
        let frame = Burst { source, destination, call, kind, sequence: sequence as u8, ber, rssi, burst };
        let forward = Forward { key: session.key, index: 0, slot, options, frame };
        Some(Self { hops, session, index, sequence, sent_ms, forward })
    }
}

/// How two nodes measure each other, prove that they are there now, and tell whether they know the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// To be sent back.
    pub(crate) challenge: u64,
    /// The newest challenge of the receiver; 0 where there is none.
    pub(crate) echo: u64,
    /// How long that lay here, microseconds.
    pub(crate) held_us: u32,
    /// The sender's monotonic clock, microseconds.
    pub(crate) clock_us: u64,
    /// The sender's host.
    pub(crate) host: u32,
    /// The highest version of the protocol that it speaks.
    pub(crate) version: u8,
    /// Bits of the transports that it has.
    pub(crate) transports: u8,
    /// It wants to go on with this.
    pub(crate) keeps: bool,
    /// Of the receiver's last 10,000 datagrams, as a rate, so many did not come.
    pub(crate) loss: u16,
    /// Of all that it knows.
    pub(crate) digest: u64,
    /// Datagrams to the receiver with smaller numbers do not count: they are old.
    pub(crate) first: u64,
}

/// Bytes of one, as a frame.
pub(crate) const HELLO_LEN: usize = 52;

impl Hello {
    pub(crate) fn encode(&self, out: &mut [u8]) -> usize {
        let mut writer = Writer::new(out);
        #[expect(clippy::cast_possible_truncation, reason = "52 - 1")]
        writer.bytes(&[(HELLO_LEN - 1) as u8, HELLO << 4]);
        writer.number(self.challenge, 8).number(self.echo, 8).number(self.held_us.into(), 4);
        writer.number(self.clock_us, 8).number(self.host.into(), 4);
        writer.bytes(&[self.version, self.transports, u8::from(self.keeps)]);
        writer.number(self.loss.into(), 2).number(self.digest, 8).number(self.first, 5);
        writer.len()
    }

    fn decode(mut reader: Reader<'_>) -> Option<Self> {
        Some(Self {
            challenge: reader.number(8)?,
            echo: reader.number(8)?,
            held_us: reader.u32()?,
            clock_us: reader.number(8)?,
            host: reader.u32()?,
            version: reader.u8()?,
            transports: reader.u8()?,
            keeps: reader.u8()? & 1 == 1,
            loss: reader.u16()?,
            digest: reader.number(8)?,
            first: reader.number(5)?,
        })
    }
}

/// Up to where what is said of itself by a node is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) node: u32,
    /// When it started.
    pub(crate) start: u64,
    /// The number of the newest thing that it has said since.
    pub(crate) version: u32,
}

const KNOWN_LEN: usize = 14;
/// How many fit a frame.
pub(crate) const KNOWN_A_FRAME: usize = (MAX_FRAME - 2) / KNOWN_LEN;

fn write_known(writer: &mut Writer<'_>, known: &Known) {
    writer.number(known.node.into(), 4).number(known.start, 6).number(known.version.into(), 4);
}

fn read_known(reader: &mut Reader<'_>) -> Option<Known> {
    Some(Known { node: reader.u32()?, start: reader.number(6)?, version: reader.u32()? })
}

/// What a node says of itself: one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// What it is.
    About {
        /// Its host.
        host: u32,
        /// Its number, whatever the transport.
        port: u16,
        /// Bits of the transports that it has.
        transports: u8,
        /// The highest version of the protocol that it speaks.
        version: u8,
    },
    /// Whether calls to these talkgroups are wanted there.
    Range { first: u32, last: u32, is_wanted: bool },
    /// A radio was heard there, milliseconds since 1970.
    Heard { radio: u32, at_ms: u64 },
    /// Whether it hears this node.
    Link { node: u32, is_up: bool },
}

/// A [`Fact`] with its version.
pub(crate) type Versioned = (u32, Fact);

/// The longest fact with its version, in bytes.
const FACT_LEN: usize = 15;

fn write_fact(writer: &mut Writer<'_>, (version, fact): &Versioned) {
    writer.number((*version).into(), 4);
    match *fact {
        Fact::About { host, port, transports, version } => {
            writer.bytes(&[1]).number(host.into(), 4).number(port.into(), 2).bytes(&[transports, version]);
        }
        Fact::Range { first, last, is_wanted } => {
            writer.bytes(&[2]).number(first.into(), 3).number(last.into(), 3).bytes(&[u8::from(is_wanted)]);
        }
        Fact::Heard { radio, at_ms } => {
            writer.bytes(&[3]).number(radio.into(), 4).number(at_ms, 6);
        }
        Fact::Link { node, is_up } => {
            writer.bytes(&[4]).number(node.into(), 4).bytes(&[u8::from(is_up)]);
        }
    }
}

fn read_fact(reader: &mut Reader<'_>) -> Option<Versioned> {
    let version = reader.u32()?;
    let fact = match reader.u8()? {
        1 => Fact::About {
            host: reader.u32()?,
            port: reader.u16()?,
            transports: reader.u8()?,
            version: reader.u8()?,
        },
        2 => {
            let (first, last) = (reader.u24()?, reader.u24()?);
            let is_wanted = reader.u8()? & 1 == 1;
            (first <= last).then_some(Fact::Range { first, last, is_wanted })?
        }
        3 => Fact::Heard { radio: reader.u32()?, at_ms: reader.number(6)? },
        4 => Fact::Link { node: reader.u32()?, is_up: reader.u8()? & 1 == 1 },
        _ => return None,
    };
    Some((version, fact))
}

/// What a node has said from one version (exclusive) to another (inclusive).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<'a> {
    /// Which node, when it started, and the version after which this begins.
    pub(crate) from: Known,
    /// The version up to which this tells all.
    pub(crate) to: u32,
    facts: Reader<'a>,
}

impl Iterator for Update<'_> {
    type Item = Versioned;

    fn next(&mut self) -> Option<Versioned> {
        if self.facts.is_empty() { None } else { read_fact(&mut self.facts) }
    }
}

/// Writes an update of as many of `facts` as fit, and returns its length and the version that it goes up to. `end`: the
/// version to tell where all fit.
pub(crate) fn write_update(
    out: &mut [u8; MAX_FRAME],
    from: Known,
    end: u32,
    facts: impl Iterator<Item = Versioned>,
) -> (usize, u32) {
    let mut facts = facts.peekable();
    let mut to = from.version;
    let mut writer = Writer::new(out);
    writer.bytes(&[0, UPDATE << 4]);
    write_known(&mut writer, &from);
    writer.number(0, 4);
    while writer.room() >= FACT_LEN
        && let Some(fact) = facts.next()
    {
        write_fact(&mut writer, &fact);
        to = fact.0;
    }
    if facts.peek().is_none() {
        to = end;
    }
    let len = writer.len();
    finish(out, len);
    out[2 + KNOWN_LEN..2 + KNOWN_LEN + 4].copy_from_slice(&to.to_le_bytes());
    (len, to)
}

/// Writes up to [`KNOWN_A_FRAME`] of what is known, and returns the frame's length.
pub(crate) fn write_summary(out: &mut [u8; MAX_FRAME], known: &[Known]) -> usize {
    let mut writer = Writer::new(out);
    writer.bytes(&[0, SUMMARY << 4]);
    known.iter().take(KNOWN_A_FRAME).for_each(|known| write_known(&mut writer, known));
    let len = writer.len();
    finish(out, len);
    len
}

/// Writes the wish for all that a node has said since, and returns the frame's length.
pub(crate) fn write_want(out: &mut [u8; MAX_FRAME], since: Known) -> usize {
    let mut writer = Writer::new(out);
    writer.bytes(&[0, WANT << 4]);
    write_known(&mut writer, &since);
    let len = writer.len();
    finish(out, len);
    len
}

fn finish(out: &mut [u8], len: usize) {
    out[0] = u8::try_from(len - 1).unwrap_or(0);
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    Burst(WireBurst),
    Hello(Hello),
    /// What the sender knows of others.
    Summary(Summary<'a>),
    /// The sender wants what a node has said since.
    Want(Known),
    Update(Update<'a>),
    /// Of a kind that is not known here: a later version may have it.
    Other,
}

/// A list of what is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary<'a>(Reader<'a>);

impl Iterator for Summary<'_> {
    type Item = Known;

    fn next(&mut self) -> Option<Known> {
        read_known(&mut self.0)
    }
}

/// The frames of a datagram. A `None` among them: what follows makes no sense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames<'a>(Reader<'a>);

impl<'a> Frames<'a> {
    pub(crate) fn of(content: &'a [u8]) -> Self {
        Self(Reader(content))
    }

    fn read(&mut self) -> Option<Frame<'a>> {
        let len = self.0.u8()?;
        let mut reader = Reader(self.0.take(len.into())?);
        let kind = reader.u8()?;
        Some(match kind >> 4 {
            BURST => Frame::Burst(WireBurst::decode(kind & 0xf, reader)?),
            HELLO => Frame::Hello(Hello::decode(reader)?),
            SUMMARY => Frame::Summary(Summary(reader)),
            WANT => Frame::Want(read_known(&mut reader)?),
            UPDATE => {
                let from = read_known(&mut reader)?;
                Frame::Update(Update { from, to: reader.u32()?, facts: reader })
            }
            _ => Frame::Other,
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Option<Frame<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.read();
        if frame.is_none() {
            self.0 = Reader(&[]);
        }
        Some(frame)
    }
}
