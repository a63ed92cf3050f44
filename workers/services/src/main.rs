//! The services: one process a host for all that is slow. It answers logins from the registry, of which it is
//! the sole owner, turns reports of the workers into events, serves the request socket and the metrics.
//!
//! Workers never wait for it: what they tell it lies in queues, and what it needs to know of them in segments
//! that outlive both. It carries no packet, decides no call and starts no process.
//!
//! The exit codes are 0 when told to stop or left alone by the supervisor, 78 (EX_CONFIG) where a second start
//! would fail in the same way, and 75 (EX_TEMPFAIL) where it may not.

#![forbid(unsafe_code)]

mod answer;
mod backoff;
mod bans;
mod bus;
mod calls;
mod changed;
mod contexts;
mod devices;
mod error;
mod facts;
mod follow;
mod heard;
mod host;
mod host_list;
mod hosts;
mod http;
mod log;
mod login;
mod mqtt;
mod names;
mod orders;
mod peers;
mod pump;
mod reach;
mod records;
mod refusals;
mod relay;
mod requests;
mod resolve;
mod services;
mod setup;
mod timed;
mod uplink;
mod ways;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use channel::{Child, Socket};
use error::Error;
use events::Event;
use facts::READY;
use services::Shared;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

const EX_TEMPFAIL: u8 = 75;
const EX_CONFIG: u8 = 78;
/// How long connections may take to read what has been said before the end.
const LAST_MOMENT: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let socket = match Socket::of_child() {
        Ok(socket) => socket,
        Err(error) => return fail(&error.into()),
    };
    match start(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        // The supervisor is gone, and nobody is left to serve.
        Err(Error::Channel(channel::Error::System(_))) => ExitCode::SUCCESS,
        Err(error) => {
            if error.is_lasting() {
                let _ = socket.send(&Child::Failed { reason: error.to_string() }, &[]);
            }
            fail(&error)
        }
    }
}

fn fail(error: &Error) -> ExitCode {
    log::line(format_args!("services: {error}"));
    ExitCode::from(if error.is_lasting() { EX_CONFIG } else { EX_TEMPFAIL })
}

fn start(socket: &Socket) -> Result<(), Error> {
    let begin = setup::receive(socket)?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.map_err(Error::system("starting the runtime"))?.block_on(run(socket, begin))
}

async fn run(socket: &Socket, begin: setup::Begin) -> Result<(), Error> {
    let setup::Begin { setup, services, wake, requests } = begin;
    let address = setup.config.metrics.listen;
    let refused = |source| Error::Metrics { address, source };
    let http = TcpListener::bind(address).await.map_err(refused).map_err(Error::if_first(setup.again))?;
    let metrics = http.local_addr().map_err(refused)?;
    let requests = UnixListener::from_std(requests).map_err(Error::system("taking the request socket"))?;

    let shared = Rc::new(RefCell::new(services));
    let connections = Arc::new(Semaphore::new(requests::MAX_CONNECTIONS));
    spawn_local(requests::serve(requests, Rc::clone(&shared), Arc::clone(&connections)));
    spawn_local(http::serve(http, Rc::clone(&shared)));

    let registry = usable(&shared, "registry", follow::Server::of(&setup.config.registry), setup.again)?;
    let broker = usable(&shared, "events", mqtt::Way::new(&setup.config.events), setup.again)?;
    let ports = [registry.as_ref().map(follow::Server::ports), broker.as_ref().map(mqtt::Way::ports)];
    let has_uplinks = ports.iter().any(Option::is_some);
    let ports: Vec<u16> = ports.into_iter().flatten().flatten().collect();
    let uplinks = has_uplinks.then_some(&*ports);
    let resolver = names(&shared);
    let profile =
        sandbox::Profile::Services { data_dir: &setup.data_dir, uplinks, names: resolver.is_some() };
    let sandbox = sandbox::enter(profile).map_err(Error::system("the sandbox"))?;
    if let Some(resolver) = resolver {
        resolve::begin(&shared, resolver);
    }
    begin_uplinks(&shared, registry, broker).await;
    let facts = {
        let facts = &mut shared.borrow_mut().facts;
        facts.set("metrics", &metrics.to_string());
        facts.set("sandbox", &sandbox);
        facts.take_changes().unwrap_or_default()
    };
    socket.send(&Child::Ready { facts }, &[])?;
    let workers = u16::try_from(shared.borrow().host.slots().len()).unwrap_or(u16::MAX);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    shared.borrow().bus.emit(None, Event::SystemStarted { version, workers });

    pump::run(&shared, socket, wake).await?;
    shared.borrow_mut().keep_heard();
    // Whoever listens is to hear of the end.
    let broker = shared.borrow_mut().bus.close();
    if let Some(broker) = broker {
        broker.farewell().await;
    }
    let all = u32::try_from(requests::MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(LAST_MOMENT, connections.acquire_many(all)).await;
    Ok(())
}

/// What is needed to reach a registry or broker, if there is one. A file that has gone since the cluster was started (`again`) is
/// no reason to leave all else undone: the fact of that name says it.
fn usable<T>(
    shared: &Shared,
    fact: &str,
    made: Result<Option<T>, Error>,
    again: bool,
) -> Result<Option<T>, Error> {
    let facts = &mut shared.borrow_mut().facts;
    facts.set(fact, READY);
    match made {
        Err(error @ Error::NoUplink { .. }) if again => {
            log::line(format_args!("services: {fact}: {error}"));
            facts.set(fact, &format!("{error}; mend that, then `bmctl restart services`"));
            Ok(None)
        }
        made => made,
    }
}

/// What looks up the names of peers and hosts, where there can be any. Without it those with an address are reached all the same.
fn names(shared: &Shared) -> Option<resolve::Resolver> {
    if !shared.borrow().peers.is_on() && !shared.borrow().hosts.are_on() {
        return None;
    }
    match resolve::Resolver::new() {
        Ok(resolver) => Some(resolver),
        Err(reason) => {
            log::line(format_args!("services: {reason}; mend that, then `bmctl restart services`"));
            None
        }
    }
}

/// Begins to follow a registry and to publish to a broker, where there are any, and waits a moment for how that goes.
async fn begin_uplinks(shared: &Shared, registry: Option<follow::Server>, broker: Option<mqtt::Way>) {
    let follow = async {
        if let Some(server) = registry {
            follow::begin(shared, server).await;
        }
    };
    let publish = async {
        if let Some(way) = broker {
            mqtt::begin(shared, way).await;
        }
    };
    tokio::join!(follow, publish);
}
