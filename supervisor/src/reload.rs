//! What a new configuration changes, in words, and whether a running cluster can be changed so.

use config::Config;
use serde_json::Value;

/// Keys that are fixed while a cluster runs: sockets and shards are made once, and a node's ID is in its sessions.
const FIXED: [&str; 5] =
    ["cluster.nodes", "cluster.workers", "cluster.data_dir", "registry.url", "events.url"];
/// The same of each stack, as are the stacks that there are.
const FIXED_OF_STACKS: [&str; 4] = ["listen", "ports", "shards", "program"];

/// They are not shown.
const KEYS: &str = "stacks.fastforward.keys";

/// What differs, a line each: `calls.hang_time: 3 -> 5`.
///
/// # Errors
/// Where a key has changed that is fixed.
pub(crate) fn changes(old: &Config, new: &Config) -> Result<Vec<String>, String> {
    let of = |config: &Config| serde_json::to_value(config).map_err(|error| error.to_string());
    let mut changes = Vec::new();
    compare("", &of(old)?, &of(new)?, &mut changes);
    let fixed: Vec<&str> =
        changes.iter().map(|(path, _)| path.as_str()).filter(|path| is_fixed(path)).collect();
    if fixed.is_empty() {
        return Ok(changes.into_iter().map(|(path, change)| format!("{path}: {change}")).collect());
    }
    let advice = if fixed == ["cluster.workers"] { "use `bmctl scale N`" } else { "start the cluster anew" };
    Err(format!(
        "{} cannot change while the cluster runs: {advice}, or put the old value back",
        fixed.join(", ")
    ))
}

fn is_fixed(path: &str) -> bool {
    FIXED.contains(&path)
        || path.strip_prefix("stacks.").is_some_and(|of_stacks| match of_stacks.split_once('.') {
            Some((_, key)) => FIXED_OF_STACKS.contains(&key),
            None => true,
        })
}

fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<(String, String)>) {
    if old == new {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new)
        && is_table(path)
    {
        let none = Value::Null;
        for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none), changes);
        }
        return;
    }
    let change = match () {
        () if path == KEYS => "others".to_owned(),
        () if path.ends_with("password") || is_options(path) => "another one".to_owned(),
        () => format!("{} -> {}", show(path, old), show(path, new)),
    };
    changes.push((path.to_owned(), change));
}

/// Times, choices and what a stack is told are objects, too.
fn is_table(path: &str) -> bool {
    match path.split_once('.') {
        Some(("stacks", _)) => !path.ends_with(".workers") && !is_options(path),
        Some(_) => path != "cluster.workers" && !path.ends_with("_time") && !path.ends_with("_timeout"),
        None => true,
    }
}

/// They may hold secrets.
fn is_options(path: &str) -> bool {
    path.starts_with("stacks.") && path.ends_with(".options")
}

fn show(path: &str, value: &Value) -> String {
    let seconds = value.get("secs").and_then(Value::as_u64);
    let mut value = value.clone();
    hide(&mut value);
    match seconds {
        Some(seconds) => seconds.to_string(),
        None if value.is_null() && path.ends_with("_timeout") => "0".to_owned(),
        None => value.to_string(),
    }
}

/// Takes the secrets out.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(&**name, "key" | "password") && value.is_string() {
                    *value = "***".into();
                }
                hide(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text).unwrap()
    }

    #[test]
    fn differences_are_told_and_secrets_are_not() {
        let old = parse("[stacks.mmdvm]\npassword = \"one\"");
        let new = parse(
            "[stacks.mmdvm]\npassword = \"two\"\n[calls]\nhang_time = 5\ncall_timeout = 0\n\
             [access.radios]\ndeny = [7]",
        );
        assert_eq!(changes(&old, &old).unwrap(), [""; 0]);
        let told = changes(&old, &new).unwrap();
        assert!(told.contains(&"calls.hang_time: 3 -> 5".to_owned()), "{told:?}");
        assert!(told.contains(&"calls.call_timeout: 180 -> 0".to_owned()), "{told:?}");
        assert!(told.contains(&"stacks.mmdvm.password: another one".to_owned()), "{told:?}");
        assert!(told.iter().any(|change| change.starts_with("access.radios.deny: ")), "{told:?}");
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn keys_of_peers_are_not_told() {
        let peer = |key: &str| {
            let peer = format!("[[stacks.openbridge.peers]]\nid = 7\naddress = \"a:1\"\nkey = \"{key}\"");
            parse(&peer)
        };
        let told = changes(&peer("hidden"), &peer("hidden2")).unwrap().join(" | ");
        assert!(told.starts_with("stacks.openbridge.peers: ") && !told.contains("hidden"), "{told}");
        // That there is the stack, or not, is fixed.
        for (old, new) in [(parse(""), peer("hidden")), (peer("hidden"), parse(""))] {
            let why = changes(&old, &new).unwrap_err();
            assert!(why.starts_with("stacks.openbridge cannot change") && !why.contains("hidden"), "{why}");
        }
    }

    #[test]
    fn hosts_and_keys_of_their_network_may_change_and_its_ports_may_not() {
        let network = |more: &str, key: u8| {
            let mut config = parse(&format!("[stacks.fastforward]\nkey_file = \"/k\"\n{more}"));
            config.stacks.fastforward.as_mut().unwrap().keys.0.push([key; 32]);
            config
        };
        let old = network("", 197);
        let host = network("[[hosts]]\naddress = \"192.0.2.7:54000\"", 198);
        let told = changes(&old, &host).unwrap();
        assert_eq!(told, ["hosts: [] -> [\"192.0.2.7:54000\"]", "stacks.fastforward.keys: others"]);
        let file = Config::parse("[stacks.fastforward]\nkey_file = \"/l\"").unwrap();
        assert!(
            changes(&old, &file)
                .unwrap()
                .contains(&"stacks.fastforward.key_file: \"/k\" -> \"/l\"".to_owned())
        );
        for more in ["listen = \"127.0.0.1\"", "ports = \"54000\""] {
            let why = changes(&old, &network(more, 197)).unwrap_err();
            let key = more.split(' ').next().unwrap();
            assert!(
                why.starts_with(&format!("stacks.fastforward.{key} cannot change while the cluster runs")),
                "{why}"
            );
        }
        for (old, new) in [(&parse(""), &old), (&old, &parse(""))] {
            let why = changes(old, new).unwrap_err();
            assert!(why.starts_with("stacks.fastforward cannot change") && !why.contains("197"), "{why}");
        }
    }

    #[test]
    fn what_is_fixed_is_refused() {
        let old = parse("");
        let why =
            changes(&old, &parse("[stacks.mmdvm]\nshards = 8\n[cluster]\nnodes = \"7-9\"")).unwrap_err();
        assert!(
            why.starts_with("cluster.nodes, stacks.mmdvm.shards cannot change while the cluster runs"),
            "{why}"
        );
        let why = changes(&old, &parse("cluster.workers = 3")).unwrap_err();
        assert!(why.contains("`bmctl scale N`"), "{why}");
    }

    #[test]
    fn a_stack_may_be_placed_anew_and_nothing_else_of_it_may_change() {
        let told = changes(&parse(""), &parse("stacks.mmdvm.workers = \"own\"")).unwrap();
        assert_eq!(told, ["stacks.mmdvm.workers: \"all\" -> \"own\""]);
        let told = changes(&parse("stacks.mmdvm.workers = 1"), &parse("stacks.mmdvm.workers = 2")).unwrap();
        assert_eq!(told, [r#"stacks.mmdvm.workers: {"number":1} -> {"number":2}"#]);
        let echo = |more: &str| {
            parse(&format!("[stacks.echo_time]\nprogram = \"/echo\"\nlisten = \"127.0.0.1:7\"\n{more}"))
        };
        let (bare, secret) = (echo(""), echo("options = { key = \"hidden\", listen = 1 }"));
        let told = changes(&bare, &secret).unwrap();
        assert_eq!(told, ["stacks.echo_time.options: another one"]);
        for (old, new) in [(&parse(""), &secret), (&secret, &parse(""))] {
            let why = changes(old, new).unwrap_err();
            assert!(
                why.starts_with("stacks.echo_time cannot change while") && !why.contains("hidden"),
                "{why}"
            );
        }
        let why = changes(&bare, &echo("shards = 2")).unwrap_err();
        assert!(why.starts_with("stacks.echo_time.shards cannot change"), "{why}");
    }
}
