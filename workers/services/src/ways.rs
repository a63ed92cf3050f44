//! What this host has to reach other nodes by. It is looked at once, before the sandbox is entered: later nothing of it
//! can be seen. Nothing is sent.

use std::path::Path;

use registry::Transport;

/// Where the kernel lists what sockets it makes. None is made to find out: few who start us may.
const PROTOCOLS: &str = "/proc/net/protocols";
/// Where the kernel lists network cards with RDMA.
const INFINIBAND: &str = "/sys/class/infiniband";

/// Of ways that a host may have, and FastForward does not take.
const LATER: &str = "FastForward goes by UDP alone so far; choose udp";
const DIRECT: &str = "only nodes of one host share memory, and they need no record for it; choose udp";

/// What is wrong with a way that this host does not have.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    vsock: Option<String>,
    rdma: Option<String>,
}

impl Ways {
    /// Looks at this host.
    pub(crate) fn look() -> Self {
        let protocols = std::fs::read_to_string(PROTOCOLS).unwrap_or_default();
        let vsock = (!has_vsock(&protocols))
            .then(|| format!("this host has no vSockets ({PROTOCOLS} does not list them); choose udp"));
        Self { vsock, rdma: rdma(Path::new(INFINIBAND)) }
    }

    /// Why a node cannot be reached so from here, if it cannot.
    pub(crate) fn why_not(&self, transport: Transport) -> Option<&str> {
        match transport {
            Transport::Udp => None,
            Transport::Tls => Some(LATER),
            Transport::Direct => Some(DIRECT),
            Transport::Vsock => Some(self.vsock.as_deref().unwrap_or(LATER)),
            Transport::Rdma => Some(self.rdma.as_deref().unwrap_or(LATER)),
        }
    }
}

fn has_vsock(protocols: &str) -> bool {
    protocols.lines().any(|line| line.split_whitespace().next() == Some("AF_VSOCK"))
}

fn rdma(dir: &Path) -> Option<String> {
    let is_there = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    let reason = format!(
        "this host has no network card with RDMA ({} is empty or not there); choose udp",
        dir.display()
    );
    (!is_there).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_host_does_not_have_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let missing = rdma(&dir.path().join("none")).unwrap();
        assert!(missing.contains("no network card with RDMA") && rdma(dir.path()).is_some());
        std::fs::create_dir(dir.path().join("mlx5_0")).unwrap();
        assert_eq!(rdma(dir.path()), None);
        let protocols = "protocol  size sockets\nAF_VSOCK  1240 0\nUDP 1 2\n";
        assert!(has_vsock(protocols) && !has_vsock("UDP 1\nXAF_VSOCK 2") && !has_vsock(""));
        let ways = Ways { vsock: None, rdma: Some("x".to_owned()) };
        let [udp, tls, direct, vsock, rdma] = Transport::ALL.map(|way| ways.why_not(way));
        assert_eq!((udp, tls, vsock, rdma), (None, Some(LATER), Some(LATER), Some("x")));
        assert!(direct.is_some());
    }
}
