//! How UDP sockets are bound: those of a stack's shards, once, to be kept while the cluster runs, and single ones.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, anyhow};
use nix::sys::socket::{getsockopt, sockopt};
use sys::Bind;

use crate::say;

/// Room for what comes while a shard has no reader: at 53 bytes a burst, some seconds of a hundred calls.
const BUFFER: usize = 4 << 20;

/// The sockets of all shards of a stack.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The addresses, as bound.
    pub(crate) addresses: Vec<SocketAddr>,
    /// By shard, then by address.
    pub(crate) shards: Vec<Vec<UdpSocket>>,
}

/// Binds `shards` sockets to each address, one group each. `optional`: an address family that this machine
/// does not have is left out.
pub(crate) fn bind(stack: &str, listen: &[SocketAddr], shards: u16, optional: bool) -> Result<Listeners> {
    let mut listeners =
        Listeners { addresses: Vec::new(), shards: (0..shards).map(|_| Vec::new()).collect() };
    for &address in listen {
        match bind_group(address, shards) {
            Ok((bound, sockets)) => {
                listeners.addresses.push(bound);
                listeners.shards.iter_mut().zip(sockets).for_each(|(shard, socket)| shard.push(socket));
            }
            Err(error) if optional && is_missing_family(&error) => {}
            Err(error) => return Err(explain(&format!("stacks.{stack}.listen"), address, &error)),
        }
    }
    warn_of_small_buffers(listeners.shards.first().and_then(|shard| shard.first()));
    if listeners.addresses.is_empty() {
        return Err(anyhow!("stacks.{stack}.listen: this machine has none of these addresses: {listen:?}"));
    }
    Ok(listeners)
}

/// Binds a socket that shares its address with no other. `key`: of the configuration, for what is said.
///
/// # Errors
/// Why it cannot be bound, for the operator.
pub(crate) fn bind_one(key: &str, address: SocketAddr) -> Result<UdpSocket> {
    let how = Bind { buffer: BUFFER, unfragmented: true, ..Bind::default() };
    sys::bind(address, how).map_err(|error| explain(key, address, &error))
}

fn bind_group(address: SocketAddr, shards: u16) -> io::Result<(SocketAddr, Vec<UdpSocket>)> {
    // Without the group's option first: with it, we would join the group of another cluster of this user and
    // take half of its datagrams.
    let bound = sys::bind(address, Bind::default())?.local_addr()?;
    let how = Bind { group: true, buffer: BUFFER, unfragmented: true, ..Bind::default() };
    let sockets: io::Result<Vec<_>> = (0..shards).map(|_| sys::bind(bound, how)).collect();
    Ok((bound, sockets?))
}

/// A socket without a reader keeps what its buffer holds; how much that is, the system may limit.
pub(crate) fn warn_of_small_buffers(socket: Option<&UdpSocket>) {
    let granted = socket.and_then(|socket| getsockopt(socket, sockopt::RcvBuf).ok()).unwrap_or(BUFFER);
    if granted < BUFFER {
        say::warning(&format!(
            "receive buffers have {} KiB instead of {}: while a worker is replaced, less waits for it; raise \
             net.core.rmem_max to {BUFFER}",
            granted / 1024,
            BUFFER / 1024
        ));
    }
}

fn is_missing_family(error: &io::Error) -> bool {
    use nix::libc::{EADDRNOTAVAIL, EAFNOSUPPORT};
    matches!(error.raw_os_error(), Some(EADDRNOTAVAIL | EAFNOSUPPORT))
}

fn explain(key: &str, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has it: stop that one or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: see `ip address`",
        io::ErrorKind::PermissionDenied => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        _ => "check address and port",
    };
    anyhow!("{key}: cannot listen on {address}: {error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_shares_one_free_port_and_keeps_others_out() {
        let listen = ["127.0.0.1:0".parse().unwrap()];
        let listeners = bind("mmdvm", &listen, 4, false).unwrap();
        assert_eq!((listeners.shards.len(), listeners.shards[3].len()), (4, 1));
        let error = bind("mmdvm", &listeners.addresses, 4, false).unwrap_err().to_string();
        assert!(error.contains("another program has it"), "{error}");
    }

    #[test]
    fn an_address_that_is_not_here_is_named_or_left_out() {
        let listen = ["127.0.0.1:0".parse().unwrap(), "192.0.2.1:62031".parse().unwrap()];
        let error = bind("mmdvm", &listen, 1, false).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:62031"), "{error}");
        assert_eq!(bind("mmdvm", &listen, 1, true).unwrap().addresses.len(), 1);
    }
}
