//! The operator's verbs: each asks the supervisor or the services and prints the answer.

mod devices;
mod hosts;
mod monitor;
mod nodes;
mod orders;
mod peers;
mod radios;
mod registry;
mod top;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control::{
    CallInfo, ClusterState, ContextInfo, Exit, Paths, ServicesRequest, State, Status, SupervisorRequest,
    request,
};
use serde::Serialize;

use crate::cli::AnySlot;
use crate::say;

pub(crate) use devices::{device, subscribe, unsubscribe};
pub(crate) use hosts::hosts;
pub(crate) use monitor::monitor;
pub(crate) use nodes::nodes;
pub(crate) use orders::{drain, panics, reload, restart, scale, upgrade};
pub(crate) use peers::peers;
pub(crate) use radios::{ban, bans, last_heard, unban};
pub(crate) use registry::registry;
pub(crate) use top::top;

/// For an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole cluster to end: longer than the supervisor gives its children, one kind after the other.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What the supervisor says of the cluster.
pub(crate) fn ask_status(paths: &Paths) -> Result<Status> {
    Ok(request(paths, &SupervisorRequest::Status, TIMEOUT)?)
}

fn print_json(value: &impl Serialize) -> Result<()> {
    say::line(&serde_json::to_string(value)?);
    Ok(())
}

pub(crate) fn status(paths: &Paths, json: bool) -> Result<Exit> {
    let status = ask_status(paths)?;
    let exit = if status.state == ClusterState::Degraded { Exit::Degraded } else { Exit::Ok };
    if json {
        print_json(&status)?;
        return Ok(exit);
    }
    let Status { state, pid, version, uptime_s, workers, services, registry, events, listen, metrics } =
        status;
    say::line(&format!("{}  pid {pid}  version {version}  up {uptime_s} s", word(&state)));
    for (stack, addresses) in listen {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        say::line(&format!("{stack} on udp {}", addresses.join(" and ")));
    }
    say::line("worker  node      pid      core  state     shards  contexts  calls  restarts  stacks");
    for worker in &workers {
        let pid = worker.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let cpu = worker.cpu.map_or_else(|| "any".to_owned(), |cpu| cpu.to_string());
        say::line(&format!(
            "{:<7} {:<9} {pid:<8} {cpu:<5} {:<9} {:<7} {:<9} {:<6} {:<9} {}",
            worker.slot,
            worker.node,
            word(&worker.state),
            worker.shards,
            worker.contexts,
            worker.sessions,
            worker.restarts,
            worker.stacks.join(", "),
        ));
    }
    for worker in workers.iter().filter(|worker| worker.state != State::Ready) {
        if let Some(ended) = &worker.ended {
            say::line(&format!("worker {} ended last with {}", worker.slot, say::clean(ended)));
        }
    }
    let mut held: Vec<&String> = workers.iter().filter_map(|worker| worker.sandbox.as_ref()).collect();
    held.dedup();
    held.into_iter().for_each(|sandbox| say::line(&format!("workers   {sandbox}")));
    let pid = services.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    say::line(&format!("services  pid {pid}  {}", word(&services.state)));
    services.sandbox.iter().for_each(|sandbox| say::line(&format!("services  {sandbox}")));
    say::line(&format!("registry  {}  {}", say::store(&registry), word(&registry.state)));
    say::line(&format!("events    {}  {}", say::store(&events), word(&events.state)));
    if let Some(metrics) = metrics {
        say::line(&format!("metrics   http://{metrics}/metrics"));
    }
    Ok(exit)
}

/// A state as JSON writes it, so that both forms use one word.
fn word(state: &impl Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(crate) fn stop(paths: &Paths) -> Result<()> {
    let status = ask_status(paths)?;
    request::<(), _>(paths, &SupervisorRequest::Stop, TIMEOUT)?;
    let since = Instant::now();
    // The supervisor removes its sockets last of all.
    while paths.control().exists() {
        if since.elapsed() > STOP_TIMEOUT {
            bail!(
                "the cluster (pid {}) has not ended within {} s: see its output, or kill it with -9: nothing \
                 of it stays behind",
                status.pid,
                STOP_TIMEOUT.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    say::line(&format!("stopped (pid {})", status.pid));
    Ok(())
}

pub(crate) fn events(paths: &Paths) -> Result<()> {
    for line in control::events(paths, TIMEOUT)? {
        // Nobody reads any more: that is the usual end of a pipe.
        if writeln!(io::stdout(), "{}", line.context("the services' events cannot be read")?).is_err() {
            return Ok(());
        }
    }
    bail!("the services have closed the connection: see `bmctl status`, and ask for events again");
}

fn talkgroups(list: &[u32]) -> String {
    if list.is_empty() {
        return "-".to_owned();
    }
    list.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

pub(crate) fn contexts(paths: &Paths, json: bool) -> Result<()> {
    let contexts: Vec<ContextInfo> = request(paths, &ServicesRequest::Contexts, TIMEOUT)?;
    if json {
        return print_json(&contexts);
    }
    say::line("id         call      worker  state        address                 ts1 / ts2 (dynamic), rules");
    for context in contexts {
        let mut rules = String::new();
        if !context.blocked.is_empty() {
            rules.push_str(&format!(", blocked {}", talkgroups(&context.blocked)));
        }
        if context.single {
            rules.push_str(", single");
        }
        let dynamic = |list: &[control::Dynamic]| {
            talkgroups(&list.iter().map(|dynamic| dynamic.talkgroup).collect::<Vec<_>>())
        };
        say::line(&format!(
            "{:<10} {:<9} {:<7} {:<12} {:<23} {} / {} ({} / {}){rules}",
            context.id,
            context.call,
            context.worker,
            word(&context.state),
            context.address.to_string(),
            talkgroups(&context.statics.ts1),
            talkgroups(&context.statics.ts2),
            dynamic(&context.dynamics.ts1),
            dynamic(&context.dynamics.ts2),
        ));
    }
    Ok(())
}

pub(crate) fn calls(paths: &Paths, json: bool) -> Result<()> {
    let calls: Vec<CallInfo> = request(paths, &ServicesRequest::Calls, TIMEOUT)?;
    if json {
        return print_json(&calls);
    }
    say::line(
        "source    destination  kind     from       slot  worker  seconds  session                               state",
    );
    for call in calls {
        let state = call.refused.map_or_else(|| "carried".to_owned(), |why| format!("refused: {why}"));
        let kind = if call.group { "group" } else { "private" };
        say::line(&format!(
            "{:<9} {:<12} {kind:<8} {:<10} {:<5} {:<7} {:<8.1} {}  {state}",
            call.source, call.destination, call.context, call.slot, call.worker, call.seconds, call.session
        ));
    }
    Ok(())
}

pub(crate) fn kick(paths: &Paths, id: u32) -> Result<()> {
    request::<(), _>(paths, &ServicesRequest::Kick { id }, TIMEOUT)?;
    say::line(&format!("{id} kicked"));
    Ok(())
}

pub(crate) fn drop_call(paths: &Paths, AnySlot { id, slot }: AnySlot) -> Result<()> {
    let count: usize = request(paths, &ServicesRequest::DropCall { id, slot }, TIMEOUT)?;
    dropped(id, slot, count, "call");
    Ok(())
}

pub(crate) fn drop_dynamic(paths: &Paths, AnySlot { id, slot }: AnySlot) -> Result<()> {
    let count: usize = request(paths, &ServicesRequest::DropDynamic { id, slot }, TIMEOUT)?;
    dropped(id, slot, count, "dynamic talkgroup");
    Ok(())
}

fn dropped(id: u32, slot: Option<u8>, count: usize, what: &str) {
    let slot = slot.map(|slot| format!(" on TS{slot}")).unwrap_or_default();
    say::line(&match count {
        0 => format!("{id} has no {what}{slot}: nothing to drop"),
        1 => format!("1 {what} of {id} dropped{slot}"),
        _ => format!("{count} {what}s of {id} dropped{slot}"),
    });
}
