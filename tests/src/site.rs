//! Where a cluster of a test listens for other hosts: an address and a key of its own.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// The key of all networks here: sites with it can be joined.
pub const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// The port of the worker in slot 0.
const PORT: u16 = 54_000;

/// A place for a cluster that can be joined with others: an address of this machine that nothing else uses, and a file with a key.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// Its address.
    pub ip: String,
}

impl Site {
    /// One that nobody else has.
    ///
    /// # Panics
    /// Where its files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        static SITES: AtomicU16 = AtomicU16::new(1);
        let (site, pid) = (SITES.fetch_add(1, Ordering::Relaxed), std::process::id());
        let ip = format!("127.{}.{}.{site}", 100 + pid / 250 % 100, pid % 250 + 1);
        let site = Self { dir: tempfile::tempdir().unwrap(), ip };
        site.write_keys(&format!("{KEY}\n"));
        site
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file with its keys.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("fastforward.key")
    }

    /// Writes that file anew.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write_keys(&self, keys: &str) {
        fs::write(self.key_file(), keys).unwrap();
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What the configuration of its cluster needs.
    #[must_use]
    pub fn table(&self, ports: &str) -> String {
        let (ip, file) = (&self.ip, self.key_file());
        format!("[stacks.fastforward]\nlisten = \"{ip}\"\nports = \"{ports}\"\nkey_file = {file:?}\n")
    }

    /// Where the worker in a slot listens.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn address(&self, slot: u16) -> SocketAddr {
        format!("{}:{}", self.ip, PORT + slot).parse().unwrap()
    }

    /// The slots whose ports somebody has.
    #[must_use]
    pub fn bound(&self) -> Vec<u16> {
        (0..4).filter(|slot| UdpSocket::bind(self.address(*slot)).is_err()).collect()
    }

    /// What the kernel says of the socket of a slot: its inode, and how many bytes wait in it.
    ///
    /// # Panics
    /// Where nobody has it.
    #[must_use]
    pub fn socket(&self, slot: u16) -> (String, u64) {
        let SocketAddr::V4(address) = self.address(slot) else { panic!() };
        let local = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
        let table = fs::read_to_string("/proc/net/udp").unwrap();
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let fields = fields.into_iter().find(|fields| fields.get(1) == Some(&&*local)).expect("it is bound");
        let waits = fields[4].split_once(':').unwrap().1;
        (fields[9].to_owned(), u64::from_str_radix(waits, 16).unwrap())
    }

    /// Whether a process has the socket of a slot.
    #[must_use]
    pub fn is_held_by(&self, slot: u16, pid: u32) -> bool {
        let link = format!("socket:[{}]", self.socket(slot).0);
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&link)))
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}
