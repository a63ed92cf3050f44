//! An upgrade: the supervisor executes the program that lies on disk now in its own place, with all that it keeps, and that
//! one replaces services and workers one after the other. First it rehearses: a child takes all over, and ends. Where the new
//! processes do not get ready, the old ones are put back, and the old supervisor in its place.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use channel::Socket;
use control::{OperationInfo, Paths};
use fabric::ABI;
use nix::sys::signalfd::SignalFd;
use sys::{Child, Clocks};

use super::{Source, Supervisor};
use crate::children::{Generation, Nursery, Running};
use crate::estate::{ChildEstate, Estate, FORMAT, GenerationEstate, Handed, arguments, take};
use crate::foreign::Foreign;
use crate::managed::Managed;
use crate::memory::Memory;
use crate::output::Output;
use crate::policy::{Order, Policy};
use crate::ports::Ports;
use crate::programs::{ProgramFds, Programs};
use crate::requests::Requests;
use crate::{dirs, say};

/// A program that has not rehearsed by then is broken.
const REHEARSAL: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Whether an upgrade can begin: the program on disk can take over, and the cluster is at rest. What is told of it
    /// from now on is an operation.
    pub(super) fn prepare_upgrade(&mut self) -> Result<(), String> {
        if self.policy.has_foreign() || self.is_going_back {
            return Err("some processes are of the build before still: `bmctl restart` them first".to_owned());
        }
        let program = self.program.clone();
        let told = |error: anyhow::Error| format!("{error:#}; all is as it was before");
        let (_, generation) = self.nursery.newest().ok_or("there is no configuration")?;
        Programs::open(&program, &generation.config).map_err(told)?;
        let forerunner = File::open("/proc/self/exe").context("cannot open this program").map_err(told)?;
        let number = self.operation.as_ref().map_or(0, |operation| operation.number + 1);
        let what = "upgrade".to_owned();
        let before = self.operation.replace(OperationInfo { number, what, steps: Vec::new(), result: None });
        let tried = self
            .with_estate(Some(&forerunner), |estate, runtime_dir| rehearse(&program, estate, runtime_dir));
        if let Err(error) = tried {
            self.operation = before;
            return Err(format!("{} cannot take over: {}", program.display(), told(error)));
        }
        Ok(())
    }

    /// Executes the program on disk in our place. Returns only where that failed.
    pub(super) fn upgrade(&mut self) {
        let program = self.program.clone();
        say::log(&format!("upgrade: executing {}", program.display()));
        let gone = File::open("/proc/self/exe").map_err(anyhow::Error::from).and_then(|forerunner| {
            self.with_estate(Some(&forerunner), |estate, runtime_dir| execute(&program, estate, runtime_dir))
        });
        if let Err(error) = gone {
            self.finished(Err(format!("{} cannot be executed: {error:#}", program.display())));
        }
    }

    /// Goes back to the program before, where the new processes did not get ready. Returns where that cannot be yet.
    pub(super) fn go_back(&mut self) {
        let Some(forerunner) = &self.forerunner else {
            self.is_going_back = false;
            return;
        };
        if self.policy.snapshot().is_err() {
            // Something starts, or is handed over: it will be done in a moment.
            return;
        }
        say::log("upgrade: executing the program before");
        let program = format!("/proc/self/fd/{}", forerunner.as_raw_fd());
        let gone =
            self.with_estate(None, |estate, runtime_dir| execute(Path::new(&program), estate, runtime_dir));
        if let Err(error) = gone {
            say::log(&format!("the program before cannot be executed: {error:#}; this one goes on"));
            (self.is_going_back, self.forerunner) = (false, None);
        }
    }

    /// Writes down all that there is, and does something with it while its descriptors stay open over an exec.
    fn with_estate(
        &self,
        forerunner: Option<&File>,
        use_it: impl FnOnce(BorrowedFd<'_>, &Path) -> Result<()>,
    ) -> Result<()> {
        let mut handed = Handed::default();
        let estate = self.estate(forerunner, &mut handed)?;
        let written = estate.write()?;
        handed.fd(written.as_fd());
        handed.keep_open(true)?;
        let result = use_it(written.as_fd(), &estate.runtime_dir);
        handed.keep_open(false)?;
        result
    }

    fn estate<'a>(&'a self, forerunner: Option<&'a File>, handed: &mut Handed<'a>) -> Result<Estate> {
        if !self.leaving.is_empty() || !self.standbys.is_empty() {
            bail!("a process is still ending: try again in a moment");
        }
        let nursery = &self.nursery;
        let generations = nursery.generations.iter().map(|(&number, generation)| {
            let ProgramFds { worker, services, stacks } = generation.programs.bequeath(handed);
            GenerationEstate { number, worker, services, stacks, config: generation.config.clone() }
        });
        let generations = generations.collect();
        let children = self.children.iter().map(|(&process, child)| ChildEstate {
            process,
            pid: child.process.pid(),
            socket: child.socket.as_ref().map(|socket| handed.fd(socket.as_fd())),
            output: child.output.fd().map(|output| handed.fd(output)),
        });
        let children = children.collect();
        let memory = match &nursery.foreign {
            Some(foreign) => {
                let sockets = nursery.memory.shards.iter().flat_map(|shard| &shard.sockets);
                sockets.for_each(|socket| _ = handed.fd(socket.as_fd()));
                foreign.bequeath(handed)
            }
            None => nursery.memory.bequeath(handed),
        };
        Ok(Estate {
            format: FORMAT,
            abi: nursery.foreign.as_ref().map_or(ABI, |foreign| foreign.abi),
            runtime_dir: self.paths.dir().to_owned(),
            data_dir: nursery.data_dir.clone(),
            file: self.source.file.clone(),
            workers: self.source.workers,
            program: self.program.clone(),
            started_us: self.started_us,
            lock: handed.fd(self.lock.as_fd()),
            control: handed.fd(self.requests.listener()),
            requests: handed.fd(nursery.requests.as_fd()),
            cores: nursery.cores.clone(),
            salt_key: nursery.salt_key,
            wake_us: nursery.wake_us,
            stacks: nursery.stacks.clone(),
            memory,
            ports: nursery.ports.bequeath(handed),
            generations,
            children,
            managed: nursery.managed.bequeath(handed),
            facts: self.facts.iter().map(|(&process, facts)| (process, facts.clone())).collect(),
            deaths: self.deaths.iter().cloned().collect(),
            operation: self.operation.clone(),
            policy: self.policy.snapshot().map_err(|why| anyhow!(why))?,
            forerunner: forerunner.map(|file| handed.fd(file.as_fd())),
        })
    }

    /// Takes over what the supervisor before has left.
    pub(crate) fn inherit(paths: &Paths, estate: Estate, signals: SignalFd) -> Result<Self> {
        let now = Duration::from_micros(Clocks::now().mono_us.saturating_sub(estate.started_us));
        let mut generations = std::collections::BTreeMap::new();
        for generation in estate.generations {
            let GenerationEstate { number, worker, services, stacks, config } = generation;
            let programs = Rc::new(Programs::inherit(ProgramFds { worker, services, stacks })?);
            generations.insert(number, Generation { programs, config });
        }
        let mut children = std::collections::BTreeMap::new();
        for child in estate.children {
            let output = child.output.map(take).transpose()?;
            let running = Running {
                process: Child::known(child.pid).context("a child of the forerunner")?,
                socket: child.socket.map(take).transpose()?.map(Socket::from),
                output: Output::new(child.process, output.map(Into::into))?,
            };
            children.insert(child.process, running);
        }
        let (memory, foreign) = if estate.abi == ABI {
            (Memory::inherit(estate.memory)?, None)
        } else {
            let programs =
                generations.values().next_back().map(|generation: &Generation| generation.programs.clone());
            let programs = programs.ok_or_else(|| anyhow!("the forerunner has no programs"))?;
            let (foreign, shards) = Foreign::inherit(estate.abi, estate.memory, programs)?;
            let mut memory = Memory::create(shards)?;
            foreign.workers().into_iter().try_for_each(|(slot, node)| memory.add_worker(slot, node))?;
            (memory, Some(foreign))
        };
        let nursery = Nursery {
            have_served: generations.keys().copied().collect(),
            generations,
            memory,
            ports: Ports::inherit(estate.ports)?,
            foreign,
            managed: Managed::inherit(paths, &estate.managed)?,
            data_dir: estate.data_dir,
            stacks: estate.stacks,
            requests: take(estate.requests)?.into(),
            cores: estate.cores,
            salt_key: estate.salt_key,
            wake_us: estate.wake_us,
        };
        let requests = Requests::new(take(estate.control)?.into());
        let forerunner = estate.forerunner.map(take).transpose()?.map(File::from);
        let mut policy = Policy::resume(now, estate.policy);
        policy.name_stacks(nursery.stacks.iter().map(|stack| stack.name.clone()).collect());
        if nursery.foreign.is_some() {
            policy.all_are_foreign();
        }
        let source = Source { file: estate.file, workers: estate.workers };
        // Last of all: from here on an end of this process is the cluster's.
        let lock = dirs::inherit(paths, take(estate.lock)?)?;
        Ok(Self {
            children,
            program: estate.program,
            started_us: estate.started_us,
            told_ready: true,
            facts: estate.facts.into_iter().collect(),
            deaths: estate.deaths.into(),
            operation: estate.operation,
            forerunner,
            ..Self::new(paths, lock, nursery, policy, requests, signals, source)
        })
    }

    /// Whether the programs that this one would go on with can serve: one that is built for another ABI is to be known before
    /// there is no way back.
    pub(crate) fn try_programs(&self) -> Result<()> {
        let (_, generation) = self.nursery.newest().context("there is no generation")?;
        Programs::open(&self.program, &generation.config)?.try_third_party()
    }

    /// Replaces all processes by those of this program, where it has just taken over from another.
    pub(crate) fn go_on_upgrading(&mut self) {
        if self.forerunner.is_none() {
            return;
        }
        let next = self.nursery.newest().map(|(number, generation)| (number + 1, generation.config.clone()));
        let begun = next.ok_or_else(|| anyhow!("there is no generation")).and_then(|(number, config)| {
            let programs = Rc::new(Programs::open(&self.program, &config)?);
            self.nursery.generations.insert(number, Generation { programs, config });
            let now = self.now();
            self.policy
                .order(now, Order::Roll { generation: number, placements: None })
                .map_err(|why| anyhow!(why))
        });
        match begun {
            Ok(()) => {
                let version = env!("CARGO_PKG_VERSION");
                say::log(&format!("upgrade: bmctl {version} has taken over, and replaces all processes"));
                if let Some(operation) = &mut self.operation {
                    operation.steps.push(format!("supervisor replaced, version {version}"));
                }
            }
            Err(error) => self.finished(Err(format!("{error:#}"))),
        }
    }
}

/// Has the program take over as a child, which tries everything and then ends.
fn rehearse(program: &Path, estate: BorrowedFd<'_>, runtime_dir: &Path) -> Result<()> {
    let arguments = arguments(runtime_dir, estate, true);
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = Command::new(program)
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .context("it cannot be started")?;
    let since = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if since.elapsed() > REHEARSAL {
            child.kill()?;
            child.wait()?;
            bail!("it did not try within {} s", REHEARSAL.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if ended.success() {
        return Ok(());
    }
    let mut said = String::new();
    let _ = std::io::Read::read_to_string(&mut reader, &mut said);
    bail!("it ended with {ended} {}", say::clean(&said));
}

/// Executes the program in our place. Signals that are blocked stay blocked.
fn execute(program: &Path, estate: BorrowedFd<'_>, runtime_dir: &Path) -> Result<()> {
    let c_string = |text: &str| CString::new(text).context("a zero byte in a path");
    let arguments: Result<Vec<CString>> =
        arguments(runtime_dir, estate, false).iter().map(|argument| c_string(argument)).collect();
    let program = c_string(&program.display().to_string())?;
    nix::unistd::execv(&program, &arguments?)?;
    Ok(())
}
