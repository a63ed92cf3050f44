//! Programs of the system that the supervisor starts as children of its own: `tarantool` for a registry, `mosquitto` for an
//! event broker. Where each is found, where it listens and how it is started; what is written for it is in `files`. What
//! becomes of one that ends is the policy's to say, and nothing here connects to one.

mod files;
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use config::{Address, Config, Remote, Scheme, Url};
use control::Paths;
use sys::{Child, SpawnSystems};

use self::place::Place;
pub(crate) use self::place::PlaceEstate;
use crate::dirs;
use crate::estate::Handed;
use crate::policy::Process;
use crate::say;

/// Where programs lie beside those of PATH, which of a service or an operator often lacks `sbin`.
const DIRS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is known of a program.
struct Program {
    name: &'static str,
    /// Debian's.
    package: &'static str,
    /// Where the configuration asks for it.
    key: &'static str,
    /// What could stand there instead.
    example: &'static str,
    scheme: Scheme,
}

fn program(process: Process) -> Result<Program> {
    Ok(match process {
        Process::Registry => Program {
            name: "tarantool",
            package: "tarantool",
            key: "registry.url",
            example: "tarantool://user@host:3301",
            scheme: Scheme::Tarantool,
        },
        Process::Broker => Program {
            name: "mosquitto",
            package: "mosquitto",
            key: "events.url",
            example: "mqtt://host:1883",
            scheme: Scheme::Mqtt,
        },
        Process::Worker(_) | Process::Services => bail!("{process} is no program of the system"),
    })
}

/// The programs of the system that a configuration asks for, all of which are there.
///
/// # Errors
/// Where one is not: how to get it, and what else can be configured.
pub(crate) fn wanted(config: &Config) -> Result<Vec<Process>> {
    let urls = [(Process::Registry, &config.registry.url), (Process::Broker, &config.events.url)];
    let wanted = urls.into_iter().filter(|(_, url)| **url == Url::Managed).map(|(process, _)| process);
    let wanted: Vec<Process> = wanted.collect();
    wanted.iter().try_for_each(|&process| find(&program(process)?, &searched()).map(drop))?;
    Ok(wanted)
}

/// Directories that programs are looked for in, in this order.
fn searched() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(DIRS.map(PathBuf::from)).collect()
}

/// Where a program lies.
fn find(program: &Program, dirs: &[PathBuf]) -> Result<PathBuf> {
    let is_program = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let Program { name, package, key, example, .. } = program;
    // A relative one is what anybody may have laid where we were started.
    let files = dirs.iter().filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    files.into_iter().find(is_program).ok_or_else(|| {
        anyhow!(
            "{key} is \"managed\", and there is no program {name} on this machine: install it with `apt-get install \
             {package}`, or set {key} to \"embedded\", or to a server that runs by itself, e.g. \"{example}\""
        )
    })
}

/// All programs of the system that a cluster has.
pub(crate) struct Managed {
    /// Where their configuration lies; absolute, since they work elsewhere.
    paths: Paths,
    places: BTreeMap<Process, Place>,
}

impl Managed {
    /// These, with a free port each; none is started yet.
    pub(crate) fn new(paths: &Paths, wanted: &[Process]) -> Result<Self> {
        let place = |&process| Ok((process, Place::any().context("there is no free port on 127.0.0.1")?));
        Self::with(paths, wanted.iter().map(place).collect::<Result<_>>()?)
    }

    fn with(paths: &Paths, places: BTreeMap<Process, Place>) -> Result<Self> {
        let dir = std::path::absolute(paths.dir())
            .with_context(|| format!("cannot tell where {} is", paths.dir().display()))?;
        Ok(Self { paths: Paths::new(dir), places })
    }

    /// As they go to the next supervisor.
    pub(crate) fn bequeath<'a>(&'a self, handed: &mut Handed<'a>) -> Vec<PlaceEstate> {
        self.places.iter().map(|(&process, place)| place.bequeath(process, handed)).collect()
    }

    /// What the supervisor before has left.
    pub(crate) fn inherit(paths: &Paths, estate: &[PlaceEstate]) -> Result<Self> {
        let places = estate.iter().map(Place::inherit).collect::<Result<_>>()?;
        Self::with(paths, places)
    }

    /// Where one listens, or will.
    pub(crate) fn address(&self, process: Process) -> Option<String> {
        self.places.get(&process).map(|place| place.address().to_string())
    }

    /// A configuration as the services get it: with addresses in the place of `managed`.
    pub(crate) fn resolve(&self, config: &Config) -> Config {
        let mut config = config.clone();
        let urls = [(Process::Registry, &mut config.registry.url), (Process::Broker, &mut config.events.url)];
        for (process, url) in urls.into_iter().filter(|(_, url)| **url == Url::Managed) {
            if let (Some(place), Ok(program)) = (self.places.get(&process), program(process)) {
                let (host, port) = (place.address().ip().to_string(), place.address().port());
                let address = Address::Host { host, port };
                *url = Url::Remote(Remote { scheme: program.scheme, user: None, address });
            }
        }
        config
    }

    /// Starts one, where it was if nobody else listens there now. What it prints goes to `output`.
    pub(crate) fn start(
        &mut self,
        process: Process,
        data_dir: &Path,
        output: BorrowedFd<'_>,
    ) -> Result<Child> {
        let program = program(process)?;
        let place = self.places.get_mut(&process).with_context(|| format!("{process} has no address"))?;
        if place.is_taken() {
            let before = place.address();
            *place = Place::any().context("there is no free port on 127.0.0.1")?;
            say::log(&format!(
                "{process}: another program listens on {before}: {} from now on",
                place.address()
            ));
        }
        // Looked for each time: a package that is upgraded puts other files in its place.
        let path = find(&program, &searched())?;
        let data_dir = std::path::absolute(data_dir)
            .with_context(|| format!("cannot tell where {} is", data_dir.display()))?;
        let dir = data_dir.join(program.name);
        dirs::make_private(&dir)?;
        let arguments = files::write(process, &self.paths, &dir, place.address())?;
        SpawnSystems { program: &path, arguments: &arguments, dir: &dir, output }
            .start()
            .with_context(|| format!("cannot start {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_absolute_directories_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (program, file) = (program(Process::Broker).unwrap(), dir.path().join("mosquitto"));
        let dirs = [Path::new("."), Path::new("/nowhere"), dir.path()].map(PathBuf::from);
        let missing = find(&program, &dirs).unwrap_err().to_string();
        let expected = "events.url is \"managed\", and there is no program mosquitto on this machine: install it with \
                        `apt-get install mosquitto`, or set events.url to \"embedded\", or to a server that runs by \
                        itself, e.g. \"mqtt://host:1883\"";
        assert_eq!(missing, expected);
        fs::write(&file, "").unwrap();
        assert!(find(&program, &dirs).is_err(), "it cannot be executed");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&program, &dirs).unwrap(), file);
    }

    #[test]
    fn services_are_told_addresses() {
        let config = Config::parse("registry.url = \"managed\"\nevents.url = \"mqtt://b\"").unwrap();
        let managed = Managed::new(&Paths::new("run"), &[Process::Registry]).unwrap();
        let told = managed.resolve(&config);
        let address = managed.address(Process::Registry).unwrap();
        assert_eq!(told.registry.url.to_string(), format!("tarantool://{address}"));
        assert_eq!((told.events, managed.address(Process::Broker)), (config.events, None));
        assert!(managed.paths.dir().is_absolute());
    }
}
