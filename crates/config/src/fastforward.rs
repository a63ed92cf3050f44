//! `[stacks.fastforward]` and `[[hosts]]`: the network of hosts that this one is part of. Names of hosts are looked up
//! elsewhere; what is spoken between hosts is not known here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, quote};
use crate::table::{Table, Value};
use crate::{PeerAddress, Ports, store};

/// How many other hosts there can be: those of the file, with those of the registry.
pub const MAX_HOSTS: usize = 256;
/// How a key is made.
const MAKE: &str = "`openssl rand -hex 32` makes one";

/// How many keys a network can have at once.
pub const MAX_NETWORK_KEYS: usize = 4;

/// `[stacks.fastforward]`: the table's presence turns it on. It has no shards: each worker has a port of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastForward {
    /// Where the ports are.
    pub listen: IpAddr,
    /// UDP ports of the workers in slot 0, 1, ...
    pub ports: Ports,
    /// The file with the keys: an absolute path.
    pub key_file: PathBuf,
    /// What lies there, once the file has been loaded.
    #[serde(default)]
    pub keys: NetworkKeys,
}

impl FastForward {
    /// Where the worker in a slot listens; `None` where there are not so many ports.
    #[must_use]
    pub fn address(&self, slot: u8) -> Option<SocketAddr> {
        self.ports.iter().nth(slot.into()).map(|port| SocketAddr::new(self.listen, port))
    }
}

/// The keys of a network of hosts, 1 to [`MAX_NETWORK_KEYS`]: the first is used for sending, all are accepted. `Debug` shows
/// `***`; they serialize in clear, for private sockets only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkKeys(pub Vec<[u8; 32]>);

impl fmt::Debug for NetworkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The key that a host is spoken with under which has one of its own: 32 bytes. `Debug` shows `***`; it serializes in clear,
/// for private memory only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostKey(pub [u8; 32]);

impl HostKey {
    /// Reads one as it is written down: 64 hex digits.
    ///
    /// # Errors
    /// In words: what a key is. Never what is there instead.
    pub fn read(text: &str) -> Result<Self, String> {
        read_key(text).map(Self).ok_or_else(|| format!("no key; a key is 64 hex digits: {MAKE}"))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(crate) fn read_fastforward(value: &Value<'_>) -> Result<FastForward, Error> {
    let table = value.table(&["listen", "ports", "key_file"])?;
    let listen = table.read("listen", Ipv4Addr::UNSPECIFIED.into(), |value, _| read_ip(value))?;
    let ports = table.read("ports", Ports::default(), |value, _| {
        value.string("a string, e.g. \"54000-54007\"")?.parse().map_err(|reason: String| value.wrong(reason))
    })?;
    let Some(key_file) = table.get("key_file") else {
        return Err(value.wrong("it has no key_file; write the absolute path of a file with a key a line"));
    };
    let path = PathBuf::from(key_file.string("the absolute path of a file")?);
    if !path.is_absolute() {
        return Err(key_file.wrong("not an absolute path; write one from / on"));
    }
    Ok(FastForward { listen, ports, key_file: path, keys: NetworkKeys::default() })
}

fn read_ip(value: &Value<'_>) -> Result<IpAddr, Error> {
    let text = value.string("an IP address without a port, e.g. \"0.0.0.0\"")?;
    text.parse().map_err(|_| {
        value.wrong(format!(
            "{}: no IP address; write e.g. \"0.0.0.0\" or \"::\", without a port",
            quote(text)
        ))
    })
}

/// Reads `[[hosts]]`.
pub(crate) fn read_hosts(
    value: &Value<'_>,
    fastforward: Option<&FastForward>,
) -> Result<Vec<PeerAddress>, Error> {
    let items = value
        .items()
        .ok_or_else(|| value.wrong("a list of tables; write [[hosts]] on a line of its own for each"))?;
    let Some(fastforward) = fastforward else {
        return Err(value.wrong("other hosts are reached by FastForward; write [stacks.fastforward] too"));
    };
    if items.len() > MAX_HOSTS {
        return Err(value.wrong(format!("{} hosts; there can be {MAX_HOSTS}", items.len())));
    }
    let mut hosts: Vec<PeerAddress> = Vec::with_capacity(items.len());
    for item in items {
        let table = item.table(&["address"])?;
        let Some(value) = table.get("address") else {
            return Err(item.wrong("a host has an address; write e.g. address = \"192.0.2.7:54000\""));
        };
        let host = read_host(&value, fastforward)?;
        if hosts.iter().any(|other| other.is_same(&host)) {
            return Err(value.wrong(format!("{host} is there twice; name each host once")));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

fn read_host(value: &Value<'_>, fastforward: &FastForward) -> Result<PeerAddress, Error> {
    let text = value.string("an address with a port, e.g. \"192.0.2.7:54000\"")?;
    let host = PeerAddress::read(text).ok_or_else(|| {
        value.wrong(format!(
            "{}: not an address with a port; write e.g. \"192.0.2.7:54000\", \"[2001:db8::7]:54000\" or \
             \"host.example.org:54000\"",
            quote(text)
        ))
    })?;
    let listen = fastforward.listen;
    match host.socket() {
        Some(address) if address.is_ipv4() != listen.is_ipv4() => Err(value.wrong(format!(
            "{address} cannot be reached from {listen}: stacks.fastforward.listen and all hosts are of IPv4, or all of IPv6"
        ))),
        _ => Ok(host),
    }
}

/// Refuses a port that another stack has. `clash`: that stack, and where it listens.
pub(crate) fn refuse_clash(table: &Table<'_>, clash: Option<(String, SocketAddr)>) -> Result<(), Error> {
    match (clash, table.get("fastforward")) {
        (Some((other, address)), Some(value)) => {
            let ports = value.any_table()?.get("ports");
            let reason = format!("stacks.{other} listens on {address}: give each stack ports of its own");
            Err(ports.unwrap_or(value).wrong(reason))
        }
        _ => Ok(()),
    }
}

/// Fetches the keys from their file.
pub(crate) fn fetch_keys(fastforward: &mut FastForward) -> Result<(), Error> {
    let path = &fastforward.key_file;
    let refused = |reason| {
        let from = format!("stacks.fastforward.key_file: {}", path.display());
        Error::Secret { from, reason }
    };
    let text = store::read_secret(path).map_err(refused)?;
    fastforward.keys = read_keys(&text).map_err(refused)?;
    Ok(())
}

/// The error never has any of the text.
fn read_keys(text: &str) -> Result<NetworkKeys, String> {
    let mut keys: Vec<[u8; 32]> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = read_key(line)
            .ok_or_else(|| format!("line {number}: no key; a key is a line of 64 hex digits: {MAKE}"))?;
        if keys.contains(&key) {
            return Err(format!("line {number}: that key is there twice; write each key once"));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err(format!("there is no key; write one a line, 64 hex digits: {MAKE}")),
        1..=MAX_NETWORK_KEYS => Ok(NetworkKeys(keys)),
        many => Err(format!("{many} keys; there can be {MAX_NETWORK_KEYS}: take old ones out")),
    }
}

fn read_key(line: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = line.bytes().map(digit).collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    <[u8; 32]>::try_from(bytes).ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{Config, Workers};

    const BARE: &str = "[stacks.fastforward]\nkey_file = \"/k\"\n";

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_key() {
        let text = "[stacks.fastforward]\nlisten = \"::1\"\nports = \"54010, 54000-54001\"\nkey_file = \"/k\"\n\
                    [[hosts]]\naddress = \"[2001:db8::7]:54000\"\n[[hosts]]\naddress = \"host.example.org:54000\"\n";
        let config = Config::parse(text).unwrap();
        let fastforward = config.stacks.fastforward.as_ref().unwrap();
        let addresses: Vec<String> =
            (0..4).map_while(|slot| fastforward.address(slot)).map(|address| address.to_string()).collect();
        assert_eq!(addresses, ["[::1]:54010", "[::1]:54000", "[::1]:54001"]);
        assert_eq!(fastforward.key_file.to_str(), Some("/k"));
        let hosts: Vec<String> = config.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["[2001:db8::7]:54000", "host.example.org:54000"]);
        assert_eq!(config.stacks.all().len(), 1, "it has no shards");
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn the_tables_presence_turns_it_on() {
        assert_eq!((Config::default().stacks.fastforward, Config::default().hosts.len()), (None, 0));
        let config = Config::parse(BARE).unwrap();
        let fastforward = config.stacks.fastforward.unwrap();
        assert_eq!(fastforward.address(0).unwrap().to_string(), "0.0.0.0:54000");
        assert_eq!((fastforward.ports.count(), config.hosts.len()), (8, 0));
        let json = serde_json::to_value(Config::default()).unwrap();
        assert!(
            json["stacks"].get("fastforward").is_none(),
            "a build that knows nothing of it reads that, too"
        );
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let host = "[[hosts]]\naddress = \"192.0.2.7:54000\"\n";
        for (text, expected) in [
            (
                "[stacks.fastforward]\n".to_owned(),
                "line 1: stacks.fastforward: it has no key_file; write the absolute path of a file with a key a line",
            ),
            (
                "[stacks.fastforward]\nkey_file = \"k\"".to_owned(),
                "line 2: stacks.fastforward.key_file: not an absolute path; write one from / on",
            ),
            (
                format!("{BARE}listen = \"0.0.0.0:54000\""),
                "line 3: stacks.fastforward.listen: \"0.0.0.0:54000\": no IP address; write e.g. \"0.0.0.0\" or \"::\", \
                 without a port",
            ),
            (
                format!("{BARE}listen = 5"),
                "line 3: stacks.fastforward.listen: write an IP address without a port, e.g. \"0.0.0.0\"",
            ),
            (
                format!("{BARE}ports = 54000"),
                "line 3: stacks.fastforward.ports: write a string, e.g. \"54000-54007\"",
            ),
            (
                format!("{BARE}ports = \"0-5\""),
                "line 3: stacks.fastforward.ports: \"0-5\": no range of ports; write e.g. \"54000-54007\" or \
                 \"54000,54010\" (ports from 1 to 65535)",
            ),
            (
                format!("{BARE}ports = \"5,4-6\""),
                "line 3: stacks.fastforward.ports: port 5 is there twice; name each port once",
            ),
            (
                format!("{BARE}shards = 5"),
                "line 3: stacks.fastforward.shards: unknown key; valid keys: listen, ports, key_file",
            ),
            (
                format!("{BARE}program = \"/p\""),
                "line 3: stacks.fastforward.program: unknown key; valid keys: listen, ports, key_file",
            ),
            (
                format!("{BARE}ports = \"62031-62040\""),
                "line 3: stacks.fastforward.ports: stacks.mmdvm listens on 127.0.0.1:62031: give each stack ports of its own",
            ),
            (
                format!("[stacks.echo]\nprogram = \"/e\"\nlisten = \"192.0.2.1:54003\"\n{BARE}"),
                "line 4: stacks.fastforward: stacks.echo listens on 192.0.2.1:54003: give each stack ports of its own",
            ),
            (
                format!("cluster.workers = 3\n{BARE}ports = \"5-6\""),
                "3 workers need 3 ports, stacks.fastforward.ports has 2: start fewer workers, or add ports there and start \
                 the cluster anew",
            ),
            (
                host.to_owned(),
                "line 1: hosts: other hosts are reached by FastForward; write [stacks.fastforward] too",
            ),
            (
                format!("hosts = 5\n{BARE}"),
                "line 1: hosts: a list of tables; write [[hosts]] on a line of its own for each",
            ),
            (
                format!("{BARE}[[hosts]]"),
                "line 3: hosts: a host has an address; write e.g. address = \"192.0.2.7:54000\"",
            ),
            (
                format!("{BARE}[[hosts]]\naddress = \"192.0.2.7\""),
                "line 4: hosts.address: \"192.0.2.7\": not an address with a port; write e.g. \"192.0.2.7:54000\", \
                 \"[2001:db8::7]:54000\" or \"host.example.org:54000\"",
            ),
            (format!("{BARE}{host}key = 1"), "line 5: hosts.key: unknown key; valid keys: address"),
            (
                format!("{BARE}{host}{host}"),
                "line 6: hosts.address: 192.0.2.7:54000 is there twice; name each host once",
            ),
            (
                format!("{BARE}listen = \"::\"\n{host}"),
                "line 5: hosts.address: 192.0.2.7:54000 cannot be reached from ::: stacks.fastforward.listen and all hosts \
                 are of IPv4, or all of IPv6",
            ),
        ] {
            assert_eq!(error(&text), expected, "{text}");
        }
        let many: String =
            (1..=257).map(|port| format!("[[hosts]]\naddress = \"a.test:{port}\"\n")).collect();
        assert!(error(&format!("{BARE}{many}")).ends_with("hosts: 257 hosts; there can be 256"));
        let elsewhere = format!("{BARE}listen = \"192.0.2.1\"\nports = \"62031\"\n");
        assert!(Config::parse(&elsewhere).is_ok(), "mmdvm listens on loopback");
    }

    #[test]
    fn there_are_no_more_workers_than_ports() {
        let mut config = Config::parse(&format!("{BARE}ports = \"5-6\"")).unwrap();
        assert_eq!((config.workers_on(8), config.nodes_for(2).unwrap().len()), (2, 2));
        assert!(config.nodes_for(3).is_err());
        config.stacks.mmdvm.workers = crate::Placement::Own;
        assert_eq!(config.workers_on(8), 1);
        assert_eq!(
            config.nodes_for(2).unwrap_err().to_string(),
            "2 workers and one more for each of stacks.mmdvm need 3 ports, stacks.fastforward.ports has 2: start fewer \
             workers, or add ports there and start the cluster anew"
        );
        assert_eq!(config.cluster.workers, Workers::Auto);
    }

    #[test]
    fn keys_come_from_a_file_and_are_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("bm.toml"), dir.path().join("key"));
        fs::write(&path, format!("[stacks.fastforward]\nkey_file = {file:?}\n")).unwrap();
        let load = || Config::load(&path, |_| None).map_err(|error| error.to_string());
        let refused = |why: &str| {
            let error = load().unwrap_err();
            let expected = format!("stacks.fastforward.key_file: {}: {why}", file.display());
            assert!(error.starts_with(&expected) && !error.contains("31337"), "{error}");
        };
        refused("cannot be read: No such file");
        let (one, two) = ("31337aBc".repeat(8), "0f".repeat(32));
        fs::write(&file, format!("# new\r\n\r\n  {one}\r\n# old\r\n{two}")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
        refused("everybody can read it (mode 604); make it `chmod 600`");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let config = load().unwrap();
        let NetworkKeys(keys) = &config.stacks.fastforward.as_ref().unwrap().keys;
        assert_eq!(
            (keys.len(), keys[0][..5].to_vec(), keys[1]),
            (2, vec![0x31, 0x33, 0x7a, 0xbc, 0x31], [15; 32])
        );
        let shown = format!("{config:?}");
        assert!(shown.contains("keys: ***") && !shown.contains("122, 188"), "{shown}");

        let hex = |number: u8| format!("{number:02x}").repeat(32);
        for (text, why) in [
            (
                "# 31337\n".to_owned(),
                "there is no key; write one a line, 64 hex digits: `openssl rand -hex 32` makes one",
            ),
            (
                format!("\n{}", &one[1..]),
                "line 2: no key; a key is a line of 64 hex digits: `openssl rand -hex 32` makes one",
            ),
            (format!("{one}00"), "line 1: no key"),
            (one.replace('a', "g"), "line 1: no key"),
            (
                format!("{one}\n{two}\n{}", one.to_lowercase()),
                "line 3: that key is there twice; write each key once",
            ),
            ((0..5).map(|number| hex(number) + "\n").collect(), "5 keys; there can be 4: take old ones out"),
            (format!("{}\n{one}", "#".repeat(4096)), "longer than 4096 bytes: is this a file with a secret"),
        ] {
            fs::write(&file, text).unwrap();
            refused(why);
        }
        fs::write(&file, (0..4).map(|number| hex(number) + "\n").collect::<String>()).unwrap();
        assert_eq!(load().unwrap().stacks.fastforward.unwrap().keys.0.len(), 4);
    }
}
