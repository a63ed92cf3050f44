//! bmctl: the supervisor of a cluster and its operator's tool. The program reads its command line and hands
//! over to one function a verb; every failure ends in one sentence and an exit code.

#![forbid(unsafe_code)]

mod children;
mod cli;
mod dirs;
mod estate;
mod foreign;
mod managed;
mod memory;
mod operate;
mod output;
mod policy;
mod ports;
mod programs;
mod reload;
mod requests;
mod say;
mod simulate;
mod sockets;
mod start;
mod supervisor;
mod systemd;
mod wake;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use cli::{Cli, Verb};
use control::{Exit, Paths};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let dir = cli.runtime_dir.unwrap_or_else(|| {
        let user = nix::unistd::geteuid().as_raw();
        control::default_runtime_dir(|name| std::env::var(name).ok(), user)
    });
    let paths = Paths::new(dir);
    match dirs::check_owner(paths.dir()).and_then(|()| run(&paths, cli.verb)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say::failure(&error);
            exit_of(&error).into()
        }
    }
}

fn run(paths: &Paths, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Start { take_over: Some(estate), rehearse, .. } => {
            start::take_over(paths, estate, rehearse).map(|()| Exit::Ok)
        }
        Verb::Start { workers, config, .. } => start::start(paths, workers, config).map(|()| Exit::Ok),
        Verb::Check { config } => start::check(&config).map(|()| Exit::Ok),
        Verb::Status(args) => operate::status(paths, args.json),
        Verb::Panics(args) => operate::panics(paths, args.json).map(|()| Exit::Ok),
        Verb::Restart { process } => operate::restart(paths, process).map(|()| Exit::Ok),
        Verb::Drain { worker } => operate::drain(paths, worker).map(|()| Exit::Ok),
        Verb::Scale { workers } => operate::scale(paths, workers).map(|()| Exit::Ok),
        Verb::Upgrade => operate::upgrade(paths).map(|()| Exit::Ok),
        Verb::Reload => operate::reload(paths).map(|()| Exit::Ok),
        Verb::Top => operate::top(paths),
        Verb::Stop => operate::stop(paths).map(|()| Exit::Ok),
        Verb::Events => operate::events(paths).map(|()| Exit::Ok),
        Verb::Contexts(args) => operate::contexts(paths, args.json).map(|()| Exit::Ok),
        Verb::Calls(args) => operate::calls(paths, args.json).map(|()| Exit::Ok),
        Verb::Peers(args) => operate::peers(paths, args.json).map(|()| Exit::Ok),
        Verb::Kick { id } => operate::kick(paths, id).map(|()| Exit::Ok),
        Verb::Monitor => operate::monitor(paths).map(|()| Exit::Ok),
        Verb::Lastheard { count, json } => operate::last_heard(paths, count, json.json).map(|()| Exit::Ok),
        Verb::Subscribe(args) => operate::subscribe(paths, &args).map(|()| Exit::Ok),
        Verb::Unsubscribe { id, talkgroup, slot } => {
            operate::unsubscribe(paths, id, talkgroup, slot.slot).map(|()| Exit::Ok)
        }
        Verb::DropCall(args) => operate::drop_call(paths, args).map(|()| Exit::Ok),
        Verb::DropDynamic(args) => operate::drop_dynamic(paths, args).map(|()| Exit::Ok),
        Verb::Ban { id, time, reason } => operate::ban(paths, id, time, reason).map(|()| Exit::Ok),
        Verb::Unban { id } => operate::unban(paths, id).map(|()| Exit::Ok),
        Verb::Bans(args) => operate::bans(paths, args.json).map(|()| Exit::Ok),
        Verb::Device(device) => operate::device(paths, device).map(|()| Exit::Ok),
        Verb::Registry(registry) => operate::registry(paths, registry),
        Verb::Nodes { verb: Some(verb), .. } => operate::nodes(paths, verb).map(|()| Exit::Ok),
        Verb::Nodes { json, verb: None } => operate::hosts(paths, json.json).map(|()| Exit::Ok),
        Verb::Sim(args) => simulate::sim(paths, &args),
    }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<control::Error>() {
        return error.exit();
    }
    if error.is::<dirs::AlreadyRunning>() {
        return Exit::AlreadyRunning;
    }
    if error.is::<config::Error>() { Exit::BadConfiguration } else { Exit::Failure }
}
