//! What is written down of a peer or of a call that comes from one, for the next owner of the shard and for whoever looks.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use stack::{Envelope, PeerSettings, Talkgroups, Time};

use crate::legs::Leg;
use crate::packet::Way;
use crate::peer::{Path, Peer};

/// First byte of a record: which encoding follows.
const VERSION: u8 = 1;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described {
    /// A peer.
    Peer {
        /// Its network ID.
        id: u32,
        /// Where it is reached, if that is known.
        address: Option<SocketAddr>,
        /// That was learned from what came.
        learned: bool,
        /// The version of the extensions that it speaks; 1 where it has said none.
        version: u8,
        /// When something was last heard of it, as it was last written down.
        heard: Option<Time>,
        /// What is set for it.
        settings: Box<PeerSettings>,
    },
    /// A call that comes from one.
    Leg {
        /// The peer's network ID.
        peer: u32,
        /// As the peer numbers it.
        stream: u32,
    },
}

#[derive(Serialize, Deserialize)]
enum Record {
    Peer(PeerRecord),
    Leg(LegRecord),
}

#[derive(Serialize, Deserialize)]
struct PeerRecord {
    id: u32,
    path: Option<PathRecord>,
    version: u8,
    heard: Option<Time>,
    address: Option<(IpAddr, u16)>,
    learns: bool,
    own_id: Option<u32>,
    enhanced: bool,
    key: stack::Key,
    out: Vec<(u32, u32)>,
    /// `None`: as `out`.
    r#in: Option<Vec<(u32, u32)>>,
    renamed: Vec<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
struct PathRecord {
    listener: u8,
    local: Option<IpAddr>,
    ip: IpAddr,
    port: u16,
    /// Which network a link-local address is of; 0 for all others.
    scope: u32,
    is_learned: bool,
}

#[derive(Serialize, Deserialize)]
struct LegRecord {
    peer: u32,
    stream: u32,
    source: u32,
    talkgroup: u32,
    server: u32,
    repeater: u32,
    hops: u8,
}

/// A leg as it was written down: its peer by ID.
pub(crate) struct Restored {
    pub(crate) peer: u32,
    pub(crate) leg: Leg,
}

/// What a record is restored to.
pub(crate) enum Decoded {
    Peer(Box<Peer>),
    Leg(Restored),
}

/// Reads a record; `None` for one of another version or a damaged one.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<Described> {
    Some(match read(bytes)? {
        Record::Peer(record) => {
            let path = record.path.as_ref().map(path_of);
            let (id, version, heard) = (record.id, record.version, record.heard);
            Described::Peer {
                id,
                address: path.map(|path| path.envelope.to),
                learned: path.is_some_and(|path| path.is_learned),
                version,
                heard,
                settings: Box::new(settings_of(record)),
            }
        }
        Record::Leg(leg) => Described::Leg { peer: leg.peer, stream: leg.stream },
    })
}

fn read(bytes: &[u8]) -> Option<Record> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    postcard::from_bytes(rest).ok()
}

fn path_of(record: &PathRecord) -> Path {
    let to = match record.ip {
        IpAddr::V6(ip) => SocketAddrV6::new(ip, record.port, 0, record.scope).into(),
        IpAddr::V4(_) => SocketAddr::new(record.ip, record.port),
    };
    let envelope = Envelope { listener: record.listener, local: record.local, to };
    Path { envelope, is_learned: record.is_learned }
}

fn settings_of(record: PeerRecord) -> PeerSettings {
    let PeerRecord { address, learns, own_id, enhanced, key, out, r#in, renamed, .. } = record;
    let r#in = r#in.unwrap_or_else(|| out.clone());
    let talkgroups = Talkgroups { out, r#in, renamed };
    PeerSettings { address: address.map(SocketAddr::from), learns, key, own_id, enhanced, talkgroups }
}

/// Reads what another owner of the shard has written down; `now` is when its calls were last heard.
pub(crate) fn decode(now: Time, bytes: &[u8]) -> Option<Decoded> {
    Some(match read(bytes)? {
        Record::Peer(record) => {
            let path = record.path.as_ref().map(path_of);
            let (id, version, heard) = (record.id, record.version, record.heard);
            let mut peer = Peer::new(id, settings_of(record), now)?;
            (peer.path, peer.version, peer.heard) = (path, version, heard);
            Decoded::Peer(Box::new(peer))
        }
        Record::Leg(LegRecord { peer, stream, source, talkgroup, server, repeater, hops }) => {
            let way = Way { server, repeater, hops, ..Way::default() };
            let leg =
                Leg { peer: 0, stream, source, talkgroup, way, heard: now, is_over: false, quenched: None };
            Decoded::Leg(Restored { peer, leg })
        }
    })
}

/// Writes a peer's record into `out` and returns its length; `None` where it does not fit.
pub(crate) fn encode_peer(peer: &Peer, out: &mut [u8]) -> Option<usize> {
    let path = peer.path.map(|Path { envelope: Envelope { listener, local, to }, is_learned }| {
        let scope = if let SocketAddr::V6(v6) = to { v6.scope_id() } else { 0 };
        PathRecord { listener, local, ip: to.ip(), port: to.port(), scope, is_learned }
    });
    let PeerSettings { address, learns, key, own_id, enhanced, talkgroups } = peer.settings.clone();
    let record = PeerRecord {
        id: peer.id,
        path,
        version: peer.version,
        // As it was last told of: what changes with each datagram is not written down with each.
        heard: peer.noted,
        address: address.map(|address| (address.ip(), address.port())),
        learns,
        own_id,
        enhanced,
        key,
        r#in: (talkgroups.r#in != talkgroups.out).then_some(talkgroups.r#in),
        out: talkgroups.out,
        renamed: talkgroups.renamed,
    };
    write(&Record::Peer(record), out)
}

/// The same for a call of the peer with this ID.
pub(crate) fn encode_leg(peer: u32, leg: &Leg, out: &mut [u8]) -> Option<usize> {
    let Leg { stream, source, talkgroup, way: Way { server, repeater, hops, .. }, .. } = *leg;
    write(&Record::Leg(LegRecord { peer, stream, source, talkgroup, server, repeater, hops }), out)
}

fn write(record: &Record, out: &mut [u8]) -> Option<usize> {
    let (version, rest) = out.split_first_mut()?;
    *version = VERSION;
    Some(1 + postcard::to_slice(record, rest).ok()?.len())
}
