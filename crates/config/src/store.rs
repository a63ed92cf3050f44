//! `[registry]` and `[events]`: where each is, and the secret that opens it, which lies in a file of its own or in the
//! environment.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, quote};
use crate::table::Value;
use crate::{Scheme, Secret, Url};

/// The longest file that holds a secret, in bytes.
const MAX_SECRET_FILE: usize = 4096;

/// Where a store or broker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Which one.
    pub url: Url,
    /// The file with our password there: an absolute path.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted beside the system's: an absolute path.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What lies in `password_file`, or in the environment.
    #[serde(default)]
    pub password: Option<Secret>,
}

impl Store {
    /// The one inside the cluster.
    pub(crate) const EMBEDDED: Self =
        Self { url: Url::Embedded, password_file: None, ca_file: None, password: None };
}

/// What differs between the two tables.
pub(crate) struct Kind {
    /// The table's name.
    name: &'static str,
    schemes: &'static [Scheme],
    example: &'static str,
    /// The variable that has the password where there is no file.
    variable: &'static str,
}

pub(crate) const REGISTRY: Kind = Kind {
    name: "registry",
    schemes: Scheme::REGISTRY,
    example: "tarantool://user@host:3301",
    variable: "BMCTL_REGISTRY_PASSWORD",
};

pub(crate) const EVENTS: Kind = Kind {
    name: "events",
    schemes: Scheme::EVENTS,
    example: "mqtt://host:1883",
    variable: "BMCTL_EVENTS_PASSWORD",
};

/// Reads the table; the password is none of its keys.
pub(crate) fn read_store(kind: &Kind, value: &Value<'_>, default: Store) -> Result<Store, Error> {
    let table = value.table(&["url", "password_file", "ca_file"])?;
    let url =
        table.read("url", default.url, |value, _| {
            let write = format!("write \"embedded\", \"managed\" or e.g. \"{}\"", kind.example);
            let text = value.get().as_str().ok_or_else(|| value.wrong(&write))?;
            match text.parse() {
                Ok(Url::Remote(remote)) if !kind.schemes.contains(&remote.scheme) => Err(value
                    .wrong(format!("{}: not one for {}; {write}", quote(remote.scheme.as_str()), kind.name))),
                Ok(url) => Ok(url),
                Err(reason) => Err(value.wrong(reason)),
            }
        })?;
    let is_tls = matches!(&url, Url::Remote(remote) if remote.scheme.is_tls());
    let file = |value: &Value<'_>, needed: bool, why: &str| {
        let path = PathBuf::from(value.string("the absolute path of a file")?);
        match () {
            () if !path.is_absolute() => Err(value.wrong("not an absolute path; write one from / on")),
            () if !needed => Err(value.wrong(why)),
            () => Ok(Some(path)),
        }
    };
    let has_user = matches!(&url, Url::Remote(remote) if remote.user.is_some());
    let password_file = table.read("password_file", None, |value, _| {
        file(
            value,
            has_user,
            &format!("of no use: {}.url names no user; write user@ before the host", kind.name),
        )
    })?;
    let ca_file = table.read("ca_file", None, |value, _| {
        file(value, is_tls, &format!("of no use: {}.url does not speak TLS", kind.name))
    })?;
    Ok(Store { url, password_file, ca_file, password: None })
}

/// Fetches the password where the URL names a user. `env` is the environment.
pub(crate) fn fetch_password(
    kind: &Kind,
    store: &mut Store,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let Kind { name, variable, .. } = *kind;
    let Url::Remote(crate::Remote { user: Some(user), .. }) = &store.url else { return Ok(()) };
    let (from, text) = match (&store.password_file, env(variable)) {
        (Some(path), _) => (format!("{name}.password_file: {}", path.display()), read_secret(path)),
        (None, Some(text)) => (variable.to_owned(), Ok(text)),
        (None, None) => {
            let reason = format!("there is no password for {user}; set {name}.password_file, or {variable}");
            return Err(Error::Secret { from: format!("{name}.url"), reason });
        }
    };
    let refused = |reason: String| Error::Secret { from: from.clone(), reason };
    let text = text.map_err(&refused)?;
    let line = text.trim_end_matches(['\r', '\n']);
    store.password = Some(Secret::new(line).map_err(|error| refused(error.to_string()))?);
    Ok(())
}

/// What lies in a file that not everybody can read; the error never has any of it.
pub(crate) fn read_secret(path: &Path) -> Result<String, String> {
    let read = || -> io::Result<(u32, String)> {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut text = String::new();
        file.take(MAX_SECRET_FILE as u64 + 1).read_to_string(&mut text)?;
        Ok((mode, text))
    };
    let (mode, text) = read().map_err(|error| format!("cannot be read: {error}"))?;
    if mode & 0o007 != 0 {
        return Err(format!("everybody can read it (mode {:03o}); make it `chmod 600`", mode & 0o777));
    }
    if text.len() > MAX_SECRET_FILE {
        return Err(format!("longer than {MAX_SECRET_FILE} bytes: is this a file with a secret"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_table_has_schemes_of_its_own() {
        let config = parse(
            "[registry]\nurl = \"tarantool+tls://api@r\"\npassword_file = \"/p\"\nca_file = \"/c\"\n\
             [events]\nurl = \"managed\"",
        );
        let config = config.unwrap();
        assert_eq!(config.registry.url.to_string(), "tarantool+tls://api@r:3301");
        let Store { password_file, ca_file, .. } = config.registry;
        assert_eq!((password_file, ca_file), (Some("/p".into()), Some("/c".into())));
        assert_eq!(config.events.url, Url::Managed);
        for (text, expected) in [
            (
                "[registry]\nurl = 5",
                "line 2: registry.url: write \"embedded\", \"managed\" or e.g. \"tarantool://user@host:3301\"",
            ),
            (
                "[registry]\nurl = \"mqtt://a\"",
                "line 2: registry.url: \"mqtt\": not one for registry; write \"embedded\", \"managed\" or e.g. \
                 \"tarantool://user@host:3301\"",
            ),
            ("[events]\nurl = \"tcp://x\"", "line 2: events.url: \"tcp\": unknown scheme"),
            (
                "[events]\nurl = \"mqtts://u@x\"\npassword_file = \"p\"",
                "line 3: events.password_file: not an absolute path; write one from / on",
            ),
            (
                "[events]\nurl = \"mqtts://x\"\npassword_file = \"/p\"",
                "line 3: events.password_file: of no use: events.url names no user; write user@ before the host",
            ),
            (
                "[events]\nurl = \"mqtt://x\"\nca_file = \"/p\"",
                "line 3: events.ca_file: of no use: events.url does not speak TLS",
            ),
            (
                "[events]\npassword = \"x\"",
                "line 2: events.password: unknown key; valid keys: url, password_file, ca_file",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn passwords_come_from_a_file_or_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("bm.toml"), dir.path().join("password"));
        let none = |_: &str| None;
        fs::write(&path, "[registry]\nurl = \"tarantool://api@r\"\n").unwrap();
        let error = Config::load(&path, none).unwrap_err().to_string();
        let expected = "registry.url: there is no password for api; set registry.password_file, or \
                        BMCTL_REGISTRY_PASSWORD";
        assert_eq!(error, expected);
        let env = |name: &str| (name == "BMCTL_REGISTRY_PASSWORD").then(|| "from env".to_owned());
        let config = Config::load(&path, env).unwrap();
        assert_eq!(config.registry.password, Secret::new("from env").ok());
        assert!(!format!("{config:?}").contains("from env"));

        let text = format!("[registry]\nurl = \"tarantool://api@r\"\npassword_file = {file:?}\n");
        fs::write(&path, text).unwrap();
        let error = Config::load(&path, env).unwrap_err().to_string();
        assert!(error.contains("password: cannot be read: No such file"), "{error}");
        fs::write(&file, "from file\r\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
        let error = Config::load(&path, env).unwrap_err().to_string();
        assert!(error.ends_with("everybody can read it (mode 604); make it `chmod 600`"), "{error}");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Config::load(&path, env).unwrap().registry.password, Secret::new("from file").ok());
        fs::write(&file, "\n").unwrap();
        let error = Config::load(&path, env).unwrap_err().to_string();
        assert!(error.ends_with("a password has 1 to 64 printable characters"), "{error}");
    }
}
