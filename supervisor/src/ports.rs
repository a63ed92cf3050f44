//! The UDP sockets of FastForward: one for each slot that has a worker, bound before the first one starts there, kept for
//! whoever takes its place, and closed when the slot is not needed any more. What comes meanwhile waits in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use anyhow::{Result, anyhow};
use config::FastForward;

use crate::estate::{Handed, take};
use crate::sockets;

/// By slot. There are none without `[stacks.fastforward]`.
#[derive(Debug, Default)]
pub(crate) struct Ports(BTreeMap<u8, UdpSocket>);

impl Ports {
    /// Binds the sockets of these slots that have none yet: all of them, or none.
    ///
    /// # Errors
    /// For the operator: which address cannot be had, why, and what to do.
    pub(crate) fn bind(
        &mut self,
        fastforward: Option<&FastForward>,
        slots: impl IntoIterator<Item = u8>,
    ) -> Result<()> {
        let Some(fastforward) = fastforward else { return Ok(()) };
        let missing: Vec<u8> = slots.into_iter().filter(|slot| !self.0.contains_key(slot)).collect();
        let bound: Result<Vec<(u8, UdpSocket)>> =
            missing.into_iter().map(|slot| Ok((slot, bind(fastforward, slot)?))).collect();
        self.0.extend(bound?);
        Ok(())
    }

    /// The socket of a slot.
    pub(crate) fn get(&self, slot: u8) -> Option<BorrowedFd<'_>> {
        self.0.get(&slot).map(AsFd::as_fd)
    }

    /// Closes all but those of these slots.
    pub(crate) fn keep(&mut self, slots: impl IntoIterator<Item = u8>) {
        let slots: BTreeSet<u8> = slots.into_iter().collect();
        self.0.retain(|slot, _| slots.contains(slot));
    }

    /// As they go to the next supervisor.
    pub(crate) fn bequeath<'a>(&'a self, handed: &mut Handed<'a>) -> BTreeMap<u8, RawFd> {
        self.0.iter().map(|(&slot, socket)| (slot, handed.fd(socket.as_fd()))).collect()
    }

    /// What the supervisor before has left.
    pub(crate) fn inherit(estate: BTreeMap<u8, RawFd>) -> Result<Self> {
        let sockets = estate.into_iter().map(|(slot, socket)| Ok((slot, take(socket)?.into())));
        Ok(Self(sockets.collect::<Result<_>>()?))
    }
}

fn bind(fastforward: &FastForward, slot: u8) -> Result<UdpSocket> {
    let address = fastforward.address(slot).ok_or_else(|| {
        anyhow!(
            "worker {slot} needs a port of its own before others end, and stacks.fastforward.ports has {}: move one stack \
             after the other, or `bmctl scale` down first",
            fastforward.ports.count()
        )
    })?;
    sockets::bind_one("stacks.fastforward.ports", address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    /// Free ports on an address of this test's own.
    fn fastforward(ports: &[u16]) -> FastForward {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let text = format!(
            "[stacks.fastforward]\nlisten = \"127.84.{}.1\"\nports = \"{}\"\nkey_file = \"/k\"",
            std::process::id() % 251,
            ports.join(",")
        );
        Config::parse(&text).unwrap().stacks.fastforward.unwrap()
    }

    #[test]
    fn all_are_bound_or_none_and_what_is_there_stays() {
        let ours = fastforward(&[54_000, 54_001, 54_002]);
        let mut ports = Ports::default();
        ports.bind(None, [0]).unwrap();
        assert!(ports.get(0).is_none());
        ports.bind(Some(&ours), [0]).unwrap();
        let taken = UdpSocket::bind(ours.address(2).unwrap()).unwrap();
        let error = ports.bind(Some(&ours), [0, 1, 2]).unwrap_err().to_string();
        let expected =
            format!("stacks.fastforward.ports: cannot listen on {}: Address ", ours.address(2).unwrap());
        assert!(error.starts_with(&expected) && error.contains("another program has it"), "{error}");
        assert_eq!((0..3).filter(|slot| ports.get(*slot).is_some()).collect::<Vec<u8>>(), [0]);
        drop(taken);
        ports.bind(Some(&ours), [0, 1, 2]).unwrap();
        ports.keep([0, 2]);
        assert!(ports.get(1).is_none() && UdpSocket::bind(ours.address(1).unwrap()).is_ok());
        let error = ports.bind(Some(&ours), [3]).unwrap_err().to_string();
        assert!(
            error.starts_with("worker 3 needs a port of its own") && error.contains("ports has 3: "),
            "{error}"
        );
    }
}
