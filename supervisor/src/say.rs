//! What bmctl says. An operator's verb prints its answer whole; a cluster tells what happens only as far as
//! somebody reads it, since a supervisor that waits for a reader supervises nothing.

use std::io::{self, Write};
use std::time::Duration;

use control::{Status, StoreStatus, WorkerStatus};

/// A line of an answer, on standard output. Nobody may be reading any more: that is the usual end of a pipe.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What came from elsewhere, without what could do harm on a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The same of several lines: all but the first begin with spaces, so that none can be taken for another's.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n    ")
}

/// A line about the start, on standard output.
pub(crate) fn tell(text: &str) {
    sys::write_line(io::stdout(), text);
}

/// What happened, on standard error.
pub(crate) fn log(text: &str) {
    sys::write_line(io::stderr(), &format!("bmctl: {text}"));
}

/// What a child has printed, on standard error.
pub(crate) fn passed_on(text: &str) {
    sys::write_line(io::stderr(), text);
}

/// Something the operator should change.
pub(crate) fn warning(text: &str) {
    log(&format!("warning: {text}"));
}

/// Why a verb failed: each cause once, though an error may name its own cause as well.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    log(&text);
}

pub(crate) fn worker(worker: &WorkerStatus) {
    let WorkerStatus { slot, node, pid, cpu, stacks, .. } = worker;
    let pid = pid.unwrap_or_default();
    let cpu = cpu.map_or_else(|| "any core".to_owned(), |cpu| format!("core {cpu}"));
    let stacks = if stacks.is_empty() { "no stack".to_owned() } else { stacks.join(", ") };
    tell(&format!("  worker {slot}   node {node}  pid {pid}  {cpu}  {stacks}"));
}

pub(crate) fn services(status: &Status) {
    let pid = status.services.pid.unwrap_or_default();
    let metrics =
        status.metrics.as_ref().map(|at| format!("  metrics http://{at}/metrics")).unwrap_or_default();
    let (registry, events) = (store(&status.registry), store(&status.events));
    tell(&format!("  services   pid {pid}  registry {registry}  events {events}{metrics}"));
}

/// Where a store or broker is, its process if the supervisor has started it, and what is wrong with it.
pub(crate) fn store(store: &StoreStatus) -> String {
    let StoreStatus { url, address, pid, restarts, trouble, .. } = store;
    let address = address.as_ref().filter(|address| !url.contains(*address));
    let address = address.map(|address| format!(" at {address}")).unwrap_or_default();
    let trouble = trouble.as_ref().map(|trouble| format!("  ({})", clean(trouble))).unwrap_or_default();
    let pid = pid.map(|pid| format!("  pid {pid}")).unwrap_or_default();
    let restarts = restarts.filter(|&restarts| restarts > 0);
    let restarts = restarts.map(|restarts| format!("  restarts {restarts}")).unwrap_or_default();
    format!("{url}{address}{pid}{restarts}{trouble}")
}

pub(crate) fn ready(after: Duration, hint: &str) {
    let ms = after.as_millis();
    tell(&format!("ready after {ms} ms; {hint}end with Ctrl-C"));
}
