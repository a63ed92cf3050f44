//! `bmctl start`: makes everything a cluster needs and runs its supervisor in the foreground.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use channel::StackSetup;
use config::{Config, Workers};
use control::Paths;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::children::{Generation, Nursery};
use crate::estate::Estate;
use crate::managed::Managed;
use crate::memory::Memory;
use crate::policy::Policy;
use crate::ports::Ports;
use crate::programs::{self, Programs};
use crate::requests::Requests;
use crate::supervisor::{Source, Supervisor};
use crate::{dirs, managed, requests, say, sockets, supervisor, wake};

/// Starts a cluster and returns when it has ended.
pub(crate) fn start(paths: &Paths, workers: Option<Workers>, file: Option<PathBuf>) -> Result<()> {
    // First of all: a signal that comes during the start ends it in order, too.
    let signals = supervisor::take_signals()?;
    sys::watch_children().context("cannot watch children")?;
    let mut config = match &file {
        Some(path) => load(path)?,
        None => Config::default(),
    };
    if let Some(workers) = workers {
        config.cluster.workers = workers;
    }
    let cores = sys::cpus().context("cannot tell which cores this process may use")?;
    let count = config.workers_on(cores.len());
    let nodes = config.nodes_for(count)?;
    let wanted = managed::wanted(&config)?;
    let lock = dirs::lock(paths)?;
    raise_file_limit();
    let data_dir = config.cluster.data_dir.clone().unwrap_or_else(|| paths.data());
    dirs::make_private(&data_dir)?;
    let names: Vec<String> = nodes.iter().map(u32::to_string).collect();
    let (pid, plural) = (std::process::id(), if count == 1 { "" } else { "s" });
    let own = config.stacks.own();
    let own =
        if own.is_empty() { String::new() } else { format!(", and one more for each of {}", own.join(", ")) };
    say::tell(&format!("bmctl {} (pid {pid}): {count} worker{plural}{own}", env!("CARGO_PKG_VERSION")));
    say::tell(&format!("  nodes {}  runtime dir {}", names.join(", "), paths.dir().display()));
    let (mut stacks, mut placed, mut shards) = (Vec::new(), Vec::new(), Vec::new());
    for stack in config.stacks.all() {
        let listeners = sockets::bind(stack.name, stack.listen, stack.shards, file.is_none())?;
        let addresses: Vec<String> = listeners.addresses.iter().map(ToString::to_string).collect();
        let (name, number) = (stack.name.to_owned(), stack.shards);
        let plural = if number == 1 { "" } else { "s" };
        say::tell(&format!("  {name} on udp {} in {number} shard{plural}", addresses.join(" and ")));
        placed.push((stack.workers, number));
        shards.extend(listeners.shards.into_iter().map(|sockets| (name.clone(), sockets)));
        stacks.push(StackSetup { name, listen: listeners.addresses, options: Default::default() });
    }
    let ports = bind_ports(&config, nodes.len())?;
    warn_of_passwords(&config);
    let mut policy = Policy::new(count, &placed, &wanted);
    policy.name_stacks(stacks.iter().map(|stack| stack.name.clone()).collect());
    let mut salt_key = [0; 32];
    getrandom::fill(&mut salt_key).context("the kernel gives no random bytes")?;
    let wake = wake::measure(&cores);
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let programs = Programs::open(&program, &config)?;
    let nursery = Nursery {
        memory: Memory::create(shards)?,
        ports,
        have_served: BTreeSet::new(),
        foreign: None,
        managed: Managed::new(paths, &wanted)?,
        generations: BTreeMap::from([(0, Generation { programs: Rc::new(programs), config })]),
        data_dir,
        stacks,
        requests: requests::listen(&paths.services())?,
        cores,
        salt_key,
        wake_us: u32::try_from(wake.as_micros()).unwrap_or(0),
    };
    let requests = Requests::new(requests::listen(&paths.control())?);
    let hint = match &file {
        // The demo knows the development password and no other.
        None => {
            format!("try `bmctl --runtime-dir {} sim --demo` in a second terminal, ", paths.dir().display())
        }
        Some(_) => String::new(),
    };
    let source = Source { file: file.map(|file| file.canonicalize().unwrap_or(file)), workers };
    let mut supervisor = Supervisor::new(paths, lock, nursery, policy, requests, signals, source);
    (supervisor.hint, supervisor.program) = (hint, program);
    run(supervisor)
}

/// The sockets of FastForward for so many workers, those in slot 0, 1, ...
fn bind_ports(config: &Config, workers: usize) -> Result<Ports> {
    let mut ports = Ports::default();
    let Some(fastforward) = &config.stacks.fastforward else { return Ok(ports) };
    ports.bind(Some(fastforward), (0..u8::MAX).take(workers))?;
    let numbers: Vec<String> = fastforward.ports.iter().take(workers).map(|port| port.to_string()).collect();
    say::tell(&format!("  fastforward on udp {} ports {}", fastforward.listen, numbers.join(", ")));
    Ok(ports)
}

fn run(mut supervisor: Supervisor) -> Result<()> {
    let result = supervisor.run();
    if result.is_ok() {
        say::tell("stopped");
    }
    result
}

/// Goes on with a cluster that another supervisor has started and left to this program by an exec. `is_rehearsal`: only
/// tries whether it could.
pub(crate) fn take_over(paths: &Paths, estate: RawFd, is_rehearsal: bool) -> Result<()> {
    let signals = supervisor::take_signals()?;
    let estate = Estate::read(estate)?;
    let mut supervisor = Supervisor::inherit(paths, estate, signals)?;
    if is_rehearsal {
        let tried = supervisor.try_programs();
        if let Err(error) = &tried {
            say::failure(error);
        }
        // Nothing of this is ours: whatever would be cleaned up is still in use.
        std::process::exit(i32::from(tried.is_err()));
    }
    supervisor.go_on_upgrading();
    run(supervisor)
}

/// Sockets and segments of a large cluster are more than the usual soft limit of 1,024.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// `bmctl check`: says whether a configuration file is good.
pub(crate) fn check(file: &std::path::Path) -> Result<()> {
    let config = load(file)?;
    let cores = sys::cpus()?.len();
    let count = config.workers_on(cores);
    let nodes = config.nodes_for(count)?;
    if nodes.is_empty() {
        bail!("{}: no workers", file.display());
    }
    managed::wanted(&config)?;
    programs::open_third_party(&config)?;
    warn_of_passwords(&config);
    let nodes: Vec<String> = nodes.iter().map(u32::to_string).collect();
    say::line(&format!("{}: good; on this machine it starts nodes {}", file.display(), nodes.join(", ")));
    Ok(())
}

fn load(file: &std::path::Path) -> Result<Config> {
    Config::load(file, |name| std::env::var(name).ok())
        .with_context(|| format!("the configuration {} is wrong", file.display()))
}

fn warn_of_passwords(config: &Config) {
    if config.development_password() {
        let password = config::DEVELOPMENT_PASSWORD;
        say::warning(&format!(
            "devices log in with the development password \"{password}\", which everybody knows: \
             set stacks.mmdvm.password in a file and start with --config"
        ));
    } else if config.stacks.mmdvm.password.is_none() {
        say::warning(
            "stacks.mmdvm.password is not set: only devices with a password of their own can log in; give them \
             one with `bmctl device add ID`",
        );
    }
}
