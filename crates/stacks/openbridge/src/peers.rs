//! All peers of a shard, by the row of each, by ID and by address.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::peer::{Path, Peer};

/// So many keys are tried at most: networks at one address.
const MAX_ASKED: usize = 8;

#[derive(Default)]
pub(crate) struct Peers {
    rows: Vec<Option<Box<Peer>>>,
    by_id: FxHashMap<u32, u16>,
    /// Two networks may share an address.
    by_address: FxHashMap<SocketAddr, Vec<u16>>,
    /// Those whose address is learned.
    learners: Vec<u16>,
}

impl Peers {
    pub(crate) fn new(rows: u16) -> Self {
        Self { rows: (0..rows).map(|_| None).collect(), ..Self::default() }
    }

    pub(crate) fn get(&self, row: u16) -> Option<&Peer> {
        self.rows.get(usize::from(row))?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, row: u16) -> Option<&mut Peer> {
        self.rows.get_mut(usize::from(row))?.as_deref_mut()
    }

    pub(crate) fn of(&self, id: u32) -> Option<u16> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Peer)> {
        (0..).zip(&self.rows).filter_map(|(row, peer)| Some((row, peer.as_deref()?)))
    }

    /// The first row that is free.
    pub(crate) fn free(&self) -> Option<u16> {
        (0..).zip(&self.rows).find(|(_, peer)| peer.is_none()).map(|(row, _)| row)
    }

    /// Puts a peer where none is; false where that cannot be.
    pub(crate) fn insert(&mut self, row: u16, peer: Peer) -> bool {
        let place = self.rows.get_mut(usize::from(row)).filter(|place| place.is_none());
        let Some(place) = place.filter(|_| !self.by_id.contains_key(&peer.id)) else { return false };
        self.by_id.insert(peer.id, row);
        let path = peer.path;
        *place = Some(Box::new(peer));
        self.index(row, path);
        true
    }

    pub(crate) fn remove(&mut self, row: u16) -> Option<Box<Peer>> {
        self.set_path(row, None);
        let peer = self.rows.get_mut(usize::from(row))?.take()?;
        self.by_id.remove(&peer.id);
        self.learners.retain(|&other| other != row);
        Some(peer)
    }

    /// It is reached so from now on.
    pub(crate) fn set_path(&mut self, row: u16, path: Option<Path>) {
        let Some(peer) = self.get_mut(row) else { return };
        let before = std::mem::replace(&mut peer.path, path);
        if let Some(before) = before
            && let Some(rows) = self.by_address.get_mut(&before.envelope.to)
        {
            rows.retain(|&other| other != row);
            if rows.is_empty() {
                self.by_address.remove(&before.envelope.to);
            }
        }
        self.index(row, path);
    }

    fn index(&mut self, row: u16, path: Option<Path>) {
        if let Some(path) = path {
            self.by_address.entry(path.envelope.to).or_default().push(row);
        }
        let learns = self.get(row).is_some_and(|peer| peer.settings.learns);
        self.learners.retain(|&other| other != row);
        if learns {
            self.learners.push(row);
        }
    }

    /// Who may have sent something from an address under this ID: who has both, else who is there, else who learns and has that
    /// ID. Without an ID (of what is signed alike each time) nobody is learned.
    pub(crate) fn senders(&self, from: SocketAddr, id: Option<u32>) -> impl Iterator<Item = u16> {
        let there = self.by_address.get(&from).map_or(&[][..], Vec::as_slice);
        let is_it = move |row: &&u16| id.is_some() && self.get(**row).map(|peer| peer.id) == id;
        let exact = there.iter().find(is_it).or_else(|| self.learners.iter().find(is_it));
        let rest = if exact.is_none() { there } else { &[] };
        exact.into_iter().chain(rest).take(MAX_ASKED).copied()
    }
}
