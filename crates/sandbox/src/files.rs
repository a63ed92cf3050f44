//! Files, TCP, abstract sockets and signals, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rights are taken away. An older kernel leaves those that it does not know.
const NEWEST: ABI = ABI::V7;

/// From now on no file can be reached but those below `data_dir`, no TCP connection made but to `ports` and no port bound,
/// no abstract socket reached and no process outside signalled. What is open stays open.
pub(crate) fn restrict(data_dir: Option<&Path>, ports: &[u16]) -> String {
    match apply(data_dir, ports) {
        Ok(status) => describe(&status),
        Err(error) => format!("no landlock ({error})"),
    }
}

fn apply(data_dir: Option<&Path>, ports: &[u16]) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        // By name: later versions know UDP, which a worker lives on.
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    // Below a directory that cannot be opened nothing can be opened either.
    if let Some(dir) = data_dir.and_then(|dir| PathFd::new(dir).ok()) {
        ruleset = ruleset.add_rule(PathBeneath::new(dir, AccessFs::from_all(NEWEST) & !AccessFs::Execute))?;
    }
    for port in ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    ruleset.restrict_self()
}

fn describe(status: &RestrictionStatus) -> String {
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            format!("landlock {}", (effective_abi as u32).min(NEWEST as u32))
        }
        _ => "no landlock (kernel)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    /// In a thread of its own, for which alone it holds. Nothing is looked at where the kernel has none.
    fn restricted(data_dir: Option<&Path>, ports: &[u16], look: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| match &*restrict(data_dir, ports) {
                "no landlock (kernel)" => {}
                said => {
                    assert!(said.starts_with("landlock "), "{said}");
                    look();
                }
            });
        });
    }

    fn denied<T>(result: std::io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    #[test]
    fn no_file_can_be_opened_and_what_is_open_can_be_read() {
        let open = File::open("/proc/self/status").unwrap();
        restricted(None, &[], || {
            assert!(denied(File::open("/proc/self/status")));
            assert!(denied(std::fs::read_dir("/")));
            assert!(std::io::read_to_string(open).unwrap().contains("Name:"));
        });
    }

    #[test]
    fn files_below_the_directory_are_read_written_and_removed() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        restricted(Some(dir.path()), &[], || {
            let path = dir.path().join("x");
            std::fs::write(&path, "x").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"x");
            std::fs::remove_file(&path).unwrap();
            assert!(denied(File::create(other.path().join("x"))));
            assert!(denied(File::open("/etc/passwd")));
        });
    }

    #[test]
    fn no_tcp_and_all_of_udp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        restricted(None, &[], || {
            assert!(denied(TcpStream::connect(address)));
            assert!(denied(TcpListener::bind("127.0.0.1:0")));
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        });
    }

    #[test]
    fn tcp_to_the_named_ports_alone() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [named, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        restricted(None, &[named.port()], || {
            TcpStream::connect(named).unwrap();
            assert!(denied(TcpStream::connect(other)));
            assert!(denied(TcpListener::bind("127.0.0.1:0")));
        });
    }
}
