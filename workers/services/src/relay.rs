//! Brings a client library that knows nothing but TCP to an [`Uplink`]: the library connects to a port of ours on the
//! loopback, and what it says goes on from there. Neither side is understood here.
//!
//! The port is bound before the sandbox, within which no port can be. Any process of the machine can connect to it, so
//! each connection is looked at: it is one of ours where one of our own descriptors is its other end. All others are
//! closed at once. What they can do is keep us busy with closing: then the link to the server comes late or not at all,
//! as if the server were slow.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{SockaddrIn, getpeername, getsockname};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use crate::Error;
use crate::uplink::{Stream, Uplink};

/// How long the client may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Our own descriptors have smaller numbers: they are given out from 0 on, and services of 127 workers, with all the
/// connections that they make and take, have no more than 700.
const DESCRIPTORS: i32 = 1024;
/// How long nothing is accepted after the kernel refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// A port on the loopback.
pub(crate) struct Relay {
    port: Rc<Port>,
    /// Clients come one by one, so that each is given the server that was connected for it.
    turn: Arc<Semaphore>,
}

struct Port {
    listener: TcpListener,
    address: SocketAddrV4,
}

/// A client and its server. Both are let go when it is dropped.
pub(crate) struct Link(JoinHandle<()>);

impl Relay {
    /// Binds a free port; to be called before the sandbox is entered, within the runtime.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { port: Rc::new(Port { listener, address }), turn: Arc::new(Semaphore::new(1)) })
    }

    /// Where the client is to connect.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.port.address
    }

    /// Connects to the server, and gives both to `join` once the client has come, which it has to within 5 s.
    ///
    /// # Errors
    /// That of [`Uplink::connect`].
    pub(crate) async fn open<F, Fut>(&self, uplink: &Uplink, join: F) -> Result<Link, Error>
    where
        F: FnOnce(TcpStream, Box<dyn Stream>) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let far = uplink.connect().await?;
        // The semaphore is never closed: there is always a turn.
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok();
        let port = Rc::clone(&self.port);
        Ok(Link(spawn_local(async move {
            if let Some(client) = port.next(turn).await {
                join(client, far).await;
            }
        })))
    }
}

impl Port {
    /// Our own next client. Its turn ends with that.
    async fn next(&self, _turn: Option<OwnedSemaphorePermit>) -> Option<TcpStream> {
        let next = async {
            loop {
                match self.listener.accept().await {
                    Ok((client, _)) if self.is_ours(&client) => return client,
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        let client = timeout(PATIENCE, next).await.ok()?;
        client.set_nodelay(true).ok()?;
        Some(client)
    }

    /// Whether one of our own descriptors is its other end.
    fn is_ours(&self, client: &TcpStream) -> bool {
        let Ok(std::net::SocketAddr::V4(from)) = client.peer_addr() else { return false };
        let (from, to) = (SockaddrIn::from(from), SockaddrIn::from(self.address));
        (0..DESCRIPTORS).any(|fd| {
            getsockname::<SockaddrIn>(fd).is_ok_and(|address| address == from)
                && getpeername::<SockaddrIn>(fd).is_ok_and(|address| address == to)
        })
    }
}

impl Link {
    /// Waits until one side has ended, and the other with it.
    pub(crate) async fn ended(mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries what each side says to the other, until both have ended.
pub(crate) async fn copy(mut client: TcpStream, mut far: Box<dyn Stream>) {
    // Whatever ended it, both see the end.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut far).await;
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use config::Url;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.unwrap().block_on(test)
    }

    async fn server() -> (TcpListener, Uplink) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Url::Remote(remote) = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap()
        else {
            panic!()
        };
        (listener, Uplink::new(&remote, None).unwrap())
    }

    #[test]
    fn a_client_of_ours_is_brought_to_the_server() {
        run(async {
            let (listener, uplink) = server().await;
            let relay = Relay::bind().unwrap();
            let link = relay.open(&uplink, copy).await.unwrap();
            let mut client = TcpStream::connect(relay.address()).await.unwrap();
            let (mut far, _) = listener.accept().await.unwrap();
            client.write_all(b"ping").await.unwrap();
            let mut said = [0; 4];
            far.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"ping");
            far.write_all(b"pong").await.unwrap();
            client.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"pong");
            drop(link);
            assert_eq!((far.read(&mut said).await.unwrap(), client.read(&mut said).await.unwrap()), (0, 0));
        });
    }

    #[test]
    fn clients_come_to_the_servers_that_were_connected_for_them() {
        run(async {
            let (first, second) = (server().await, server().await);
            let relay = Relay::bind().unwrap();
            let _links = [relay.open(&first.1, copy).await.unwrap(), {
                let mut early = TcpStream::connect(relay.address()).await.unwrap();
                early.write_all(b"1").await.unwrap();
                let link = relay.open(&second.1, copy).await.unwrap();
                let mut late = TcpStream::connect(relay.address()).await.unwrap();
                late.write_all(b"2").await.unwrap();
                for (server, word) in [(&first.0, b'1'), (&second.0, b'2')] {
                    let (mut far, _) = server.accept().await.unwrap();
                    assert_eq!(far.read_u8().await.unwrap(), word);
                }
                link
            }];
        });
    }

    /// Another process of this machine, as far as descriptors tell.
    #[test]
    fn a_stranger_is_closed_and_the_client_served() {
        run(async {
            let (listener, uplink) = server().await;
            let relay = Relay::bind().unwrap();
            let address = relay.address();
            // bash has a connection of its own.
            let script =
                format!("exec 3<>/dev/tcp/127.0.0.1/{}; echo there; cat <&3; echo closed", address.port());
            let mut stranger =
                Command::new("bash").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(stranger.stdout.take().unwrap()).lines();
            assert_eq!(said.next().unwrap().unwrap(), "there");
            let _link = relay.open(&uplink, copy).await.unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            let (mut far, _) = listener.accept().await.unwrap();
            assert_eq!(far.read_u8().await.unwrap(), b'x');
            assert_eq!(said.next().unwrap().unwrap(), "closed");
            assert!(stranger.wait().unwrap().success());
        });
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_told_as_it_is() {
        run(async {
            let (listener, uplink) = server().await;
            drop(listener);
            let error = Relay::bind().unwrap().open(&uplink, copy).await.map(drop).unwrap_err();
            assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        });
    }
}
