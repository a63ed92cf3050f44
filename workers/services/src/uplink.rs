//! The way to a server elsewhere: name, TCP or Unix socket, TLS. What is said over it is for others.
//!
//! What lies in files (name servers, `/etc/hosts`, certificates) is read once, before the sandbox. Names are looked up
//! anew for each connection ([`crate::resolve`]).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Address, Remote};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::Error;
use crate::resolve::{DNS, Resolver};

/// How long a connection may take to be made, all in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// A peer that says nothing is asked after so many seconds, and again after so many, so often.
const KEEP_ALIVE: [u32; 3] = [10, 5, 3];

/// A connection to a server elsewhere.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A server elsewhere, and all that is needed to reach it.
pub(crate) struct Uplink {
    /// As it is written: a host and a port, or a path.
    address: String,
    way: Way,
}

enum Way {
    Tcp { host: Host, port: u16, tls: Option<(TlsConnector, ServerName<'static>)> },
    Socket(PathBuf),
}

enum Host {
    Ip(IpAddr),
    Name(String, Box<Resolver>),
}

impl Uplink {
    /// Reads what lies in files; to be called before the sandbox is entered. `ca_file` has certificates (PEM) that are
    /// trusted beside the system's.
    ///
    /// # Errors
    /// [`Error::NoUplink`] where one of the files is of no use, or there can be no certificate for that host.
    pub(crate) fn new(remote: &Remote, ca_file: Option<&Path>) -> Result<Self, Error> {
        let address = remote.address.to_string();
        let refused = |reason| Error::NoUplink { address: address.clone(), reason };
        let way = match &remote.address {
            Address::Socket(path) => Way::Socket(path.clone()),
            Address::Host { host, port } => {
                let tls = remote.scheme.is_tls().then(|| tls(host, ca_file)).transpose().map_err(refused)?;
                let host = match host.parse() {
                    Ok(ip) => Host::Ip(ip),
                    Err(_) => Host::Name(host.clone(), Box::new(Resolver::new().map_err(refused)?)),
                };
                Way::Tcp { host, port: *port, tls }
            }
        };
        Ok(Self { address, way })
    }

    /// Where it is, as it is written.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The TCP ports that are connected to, for the sandbox.
    pub(crate) fn ports(&self) -> Vec<u16> {
        match &self.way {
            Way::Tcp { host: Host::Ip(_), port, .. } => vec![*port],
            Way::Tcp { host: Host::Name(..), port, .. } => vec![*port, DNS],
            Way::Socket(_) => Vec::new(),
        }
    }

    /// Makes a connection, within 5 s. All addresses of a name are tried, in order.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let reason = match timeout(PATIENCE, self.reach(Instant::now() + PATIENCE)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(reason)) => reason,
            Err(_) => too_slow(),
        };
        Err(Error::Unreachable { address: self.address.clone(), reason })
    }

    async fn reach(&self, until: Instant) -> Result<Box<dyn Stream>, String> {
        let (host, port, tls) = match &self.way {
            Way::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                return stream.map(|stream| Box::new(stream) as _).map_err(|error| why_not(&error));
            }
            Way::Tcp { host, port, tls } => (host, *port, tls),
        };
        let mut addresses = match host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name, resolver) => resolver.addresses(name).await?,
        };
        addresses.truncate(MAX_ADDRESSES);
        let mut reasons = Vec::new();
        for (ip, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let at = SocketAddr::new(*ip, port);
            // The one that does not answer leaves time for the next.
            let share = until.duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
            let reason = match timeout(share, connect(at, tls.as_ref())).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why_not(&error),
                Err(_) => too_slow(),
            };
            // A reason that says it all already is not to say the same address twice.
            let is_known = matches!(host, Host::Ip(_));
            reasons.push(if is_known { reason } else { format!("{at}: {reason}") });
        }
        Err(reasons.join(" | "))
    }
}

async fn connect(
    at: SocketAddr,
    tls: Option<&(TlsConnector, ServerName<'static>)>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let [idle, interval, count] = KEEP_ALIVE;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    setsockopt(&stream, sockopt::TcpKeepIdle, &idle)?;
    setsockopt(&stream, sockopt::TcpKeepInterval, &interval)?;
    setsockopt(&stream, sockopt::TcpKeepCount, &count)?;
    match tls {
        None => Ok(Box::new(stream) as _),
        Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?) as _),
    }
}

fn tls(host: &str, ca_file: Option<&Path>) -> Result<(TlsConnector, ServerName<'static>), String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("no certificate can be for {host:?}; write a name or an IP address"))?;
    let mut trusted = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (known, _) = trusted.add_parsable_certificates(system.certs);
    match ca_file {
        Some(path) => add_certificates(&mut trusted, path)
            .map_err(|reason| format!("ca_file: {}: {reason}", path.display()))?,
        None if known == 0 => {
            return Err(
                "this system trusts no certificate; install ca-certificates, or set ca_file".to_owned()
            );
        }
        None => {}
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn add_certificates(trusted: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let unreadable = |error| format!("cannot be read: {error}; it has to be certificates as PEM");
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        trusted.add(certificate).map_err(|error| format!("certificate {}: {error}", count + 1))?;
        count += 1;
    }
    if count == 0 { Err("there is no certificate in it; it has to be PEM".to_owned()) } else { Ok(()) }
}

fn too_slow() -> String {
    "no answer; does it run, and does a firewall let us through?".to_owned()
}

/// In words, with what to do.
fn why_not(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(reason)), _) => bad_certificate(reason),
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            "what it says is not TLS; is this its port for TLS?".to_owned()
        }
        (Some(error), _) => format!("TLS: {error}"),
        (None, io::ErrorKind::ConnectionRefused) => {
            "nothing listens there; start it, or correct the URL".to_owned()
        }
        (None, io::ErrorKind::NotFound) => "there is no such socket; start it, or correct the URL".to_owned(),
        (None, io::ErrorKind::PermissionDenied) => "not allowed; may the services' user open it?".to_owned(),
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            "it closes the connection; is this its port for TLS?".to_owned()
        }
        (None, _) => error.to_string(),
    }
}

fn bad_certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here has signed its certificate; name who has as ca_file".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{reason}; write into the URL what its certificate is for")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{reason}; renew it, or correct the clock here")
        }
        _ => format!("its certificate is of no use: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use config::Url;
    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, UdpSocket, UnixListener};

    use super::*;

    fn remote(url: &str) -> Uplink {
        let Url::Remote(remote) = url.parse().unwrap() else { panic!("{url}") };
        Uplink::new(&remote, None).unwrap()
    }

    async fn why_not(uplink: &Uplink) -> String {
        uplink.connect().await.map(drop).unwrap_err().to_string()
    }

    /// A name server that knows `here.test` with `addresses`, and nothing else.
    async fn name_server<const N: usize>(addresses: [Ipv4Addr; N]) -> Box<Resolver> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut udp = ConnectionConfig::udp();
        udp.port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((_, from)) = socket.recv_from(&mut query).await {
                // The question's name ends with a 0; type and class follow (RFC 1035, 4.1.2).
                let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let mut answer = query[..end].to_vec();
                let is_known = answer[12..].to_ascii_lowercase().starts_with(b"\x04here\x04test\0\x00\x01");
                let found = if is_known { &addresses[..] } else { &[] };
                answer[2..4].copy_from_slice(if is_known { &[0x81, 0x80] } else { &[0x81, 0x83] });
                answer[6..12].copy_from_slice(&[0, u8::try_from(found.len()).unwrap(), 0, 0, 0, 0]);
                for address in found {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
                    answer.extend(address.octets());
                }
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![udp]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Box::new(Resolver::of(resolver.build().unwrap()))
    }

    fn named(name: &str, resolver: Box<Resolver>, port: u16) -> Uplink {
        let way = Way::Tcp { host: Host::Name(name.to_owned(), resolver), port, tls: None };
        Uplink { address: format!("{name}:{port}"), way }
    }

    #[tokio::test]
    async fn addresses_and_sockets_are_reached_without_a_name_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let uplink = remote(&format!("mqtt://127.0.0.1:{port}"));
        assert_eq!(uplink.ports(), [port]);
        let mut stream = uplink.connect().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        listener.accept().await.unwrap();

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let uplink = remote(&format!("tarantool+unix://{}", path.display()));
        let error = why_not(&uplink).await;
        assert_eq!(
            error,
            format!("{}: there is no such socket; start it, or correct the URL", path.display())
        );
        let _listener = UnixListener::bind(&path).unwrap();
        uplink.connect().await.unwrap();
        assert!(uplink.ports().is_empty());
    }

    #[tokio::test]
    async fn all_addresses_of_a_name_are_tried() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let resolver = name_server([Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)]).await;
        let uplink = named("here.test", resolver, port);
        assert_eq!(uplink.ports(), [port, 53]);
        uplink.connect().await.unwrap();
        listener.accept().await.unwrap();
        drop(listener);
        let refused =
            |ip| format!("127.0.0.{ip}:{port}: nothing listens there; start it, or correct the URL");
        let expected = [refused(1), refused(2)];
        let error = why_not(&uplink).await;
        let reasons = error.strip_prefix(&format!("here.test:{port}: ")).unwrap();
        let mut reasons: Vec<_> = reasons.split(" | ").collect();
        reasons.sort_unstable();
        assert_eq!(reasons, expected);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_told() {
        let uplink = named("nowhere.test", name_server([]).await, 1883);
        let error = why_not(&uplink).await;
        assert!(error.starts_with("nowhere.test:1883: the name has no address; correct it ("), "{error}");
    }

    #[tokio::test]
    async fn what_does_not_speak_tls_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let uplink = remote(&format!("mqtts://127.0.0.1:{port}"));
        let serve = async {
            for words in [&b"220 welcome\r\n"[..], b""] {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(words).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut rest = Vec::new();
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            }
        };
        let ask = async { [why_not(&uplink).await, why_not(&uplink).await] };
        let ([first, second], ()) = tokio::join!(ask, serve);
        assert!(first.ends_with(": what it says is not TLS; is this its port for TLS?"), "{first}");
        assert!(second.ends_with(": it closes the connection; is this its port for TLS?"), "{second}");
    }

    #[test]
    fn files_that_are_no_certificates_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let refuse = || {
            let Url::Remote(remote) = "mqtts://broker.test".parse().unwrap() else { panic!() };
            Uplink::new(&remote, Some(&path)).map(drop).unwrap_err()
        };
        let error = refuse().to_string();
        assert!(
            error.starts_with("broker.test:8883: ca_file: ") && error.contains("No such file"),
            "{error}"
        );
        std::fs::write(&path, "no certificate").unwrap();
        assert!(refuse().to_string().ends_with("there is no certificate in it; it has to be PEM"));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, junk).unwrap();
        let error = refuse();
        assert!(error.to_string().contains("certificate 1: "), "{error}");
        assert!(error.is_lasting());
    }
}
