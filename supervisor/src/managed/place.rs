//! An address on loopback for one program: its own while the cluster runs, whether the program runs or not.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};

use crate::estate::{Handed, take};
use crate::policy::Process;

/// A socket that is bound and never listens: the kernel gives its port to nobody who asks for any, and to no connection that
/// begins here, so that a program that is started again finds it free. With SO_REUSEADDR, which servers set, the program
/// listens there beside it.
#[derive(Debug)]
pub(super) struct Place {
    socket: OwnedFd,
    address: SocketAddrV4,
}

/// As it goes to the next supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlaceEstate {
    process: Process,
    socket: RawFd,
}

impl Place {
    /// Where nobody is.
    pub(super) fn any() -> io::Result<Self> {
        Self::of(bound(0)?)
    }

    fn of(socket: OwnedFd) -> io::Result<Self> {
        let address = getsockname::<SockaddrIn>(socket.as_raw_fd())?;
        Ok(Self { socket, address: address.into() })
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Somebody listens there.
    pub(super) fn is_taken(&self) -> bool {
        bound(self.address.port()).is_err()
    }

    pub(super) fn bequeath<'a>(&'a self, process: Process, handed: &mut Handed<'a>) -> PlaceEstate {
        PlaceEstate { process, socket: handed.fd(self.socket.as_fd()) }
    }

    pub(super) fn inherit(estate: &PlaceEstate) -> Result<(Process, Self)> {
        let place = Self::of(take(estate.socket)?).context("an address of the forerunner")?;
        Ok((estate.process, place))
    }
}

fn bound(port: u16) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_place_is_kept_for_whoever_listens_there() {
        let place = Place::any().unwrap();
        assert!(!place.is_taken());
        assert!(TcpStream::connect(place.address()).is_err(), "we do not listen");
        // As servers do, std sets SO_REUSEADDR.
        let server = TcpListener::bind(place.address()).unwrap();
        assert!(place.is_taken());
        let client = TcpStream::connect(place.address()).unwrap();
        let (accepted, _) = server.accept().unwrap();
        drop(server);
        drop(accepted);
        assert!(!place.is_taken(), "connections of before do not matter");
        drop(client);
        let others: Vec<Place> = (0..200).map(|_| Place::any().unwrap()).collect();
        assert!(others.iter().all(|other| other.address() != place.address()));
    }
}
