//! What `bmctl start` says: the start on standard output, what happens later on standard error. Nobody may be
//! reading, so failures to write are ignored.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use control::WorkerStatus;

/// A line on standard output.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What happened while the cluster runs.
pub(crate) fn log(text: &str) {
    let _ = writeln!(io::stderr(), "bmctl: {text}");
}

/// Something the operator should change.
pub(crate) fn warning(text: &str) {
    let _ = writeln!(io::stderr(), "bmctl: warning: {text}");
}

pub(crate) fn worker(worker: &WorkerStatus) {
    let WorkerStatus { slot, node, pid, cpu, stacks, .. } = worker;
    let pid = pid.unwrap_or_default();
    let cpu = cpu.map_or_else(|| "any core".to_owned(), |cpu| format!("core {cpu}"));
    let stacks = if stacks.is_empty() { "no stack".to_owned() } else { stacks.join(", ") };
    line(&format!("  worker {slot}   node {node}  pid {pid}  {cpu}  {stacks}"));
}

pub(crate) fn services(pid: u32, facts: &BTreeMap<String, String>) {
    let metrics = facts.get("metrics").map(|at| format!("  metrics http://{at}/metrics")).unwrap_or_default();
    line(&format!("  services   pid {pid}  registry embedded  events embedded{metrics}"));
}

pub(crate) fn ready(after: Duration) {
    let ms = after.as_millis();
    line(&format!("ready after {ms} ms; try `bmctl sim --demo` in a second terminal, end with Ctrl-C"));
}
