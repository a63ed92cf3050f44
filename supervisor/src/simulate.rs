//! `bmctl sim`: finds the cluster and runs the simulator against it.

mod network;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use control::{ContextInfo, ContextState, Exit, Paths, ServicesRequest, Status, request};
use sim::{Place, Settings, Table};

use crate::cli::Sim;
use crate::{operate, say};

/// What went wrong, where it went wrong before there was a result.
const WHAT: &str = "the simulation could not run (its password is the development password, or that in \
                    --password-file; none of its repeaters may have one of its own)";
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn sim(paths: &Paths, args: &Sim) -> Result<Exit> {
    let password = match &args.password_file {
        None => config::DEVELOPMENT_PASSWORD.to_owned(),
        Some(path) => read_secret("password", path)?,
    };
    // A server elsewhere is simulated against without a cluster here.
    let status = match (args.server, operate::ask_status(paths)) {
        (None, status) => Some(status?),
        (Some(_), status) => status.ok(),
    };
    let listen = status.as_ref().and_then(|status| status.listen.get("mmdvm")?.first().copied());
    let server = args.server.or(listen).context("the cluster has no mmdvm stack: give one with --server")?;
    match (args.demo, status) {
        (true, Some(status)) => demo(paths, server, &password, &status),
        (true, None) => Err(anyhow!("--demo shows which worker does what: leave --server out")),
        (false, status) => load(args, server, &password, status.as_ref()),
    }
}

fn read_secret(what: &str, path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the {what} from {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn demo(paths: &Paths, server: SocketAddr, password: &str, status: &Status) -> Result<Exit> {
    let mut where_is = |id: u32| {
        let contexts: Vec<ContextInfo> =
            request(paths, &ServicesRequest::Contexts, TIMEOUT).map_err(|error| error.to_string())?;
        let found =
            contexts.iter().find(|context| context.id == id && context.state == ContextState::Connected);
        Ok(found.and_then(|context| {
            let worker = status.workers.iter().find(|worker| worker.slot == context.worker)?;
            Some(Place { worker: usize::from(worker.slot), node: worker.node })
        }))
    };
    let story = sim::demo(server, password, status.workers.len(), &mut where_is).context(WHAT)?;
    story.sentences.iter().for_each(|sentence| say::line(sentence));
    Ok(if story.success { Exit::Ok } else { Exit::Failure })
}

/// How the cluster is that has this runtime directory.
fn ask(dir: &Path) -> Result<Status> {
    let paths = Paths::new(dir.to_owned());
    operate::ask_status(&paths).with_context(|| format!("no cluster answers in {} (--across)", dir.display()))
}

/// Where a cluster's mmdvm stack listens, if possible in the family of this address.
fn mmdvm(status: &Status, like: SocketAddr) -> Option<SocketAddr> {
    let listen = status.listen.get("mmdvm")?;
    let is_like = |address: &&SocketAddr| address.is_ipv4() == like.is_ipv4();
    listen.iter().find(is_like).or(listen.first()).copied()
}

fn load(args: &Sim, server: SocketAddr, password: &str, status: Option<&Status>) -> Result<Exit> {
    let others: Vec<Status> = args.across.iter().map(|dir| ask(dir)).collect::<Result<_>>()?;
    let listens = others.iter().zip(&args.across).map(|(other, dir)| {
        mmdvm(other, server).with_context(|| format!("the cluster in {} has no mmdvm stack", dir.display()))
    });
    let mut servers: Vec<SocketAddr> = listens.collect::<Result<_>>()?;
    servers.extend(&args.across_server);
    let statuses = status.into_iter().chain(&others);
    let pids = statuses.flat_map(|status| &status.workers).filter_map(|worker| worker.pid);
    let defaults = Settings::new(server, password);
    let network = network::find(args, defaults.first_talkgroup, status)?;
    let seed = if network.is_some() { sys::Clocks::now().wall_us } else { defaults.seed };
    let settings = Settings {
        repeaters: args.repeaters,
        talkgroups: args.talkgroups,
        calls: args.calls,
        seconds: args.seconds,
        in_flight: args.in_flight,
        seed: args.seed.unwrap_or(seed),
        network,
        others: servers,
        pids: pids.filter_map(|pid| i32::try_from(pid).ok()).collect(),
        ..defaults
    };
    let report = sim::run(&settings).context(WHAT)?;
    let floor = if args.floor { Some(sim::run_floor(&settings, Some(0))?) } else { None };
    let mut columns = vec![("this cluster", &report)];
    columns.extend(floor.as_ref().map(|floor| ("bare sendto loop", floor)));
    if args.json {
        let json: serde_json::Map<_, _> = columns
            .iter()
            .map(|&(name, report)| Ok((name.to_owned(), serde_json::to_value(report)?)))
            .collect::<Result<_>>()?;
        say::line(&serde_json::to_string(&json)?);
    } else {
        say::line(&Table(&columns).to_string());
        if let Some(floor) = &floor {
            say::line(&format!("this cluster / bare sendto loop: {}", report.ratios(floor)));
        }
    }
    let hint =
        report.network.as_ref().and_then(|bridged| network::hint(args, settings.first_talkgroup, bridged));
    hint.iter().for_each(|hint| say::warning(hint));
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Failure })
}
