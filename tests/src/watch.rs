//! A verb of `bmctl` that goes on until it is ended.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::{Cluster, HANG, bmctl, read_lines};

/// `bmctl monitor` on a cluster; it ends with this value.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts it, and waits until it would miss nothing.
    #[must_use]
    pub fn monitor(cluster: &Cluster) -> Self {
        let mut child = Command::new(bmctl())
            .args(["monitor", "--runtime-dir"])
            .arg(cluster.paths().dir())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = read_lines(child.stdout.take().unwrap());
        let watch = Self { child, lines };
        assert!(watch.next().starts_with("UTC "), "no heading");
        watch
    }

    /// The next line.
    ///
    /// # Panics
    /// Where none comes.
    #[must_use]
    pub fn next(&self) -> String {
        self.lines.recv_timeout(HANG).expect("another line")
    }

    /// The next line with all of these in it.
    #[must_use]
    pub fn find(&self, parts: &[&str]) -> String {
        loop {
            let line = self.next();
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
