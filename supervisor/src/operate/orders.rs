//! Orders that take their time: begun by one request, watched by others until they are done.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use control::{DeathInfo, OperationInfo, Paths, SupervisorRequest, request};

use super::{TIMEOUT, print_json};
use crate::cli::Restartable;
use crate::say;

/// Longer than anything that is ordered takes.
const DONE_TIMEOUT: Duration = Duration::from_secs(120);
/// The answer to an upgrade comes when the new program has tried to take over.
const REHEARSED_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// How processes ended lately.
pub(crate) fn panics(paths: &Paths, json: bool) -> Result<()> {
    let deaths: Vec<DeathInfo> = request(paths, &SupervisorRequest::Deaths, TIMEOUT)?;
    if json {
        return print_json(&deaths);
    }
    if deaths.is_empty() {
        say::line("no process has died since the start of the cluster");
    }
    for DeathInfo { at_ms, process, pid, how, words, work } in deaths {
        let time = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_millis(at_ms));
        let work = work.map(|work| format!(" over {work}")).unwrap_or_default();
        say::line(&format!("{time}  {process} (pid {pid}) ended with {how}{work}"));
        for line in words.iter().flat_map(|words| words.lines()) {
            say::line(&format!("    {}", say::clean(line)));
        }
    }
    Ok(())
}

pub(crate) fn restart(paths: &Paths, process: Restartable) -> Result<()> {
    let worker = match process {
        Restartable::Worker(slot) => Some(slot),
        Restartable::Services => None,
    };
    request::<(), _>(paths, &SupervisorRequest::Restart { worker }, TIMEOUT)?;
    watch(paths)
}

pub(crate) fn drain(paths: &Paths, worker: u8) -> Result<()> {
    request::<(), _>(paths, &SupervisorRequest::Drain { worker }, TIMEOUT)?;
    watch(paths)
}

pub(crate) fn scale(paths: &Paths, workers: u16) -> Result<()> {
    request::<(), _>(paths, &SupervisorRequest::Scale { workers }, TIMEOUT)?;
    watch(paths)
}

pub(crate) fn reload(paths: &Paths) -> Result<()> {
    let changes: Vec<String> = request(paths, &SupervisorRequest::Reload, TIMEOUT)?;
    if changes.is_empty() {
        say::line("nothing has changed");
        return Ok(());
    }
    changes.iter().for_each(|change| say::line(&format!("  {change}")));
    watch(paths)
}

pub(crate) fn upgrade(paths: &Paths) -> Result<()> {
    request::<(), _>(paths, &SupervisorRequest::Upgrade, REHEARSED_TIMEOUT)?;
    watch(paths)
}

/// Prints how the last order goes on, until it is done.
fn watch(paths: &Paths) -> Result<()> {
    let since = Instant::now();
    let mut told = 0;
    while since.elapsed() < DONE_TIMEOUT {
        let operation: Option<OperationInfo> = request(paths, &SupervisorRequest::Operation, TIMEOUT)?;
        let Some(OperationInfo { steps, result, .. }) = operation else { bail!("nothing was ordered") };
        for step in steps.iter().skip(told) {
            say::line(&format!("  {step}"));
        }
        told = steps.len();
        match result {
            Some(Ok(text)) => {
                say::line(&text);
                return Ok(());
            }
            Some(Err(why)) => bail!(why),
            None => std::thread::sleep(POLL),
        }
    }
    bail!("not done after {} s: it goes on; see `bmctl status`", DONE_TIMEOUT.as_secs())
}
