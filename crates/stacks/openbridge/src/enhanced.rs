//! What FreeDMR has added: signs of life, versions, and the word that a stream is not wanted.

use std::time::Duration;

use stack::{Datagram, Gone, Notice, Output, Time};

use crate::OpenBridge;
use crate::packet::{self, Packet};
use crate::peer::{Peer, SILENT, VERSION};

/// How often a peer is told that we are there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A peer that goes on with what is not wanted is told again after so long.
const QUENCH_AGAIN: Duration = Duration::from_secs(1);

impl OpenBridge {
    /// A datagram without a burst, from whom it should be.
    pub(crate) fn control(&mut self, row: u16, packet: Packet<'_>) {
        let Some(peer) = self.peers.get_mut(row) else { return };
        match packet {
            Packet::Version(version) if peer.settings.enhanced => {
                // There is no form of a burst for 2 and 3.
                let version = if version < 4 { 1 } else { version.min(VERSION) };
                if std::mem::replace(&mut peer.version, version) != version {
                    self.push(Output::Changed(row));
                }
            }
            Packet::Quench { stream, .. } => peer.quench(stream),
            Packet::Version(_) | Packet::KeepAlive | Packet::Stun | Packet::Burst { .. } => {}
        }
    }

    /// Sends what is due: to each peer that keeps itself alive, and is one that can be reached. Who has fallen silent is told
    /// of.
    pub(crate) fn keep_alive(&mut self, now: Time) {
        let enhanced = self.peers.iter().filter(|(_, peer)| peer.settings.enhanced);
        for row in enhanced.map(|(row, _)| row).collect::<Vec<_>>() {
            self.look_at_silence(now, row);
            let Some(peer) = self.peers.get_mut(row).filter(|peer| peer.keep_alive_at <= now) else {
                continue;
            };
            peer.keep_alive_at = now + KEEP_ALIVE;
            let Some(path) = peer.path else { continue };
            let parts = [packet::keep_alive(&peer.signer), packet::version(&peer.signer, VERSION)];
            for bytes in parts {
                self.push(Output::Send(Datagram::new(path.envelope, &[&bytes])));
            }
        }
    }

    /// When something is due next for a peer that keeps itself alive.
    pub(crate) fn next_keep_alive(&self) -> Option<Time> {
        let enhanced = self.peers.iter().filter(|(_, peer)| peer.settings.enhanced);
        enhanced.map(|(_, peer)| peer.keep_alive_at).min()
    }

    /// A peer has sent something.
    pub(crate) fn is_alive(&mut self, row: u16) {
        let is_new = |peer: &&mut Peer| peer.settings.enhanced && !peer.is_up;
        let Some(peer) = self.peers.get_mut(row).filter(is_new) else { return };
        peer.is_up = true;
        let (id, from) = (peer.id, peer.address());
        if let Some(from) = from {
            let software = "OpenBridge".to_owned();
            self.notice(Notice::Up { id, from, call: String::new(), software });
        }
    }

    fn look_at_silence(&mut self, now: Time, row: u16) {
        let has_gone = |peer: &&mut Peer| peer.is_up && peer.heard.is_none_or(|at| now.since(at) >= SILENT);
        let Some(peer) = self.peers.get_mut(row).filter(has_gone) else { return };
        peer.is_up = false;
        let (id, from) = (peer.id, peer.address());
        if let Some(from) = from {
            self.notice(Notice::Down { id, from, gone: Gone::Silent });
        }
    }

    /// What comes over this leg is not carried: its peer need not send it.
    pub(crate) fn unwanted(&mut self, now: Time, row: u16) {
        let is_due = |at: Option<Time>| at.is_none_or(|at| now.since(at) >= QUENCH_AGAIN);
        let Some(leg) = self.legs.get_mut(row).filter(|leg| is_due(leg.quenched)) else { return };
        leg.quenched = Some(now);
        let (peer, talkgroup, stream) = (leg.peer, leg.talkgroup, leg.stream);
        self.send_quench(peer, talkgroup, stream);
    }

    /// Tells a peer that it need not send a stream, where it knows that word.
    pub(crate) fn send_quench(&mut self, row: u16, talkgroup: u32, stream: u32) {
        let Some(peer) = self.peers.get(row).filter(|peer| peer.settings.enhanced) else { return };
        let Some(path) = peer.path else { return };
        let bytes = packet::quench(&peer.signer, talkgroup, stream);
        self.push(Output::Send(Datagram::new(path.envelope, &[&bytes])));
    }
}
