//! The programs of workers and services, held open: a restart starts what the cluster was started with, even if the files have
//! been replaced since. Who runs them is in `children`.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use config::Config;

use crate::estate::{Handed, take};
use crate::foreign::try_worker;

/// Those of one generation.
#[derive(Debug)]
pub(crate) struct Programs {
    worker: File,
    services: File,
    /// Those of third parties, by stack.
    stacks: BTreeMap<String, File>,
}

/// As they go to the next supervisor.
pub(crate) struct ProgramFds {
    pub(crate) worker: RawFd,
    pub(crate) services: RawFd,
    pub(crate) stacks: BTreeMap<String, RawFd>,
}

impl Programs {
    /// Those that lie beside the program at this path, and those that the configuration names.
    pub(crate) fn open(bmctl: &Path, config: &Config) -> Result<Self> {
        let open = |name: &str| {
            let path = bmctl.with_file_name(name);
            File::open(&path).with_context(|| {
                format!(
                    "cannot open {}: it must lie beside bmctl; `cargo build --release` builds all",
                    path.display()
                )
            })
        };
        let stacks = open_third_party(config)?;
        Ok(Self { worker: open("bm-worker")?, services: open("bm-services")?, stacks })
    }

    /// That of workers.
    pub(crate) fn worker(&self) -> BorrowedFd<'_> {
        self.worker.as_fd()
    }

    /// That of the services.
    pub(crate) fn services(&self) -> BorrowedFd<'_> {
        self.services.as_fd()
    }

    /// That of a third party's stack.
    pub(crate) fn of_stack(&self, stack: &str) -> Result<BorrowedFd<'_>> {
        let program = self.stacks.get(stack);
        Ok(program.with_context(|| format!("the program of stacks.{stack} is gone"))?.as_fd())
    }

    /// Whether those of third parties are workers that understand the memory of this build.
    ///
    /// # Errors
    /// Which one is not, and why.
    pub(crate) fn try_third_party(&self) -> Result<()> {
        self.stacks.iter().try_for_each(|(stack, program)| {
            try_worker(program.as_fd(), "its program").with_context(|| format!("stacks.{stack}.program"))
        })
    }

    pub(crate) fn bequeath<'a>(&'a self, handed: &mut Handed<'a>) -> ProgramFds {
        let stacks = self.stacks.iter().map(|(stack, file)| (stack.clone(), handed.fd(file.as_fd())));
        let stacks = stacks.collect();
        ProgramFds {
            worker: handed.fd(self.worker.as_fd()),
            services: handed.fd(self.services.as_fd()),
            stacks,
        }
    }

    /// What the supervisor before has left.
    pub(crate) fn inherit(fds: ProgramFds) -> Result<Self> {
        let stacks = fds.stacks.into_iter().map(|(stack, fd)| Ok((stack, take(fd)?.into())));
        Ok(Self {
            stacks: stacks.collect::<Result<_>>()?,
            worker: take(fds.worker)?.into(),
            services: take(fds.services)?.into(),
        })
    }
}

/// The programs of third parties that a configuration names, by stack.
///
/// # Errors
/// Which one is none, and what it is.
pub(crate) fn open_third_party(config: &Config) -> Result<BTreeMap<String, File>> {
    let all = config.stacks.all();
    let named = all.iter().filter_map(|stack| Some((stack.name, stack.program?)));
    named.map(|(stack, path)| Ok((stack.to_owned(), open_program(stack, path)?))).collect()
}

fn open_program(stack: &str, path: &Path) -> Result<File> {
    let what =
        || format!("stacks.{stack}.program: cannot open {}: give the path of its worker", path.display());
    let file = File::open(path).with_context(what)?;
    let found = file.metadata().with_context(what)?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        bail!("stacks.{stack}.program: {} is no program: it is no file, or not executable", path.display());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_partys_program_is_a_file_that_can_be_executed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo");
        let text = format!("[stacks.echo]\nprogram = {path:?}\nlisten = \"127.0.0.1:0\"");
        let config = Config::parse(&text).unwrap();
        let error = || format!("{:#}", open_third_party(&config).unwrap_err());
        assert!(error().starts_with("stacks.echo.program: cannot open /"), "{}", error());
        std::fs::write(&path, "").unwrap();
        assert!(error().ends_with("is no program: it is no file, or not executable"), "{}", error());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(open_third_party(&config).unwrap().contains_key("echo"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(error().ends_with("is no program: it is no file, or not executable"), "{}", error());
    }
}
