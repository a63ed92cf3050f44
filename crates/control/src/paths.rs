//! Where the files of a running cluster are.

use std::path::{Path, PathBuf};

/// The files in a runtime directory. One cluster runs in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    dir: PathBuf,
}

impl Paths {
    /// Those in `runtime_dir`; nothing is looked at or made.
    #[must_use]
    pub fn new(runtime_dir: impl Into<PathBuf>) -> Self {
        Self { dir: runtime_dir.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The supervisor's socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The services' socket.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.dir.join("services.sock")
    }

    /// The file that a running supervisor holds a lock on.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// The file that has the supervisor's process ID, in digits.
    #[must_use]
    pub fn pid(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// What the supervisor writes for a `tarantool` of its own: the program that it begins with.
    #[must_use]
    pub fn init_lua(&self) -> PathBuf {
        self.dir.join("init.lua")
    }

    /// What that one calls: schema and functions of the registry.
    #[must_use]
    pub fn registry_lua(&self) -> PathBuf {
        self.dir.join("registry.lua")
    }

    /// What the supervisor writes for a `mosquitto` of its own: its configuration.
    #[must_use]
    pub fn mosquitto_conf(&self) -> PathBuf {
        self.dir.join("mosquitto.conf")
    }

    /// All that is written for programs of the system, to be removed at the end.
    #[must_use]
    pub fn generated(&self) -> [PathBuf; 3] {
        [self.init_lua(), self.registry_lua(), self.mosquitto_conf()]
    }

    /// The data directory, where the configuration names none.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

/// The runtime directory where none is named: `$BMCTL_RUNTIME_DIR`; else `/run/bmctl` for root,
/// `$XDG_RUNTIME_DIR/bmctl` for others, and `/tmp/bmctl-UID` where that is not set. `env` looks up a variable;
/// relative directories in `$XDG_RUNTIME_DIR` are not taken, as its specification demands.
#[must_use]
pub fn default_runtime_dir(env: impl Fn(&str) -> Option<String>, euid: u32) -> PathBuf {
    if let Some(dir) = env("BMCTL_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    if euid == 0 {
        return "/run/bmctl".into();
    }
    match env("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        Some(dir) => dir.join("bmctl"),
        None => format!("/tmp/bmctl-{euid}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(euid: u32, set: &[(&str, &str)]) -> String {
        let env = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        default_runtime_dir(env, euid).display().to_string()
    }

    #[test]
    fn runtime_directory_by_user_and_environment() {
        assert_eq!(dir(0, &[("XDG_RUNTIME_DIR", "/run/user/0")]), "/run/bmctl");
        assert_eq!(dir(1000, &[("XDG_RUNTIME_DIR", "/run/user/1000")]), "/run/user/1000/bmctl");
        assert_eq!(dir(1000, &[("XDG_RUNTIME_DIR", "")]), "/tmp/bmctl-1000");
        assert_eq!(dir(1000, &[]), "/tmp/bmctl-1000");
        assert_eq!(dir(0, &[("BMCTL_RUNTIME_DIR", "/x")]), "/x");
        assert_eq!(dir(0, &[("BMCTL_RUNTIME_DIR", "")]), "/run/bmctl");
    }

    #[test]
    fn files_lie_in_the_directory() {
        let paths = Paths::new("/run/bmctl");
        assert_eq!(paths.control(), Path::new("/run/bmctl/control.sock"));
        assert_eq!(paths.services(), Path::new("/run/bmctl/services.sock"));
    }
}
