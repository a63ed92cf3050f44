//! `[stacks.openbridge]`: other networks that calls go to and come from. What of a peer is text is read here, for the
//! registry as well ([`crate::talkgroups`] has the talkgroups); names are looked up elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stack::{Key, MAX_KEY, Talkgroups};

use crate::error::Error;
use crate::read_stacks::{read_listen, read_placement};
use crate::rules::read_range;
use crate::table::{Table, Value};
use crate::{Nodes, PeerAddress, Placement, store, talkgroups};

/// How many peers the file can name, and the registry.
pub const MAX_PEERS: usize = 200;

/// The port of the protocol.
const PORT: u16 = 62035;
/// The highest talkgroup: 24 bits.
const MAX_TALKGROUP: u32 = 0x00ff_ffff;

/// `[stacks.openbridge]`: the table's presence turns the stack on. It has one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBridge {
    /// UDP addresses, 1 to [`crate::MAX_LISTEN`], none twice; port 0 takes any free one.
    pub listen: Vec<SocketAddr>,
    /// Which workers serve it.
    pub workers: Placement,
    /// Our own network ID, which each datagram names.
    pub id: u32,
    /// The networks: at most [`MAX_PEERS`], no ID twice.
    pub peers: Vec<Peer>,
}

/// Another network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its network ID, from 1 on.
    pub id: u32,
    /// Where it is; there is one, or `learn_address` is set.
    pub address: Option<PeerAddress>,
    /// What comes from elsewhere with the right key shows where it is.
    pub learn_address: bool,
    /// The key that both have; there is one once the file has been loaded.
    pub key: Option<Key>,
    /// The file with that key: an absolute path.
    pub key_file: Option<PathBuf>,
    /// Our own network ID there; `None` for [`OpenBridge::id`].
    #[serde(default)]
    pub own_id: Option<u32>,
    /// It speaks the extensions of the protocol.
    pub enhanced: bool,
    /// Which talkgroups, merged and in order.
    pub talkgroups: Talkgroups,
}

/// The key that a text is.
///
/// # Errors
/// In words, without the text.
pub fn read_key(text: &str) -> Result<Key, String> {
    let key = Key::new(text).filter(|_| !text.chars().any(char::is_control));
    key.ok_or_else(|| format!("a key has 1 to {MAX_KEY} bytes, on one line"))
}

pub(crate) fn read_openbridge(value: &Value<'_>, nodes: &Nodes) -> Result<OpenBridge, Error> {
    let table = value.table(&["listen", "workers", "id", "peers"])?;
    let loopback = ["127.0.0.1", "::1"].into_iter().filter_map(|ip| ip.parse().ok());
    let listen = loopback.map(|ip: IpAddr| SocketAddr::new(ip, PORT)).collect();
    Ok(OpenBridge {
        listen: table.read("listen", listen, |value, _| read_listen(value))?,
        workers: table.read("workers", Placement::All, |value, _| read_placement(value))?,
        id: table.read("id", nodes.iter().next().unwrap_or(1), |value, _| read_id(value))?,
        peers: table.read("peers", Vec::new(), |value, _| read_peers(value))?,
    })
}

/// Fetches the keys that lie in files.
pub(crate) fn fetch_keys(bridge: &mut OpenBridge) -> Result<(), Error> {
    for peer in &mut bridge.peers {
        let Some(path) = &peer.key_file else { continue };
        let refused = |reason| {
            let from = format!("stacks.openbridge.peers: {}: key_file: {}", peer.id, path.display());
            Error::Secret { from, reason }
        };
        let text = store::read_secret(path).map_err(refused)?;
        peer.key = Some(read_key(text.trim_end_matches(['\r', '\n'])).map_err(refused)?);
    }
    Ok(())
}

fn read_id(value: &Value<'_>) -> Result<u32, Error> {
    let id = value.integer().and_then(|id| u32::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or_else(|| value.wrong(format!("write a network ID from 1 to {}", u32::MAX)))
}

fn read_peers(value: &Value<'_>) -> Result<Vec<Peer>, Error> {
    let items = value.items().ok_or_else(|| {
        value.wrong("a list of tables; write [[stacks.openbridge.peers]] on a line of its own for each")
    })?;
    if items.len() > MAX_PEERS {
        return Err(value.wrong(format!("{} peers; there can be {MAX_PEERS}", items.len())));
    }
    let mut peers: Vec<Peer> = Vec::with_capacity(items.len());
    for item in items {
        let peer = read_peer(&item)?;
        if peers.iter().any(|other| other.id == peer.id) {
            return Err(item.wrong(format!("{} is there twice; name each peer once", peer.id)));
        }
        peers.push(peer);
    }
    Ok(peers)
}

fn read_peer(item: &Value<'_>) -> Result<Peer, Error> {
    let table = item.table(&[
        "id",
        "address",
        "learn_address",
        "key",
        "key_file",
        "own_id",
        "enhanced",
        "talkgroups",
        "talkgroups_in",
        "talkgroups_out",
        "rewrite",
    ])?;
    let id = table.read("id", None, |value, _| read_id(value).map(Some))?;
    let id = id.ok_or_else(|| item.wrong("a peer has an id: the number of its network"))?;
    let learn_address = table.read("learn_address", false, |value, _| value.boolean())?;
    let address = table.read("address", None, |value, _| {
        let text = value.string("an address with a port, e.g. \"192.0.2.9:62035\"")?;
        text.parse().map(Some).map_err(|reason: String| value.wrong(reason))
    })?;
    if address.is_none() && !learn_address {
        return Err(item.wrong(format!("{id} has no address; write one, or learn_address = true")));
    }
    let key = table.read("key", None, |value, _| {
        // The value is never repeated in an error.
        let text = value.get().as_str().ok_or_else(|| value.wrong("a key is a string"))?;
        read_key(text).map(Some).map_err(|reason| value.wrong(reason))
    })?;
    let key_file = table.read("key_file", None, |value, _| {
        let path = PathBuf::from(value.string("the absolute path of a file")?);
        if !path.is_absolute() {
            return Err(value.wrong("not an absolute path; write one from / on"));
        }
        Ok(Some(path))
    })?;
    if key.is_some() == key_file.is_some() {
        return Err(item.wrong(format!("{id}: write one of key and key_file")));
    }
    let own_id = table.read("own_id", None, |value, _| read_id(value).map(Some))?;
    let enhanced = table.read("enhanced", false, |value, _| value.boolean())?;
    let talkgroups = read_talkgroups(item, &table)?;
    Ok(Peer { id, address, learn_address, key, key_file, own_id, enhanced, talkgroups })
}

fn read_talkgroups(item: &Value<'_>, table: &Table<'_>) -> Result<Talkgroups, Error> {
    let list = |name| {
        table.read(name, None, |value, _| {
            let items = value.items().ok_or_else(|| value.wrong("write a list, e.g. [91, \"3100-3199\"]"))?;
            let ranges = items.iter().map(|item| read_range(item, MAX_TALKGROUP));
            ranges.collect::<Result<Vec<_>, _>>().map(Some)
        })
    };
    let (both, r#in, out) = (list("talkgroups")?, list("talkgroups_in")?, list("talkgroups_out")?);
    if both.is_some() && (r#in.is_some() || out.is_some()) {
        return Err(
            item.wrong("talkgroups is for both directions; write that, or talkgroups_in and talkgroups_out")
        );
    }
    let renamed = table.read("rewrite", Vec::new(), |value, _| {
        let items = value.items().ok_or_else(|| value.wrong("write a list, e.g. [\"91=3191\"]"))?;
        let renamed = items.iter().map(|item| {
            let text = item.string("two talkgroups, e.g. \"91=3191\": 91 here is 3191 there")?;
            talkgroups::rename(text).map_err(|reason| item.wrong(reason))
        });
        renamed.collect()
    })?;
    let (r#in, out) = match both {
        Some(both) => (both.clone(), both),
        None => (r#in.unwrap_or_default(), out.unwrap_or_default()),
    };
    talkgroups::of(r#in, out, renamed).map_err(|reason| item.wrong(reason))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Config;

    const FULL: &str = r#"
[stacks.openbridge]
listen = ["0.0.0.0:62035"]
workers = "own"
id = 3129100
[[stacks.openbridge.peers]]
id = 3129900
address = "192.0.2.9:62035"
key = "hidden"
talkgroups = ["3100-3199", 91, "3200-3210"]
rewrite = ["91=3191"]
[[stacks.openbridge.peers]]
id = 4294967295
learn_address = true
key = "hidden"
own_id = 3129101
enhanced = true
talkgroups_in = [91]
talkgroups_out = ["1-16777215"]
"#;

    fn read(text: &str) -> OpenBridge {
        Config::parse(text).unwrap().stacks.openbridge.unwrap()
    }

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_key() {
        let bridge = read(FULL);
        assert_eq!((bridge.id, bridge.workers), (3_129_100, Placement::Own));
        let [first, second] = &bridge.peers[..] else { panic!("{:?}", bridge.peers) };
        let both = vec![(91, 91), (3100, 3210)];
        let talkgroups = Talkgroups { out: both.clone(), r#in: both, renamed: vec![(91, 3191)] };
        assert_eq!((first.id, &first.talkgroups), (3_129_900, &talkgroups));
        assert_eq!(first.address.as_ref().unwrap().socket(), "192.0.2.9:62035".parse().ok());
        assert_eq!(
            (first.key.clone(), first.learn_address, first.enhanced),
            (Key::new("hidden"), false, false)
        );
        assert_eq!(
            (second.id, &second.address, second.learn_address, second.enhanced),
            (u32::MAX, &None, true, true)
        );
        assert_eq!((first.own_id, second.own_id), (None, Some(3_129_101)));
        assert_eq!(second.talkgroups.out, [(1, 0x00ff_ffff)]);
        assert!(!format!("{bridge:?}").contains("hidden"));
        let json = serde_json::to_string(&bridge).unwrap();
        assert_eq!(serde_json::from_str::<OpenBridge>(&json).unwrap(), bridge);
    }

    #[test]
    fn the_tables_presence_turns_it_on() {
        assert_eq!(Config::parse("").unwrap().stacks.openbridge, None);
        assert_eq!(Config::default().stacks.openbridge, None);
        let bridge = read("[cluster]\nnodes = \"7-9\"\n[stacks.openbridge]");
        assert_eq!((bridge.id, bridge.workers, bridge.peers.len()), (7, Placement::All, 0));
        assert_eq!(bridge.listen, ["127.0.0.1:62035".parse().unwrap(), "[::1]:62035".parse().unwrap()]);
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let peer = "[[stacks.openbridge.peers]]\n";
        let good = "id = 7\nkey = \"hidden\"\naddress = \"a:1\"\n";
        for (text, expected) in [
            (
                "[stacks.openbridge]\nid = 0".to_owned(),
                "line 2: stacks.openbridge.id: write a network ID from 1 to 4294967295",
            ),
            (
                "[stacks.openbridge]\npeers = 1".to_owned(),
                "line 2: stacks.openbridge.peers: a list of tables; write",
            ),
            (
                format!("{peer}key = \"x\""),
                "line 1: stacks.openbridge.peers: a peer has an id: the number of its network",
            ),
            (
                format!("{peer}id = 7"),
                "line 1: stacks.openbridge.peers: 7 has no address; write one, or learn_address = true",
            ),
            (
                format!("{peer}id = 7\nlearn_address = true"),
                "line 1: stacks.openbridge.peers: 7: write one of key and key_file",
            ),
            (
                format!("{peer}{good}key_file = \"/k\""),
                "line 1: stacks.openbridge.peers: 7: write one of key and key_file",
            ),
            (
                format!("{peer}id = 7\nlearn_address = 1"),
                "line 3: stacks.openbridge.peers.learn_address: write true or false",
            ),
            (
                format!("{peer}id = 7\naddress = \"a\""),
                "line 3: stacks.openbridge.peers.address: \"a\": not an address with a port",
            ),
            (
                format!("{peer}{good}port = 1"),
                "line 5: stacks.openbridge.peers.port: unknown key; valid keys: id, address",
            ),
            (
                format!("{peer}{good}talkgroups = [0]"),
                "line 5: stacks.openbridge.peers.talkgroups: write IDs from 1 to 16777215",
            ),
            (
                format!("{peer}{good}talkgroups = 5"),
                "line 5: stacks.openbridge.peers.talkgroups: write a list, e.g. [91,",
            ),
            (
                format!("{peer}{good}talkgroups = [1]\ntalkgroups_in = []"),
                "line 1: stacks.openbridge.peers: talkgroups is for both",
            ),
            (
                format!("{peer}{good}rewrite = [\"91\"]"),
                "line 5: stacks.openbridge.peers.rewrite: \"91\": write two talkgroups",
            ),
            (
                format!("{peer}{good}rewrite = [\"91=92\"]"),
                "line 1: stacks.openbridge.peers: rewrite: 91 is in none of its lists",
            ),
            (
                format!("{peer}{good}{peer}{good}"),
                "line 5: stacks.openbridge.peers: 7 is there twice; name each peer once",
            ),
        ] {
            let error = error(&text);
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
        let many: String =
            (1..=201).map(|id| format!("{peer}id = {id}\nkey = \"x\"\naddress = \"a:1\"\n")).collect();
        assert!(error(&many).contains("201 peers; there can be 200"));
    }

    #[test]
    fn errors_never_show_a_key() {
        for key in ["key = 31337", "key = [\"31337\"]", "key = \"31337\\n\"", "key = p31337", "key = '31337"]
        {
            let error = error(&format!("[[stacks.openbridge.peers]]\nid = 7\naddress = \"a:1\"\n{key}"));
            assert!(error.starts_with("line 4: ") && !error.contains("31337"), "{error}");
        }
        let long = "31337".repeat(13);
        let error =
            error(&format!("[[stacks.openbridge.peers]]\nid = 7\naddress = \"a:1\"\nkey = \"{long}\""));
        assert_eq!(error, "line 4: stacks.openbridge.peers.key: a key has 1 to 64 bytes, on one line");
    }

    #[test]
    fn keys_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("bm.toml"), dir.path().join("key"));
        let text = format!("[[stacks.openbridge.peers]]\nid = 7\naddress = \"a:1\"\nkey_file = {file:?}\n");
        fs::write(&path, text).unwrap();
        let load = || Config::load(&path, |_| None).map_err(|error| error.to_string());
        let error = load().unwrap_err();
        assert!(
            error.starts_with("stacks.openbridge.peers: 7: key_file: /") && error.contains("cannot be read"),
            "{error}"
        );
        fs::write(&file, "from file\r\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
        assert!(load().unwrap_err().ends_with("everybody can read it (mode 604); make it `chmod 600`"));
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load().unwrap().stacks.openbridge.unwrap().peers[0].key, Key::new("from file"));
        fs::write(&file, "\n").unwrap();
        assert!(load().unwrap_err().ends_with("a key has 1 to 64 bytes, on one line"));
    }
}
