//! What is written for a program before it is started, in the runtime directory, for this user alone.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddrV4;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use control::Paths;

use crate::policy::Process;

/// Schema and functions of the registry, as they are for one that runs by itself.
const REGISTRY_LUA: &str = include_str!("../../../deploy/tarantool/registry.lua");
/// What all tuples and indexes of the registry have room in: 300,000 users with their profiles take half of it. The kernel
/// gives it page by page as it is used.
const MEMORY: usize = 256 * 1024 * 1024;
/// The longest packet that the broker takes; a longer one ends its sender's connection.
const MAX_PACKET: usize = 256 * 1024;
/// What waits for a client that does not read: whichever limit comes first.
const MAX_QUEUED: (usize, usize) = (10_000, 16 * 1024 * 1024);
/// Connections that the broker takes.
const MAX_CONNECTIONS: usize = 1000;

/// Writes it, and returns the program's arguments. `dir`: where its data lies.
pub(super) fn write(
    process: Process,
    paths: &Paths,
    dir: &Path,
    address: SocketAddrV4,
) -> Result<Vec<OsString>> {
    match process {
        Process::Registry => {
            let (init, registry) = (paths.init_lua(), paths.registry_lua());
            write_anew(&registry, REGISTRY_LUA)?;
            write_anew(&init, &tarantool(dir, &registry, address))?;
            Ok(vec![init.into()])
        }
        Process::Broker => {
            let file = paths.mosquitto_conf();
            write_anew(&file, &mosquitto(address))?;
            Ok(vec!["-c".into(), file.into()])
        }
        Process::Worker(_) | Process::Services => bail!("{process} is no program of the system"),
    }
}

fn write_anew(path: &Path, text: &str) -> Result<()> {
    let write = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Whatever lay there before, with whatever rights, is not what is written to.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn tarantool(dir: &Path, registry: &Path, address: SocketAddrV4) -> String {
    let (dir, registry) = (lua_string(dir), lua_string(registry));
    // Its compiler aborts the process where it gets no memory for code.
    let no_compiler = if sys::may_make_code() { "" } else { "jit.off()\n" };
    format!(
        "-- Written by bmctl at each start of its registry.\n\
         {no_compiler}\
         local dir = {dir}\n\
         local options = {{\n    \
             work_dir = dir, memtx_dir = dir, wal_dir = dir, vinyl_dir = dir,\n    \
             memtx_memory = {MEMORY},\n    \
             wal_mode = 'fsync',\n    \
             -- Errors, while it starts: what it says besides is the same each time.\n    \
             log_level = 2,\n\
         }}\n\
         -- Nothing is told to anybody else; an option that builds without that do not know.\n\
         if box.internal.feedback_daemon ~= nil then options.feedback_enabled = false end\n\
         box.cfg(options)\n\
         dofile({registry})({{ guest = true }})\n\
         -- Last: whoever is let in finds all that there is.\n\
         box.cfg{{ log_level = 4, listen = '{address}' }}\n"
    )
}

/// A string of Lua, whatever is in the path.
fn lua_string(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._- ".contains(&byte);
    let byte = |&byte: &u8| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03}") };
    format!("\"{}\"", path.as_os_str().as_bytes().iter().map(byte).collect::<String>())
}

fn mosquitto(address: SocketAddrV4) -> String {
    let (count, bytes) = MAX_QUEUED;
    format!(
        "# Written by bmctl at each start of its broker.\n\
         # Of another user it would not end with the supervisor. Who is not root stays who he is anyway.\n\
         user root\n\
         listener {} {}\n\
         allow_anonymous true\n\
         max_connections {MAX_CONNECTIONS}\n\
         set_tcp_nodelay true\n\
         persistence false\n\
         persistent_client_expiration 1d\n\
         max_packet_size {MAX_PACKET}\n\
         max_queued_messages {count}\n\
         max_queued_bytes {bytes}\n\
         log_dest stderr\n\
         log_timestamp false\n\
         log_type error\n\
         log_type warning\n",
        address.port(),
        address.ip()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_for_this_user_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        fs::write(paths.init_lua(), "os.exit(1)").unwrap();
        fs::set_permissions(paths.init_lua(), fs::Permissions::from_mode(0o666)).unwrap();
        let address = "127.0.0.1:4711".parse().unwrap();
        let data = Path::new("/var/lib/bm ctl/\"\n\\");
        let arguments = write(Process::Registry, &paths, data, address).unwrap();
        assert_eq!(arguments, [paths.init_lua()]);
        let text = fs::read_to_string(paths.init_lua()).unwrap();
        assert!(text.contains("local dir = \"/var/lib/bm ctl/\\034\\010\\092\"\n"), "{text}");
        assert!(text.ends_with("listen = '127.0.0.1:4711' }\n"), "{text}");
        assert_eq!(write(Process::Broker, &paths, data, address).unwrap()[1], paths.mosquitto_conf());
        let text = fs::read_to_string(paths.mosquitto_conf()).unwrap();
        assert!(text.contains("\nlistener 4711 127.0.0.1\n"), "{text}");
        for file in paths.generated() {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }
}
