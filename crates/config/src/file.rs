//! From the text of a file to a [`Config`]: walks the TOML tree key by key.

use std::path::PathBuf;

use toml::de::DeTable;

use crate::error::{Error, line_of};
use crate::fastforward::read_hosts;
use crate::read_stacks::read_stacks;
use crate::rules::{read_access, read_calls, read_protection};
use crate::store::{EVENTS, REGISTRY, read_store};
use crate::table::{Table, Value};
use crate::{Cluster, Config, MAX_WORKERS, Metrics, Workers};

pub(crate) fn parse(text: &str) -> Result<Config, Error> {
    let root = DeTable::parse(text).map_err(|error| Error::Syntax {
        line: line_of(text.as_bytes(), error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let root = Table { text, path: String::new(), entries: root.get_ref() };
    root.only(&[
        "cluster",
        "registry",
        "events",
        "metrics",
        "calls",
        "protection",
        "access",
        "stacks",
        "hosts",
    ])?;
    let Config { cluster, registry, events, metrics, calls, protection, access, stacks, hosts } =
        Config::file_default();
    let cluster = root.read("cluster", cluster, read_cluster)?;
    let stacks = root.read("stacks", stacks, |value, default| read_stacks(value, default, &cluster.nodes))?;
    let config = Config {
        registry: root.read("registry", registry, |value, default| read_store(&REGISTRY, value, default))?,
        events: root.read("events", events, |value, default| read_store(&EVENTS, value, default))?,
        metrics: root.read("metrics", metrics, read_metrics)?,
        calls: root.read("calls", calls, read_calls)?,
        protection: root.read("protection", protection, read_protection)?,
        access: root.read("access", access, read_access)?,
        hosts: root.read("hosts", hosts, |value, _| read_hosts(value, stacks.fastforward.as_ref()))?,
        stacks,
        cluster,
    };
    let workers = match config.cluster.workers {
        Workers::Number(number) => number,
        Workers::Auto => 1,
    };
    config.nodes_for(workers)?;
    Ok(config)
}

fn read_cluster(value: &Value<'_>, default: Cluster) -> Result<Cluster, Error> {
    let table = value.table(&["nodes", "workers", "data_dir"])?;
    let nodes = table.read("nodes", default.nodes, |value, _| {
        value.string("a string, e.g. \"25011-25018\"")?.parse().map_err(|reason: String| value.wrong(reason))
    })?;
    let workers = table.read("workers", default.workers, |value, _| match read_workers(value)? {
        Workers::Number(number) if usize::from(number) > nodes.count() => Err(value.wrong(format!(
            "{number} workers, but cluster.nodes has {} IDs; add IDs there or write a lower number",
            nodes.count()
        ))),
        workers => Ok(workers),
    })?;
    let data_dir = table.read("data_dir", default.data_dir, |value, _| {
        let dir = PathBuf::from(value.string("a directory, e.g. \"/var/lib/bmctl\"")?);
        if !dir.is_absolute() {
            return Err(value.wrong("not an absolute directory; write e.g. \"/var/lib/bmctl\""));
        }
        Ok(Some(dir))
    })?;
    Ok(Cluster { nodes, workers, data_dir })
}

fn read_workers(value: &Value<'_>) -> Result<Workers, Error> {
    if value.get().as_str() == Some("auto") {
        return Ok(Workers::Auto);
    }
    let number = value.integer().and_then(Workers::number);
    number
        .map(Workers::Number)
        .ok_or_else(|| value.wrong(format!("write \"auto\" or a number from 1 to {MAX_WORKERS}")))
}

fn read_metrics(value: &Value<'_>, default: Metrics) -> Result<Metrics, Error> {
    let table = value.table(&["listen"])?;
    let listen = table.read("listen", default.listen, |value, _| value.address("127.0.0.1:9464"))?;
    Ok(Metrics { listen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nodes, Placement, Secret};

    const FULL: &str = r#"
[cluster]
nodes = "25011-25018"
workers = 2
data_dir = "/var/lib/bmctl"
[registry]
url = "embedded"
[events]
url = "embedded"
[metrics]
listen = "127.0.0.1:9464"
[stacks.mmdvm]
listen = ["0.0.0.0:62031", "[::]:62031"]
password = "hunter2"
workers = "own"
shards = 16
"#;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_key() {
        let config = parse(FULL).unwrap();
        assert_eq!(config.cluster.nodes, Nodes::default());
        assert_eq!(config.cluster.workers, Workers::Number(2));
        assert_eq!(config.cluster.data_dir, Some("/var/lib/bmctl".into()));
        let mmdvm = &config.stacks.mmdvm;
        assert_eq!(mmdvm.listen, ["0.0.0.0:62031".parse().unwrap(), "[::]:62031".parse().unwrap()]);
        assert_eq!(mmdvm.password, Secret::new("hunter2").ok());
        assert_eq!((mmdvm.workers, mmdvm.shards), (Placement::Own, 16));
    }

    #[test]
    fn one_address_needs_no_list() {
        let config = parse("stacks.mmdvm = { listen = \"127.0.0.1:0\", workers = 3 }").unwrap();
        assert_eq!(config.stacks.mmdvm.listen, ["127.0.0.1:0".parse().unwrap()]);
        assert_eq!(config.stacks.mmdvm.workers, Placement::Number(3));
        assert_eq!(config.stacks.mmdvm.password, None);
    }

    #[test]
    fn unknown_keys_are_named_with_the_valid_ones() {
        assert_eq!(
            error("\n[stacks.mmdvm]\nlistn = 1"),
            "line 3: stacks.mmdvm.listn: unknown key; valid keys: listen, password, workers, shards"
        );
        assert_eq!(
            error("[clutser]\nworkers = 1"),
            "line 1: clutser: unknown key; valid keys: cluster, registry, events, metrics, calls, \
             protection, access, stacks, hosts"
        );
        assert!(error("\"a\\nb\" = 1").starts_with("line 1: \"a\\nb\": unknown key"));
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let cases = [
            ("cluster = 1", "line 1: cluster: a table; write [cluster] on a line of its own"),
            ("[cluster]\nworkers = 0", "line 2: cluster.workers: write \"auto\" or a number from 1 to 127"),
            (
                "[cluster]\nnodes = \"7\"\nworkers = 2",
                "line 3: cluster.workers: 2 workers, but cluster.nodes has 1 IDs; add IDs there or write a lower \
                 number",
            ),
            ("[cluster]\nnodes = 25011", "line 2: cluster.nodes: write a string, e.g. \"25011-25018\""),
            (
                "[cluster]\ndata_dir = \"data\"",
                "line 2: cluster.data_dir: not an absolute directory; write e.g. \"/var/lib/bmctl\"",
            ),
            (
                "[metrics]\nlisten = \"localhost\"",
                "line 2: metrics.listen: \"localhost\": not an address with a port; write e.g. \"127.0.0.1:9464\"",
            ),
            ("[stacks.mmdvm]\nshards = 3", "line 2: stacks.mmdvm.shards: write 1, 2, 4, 8, 16, 32 or 64"),
            (
                "[stacks.mmdvm]\nworkers = \"some\"",
                "line 2: stacks.mmdvm.workers: write \"all\", \"own\" or a number from 1 to 127",
            ),
            (
                "[stacks.mmdvm]\nlisten = []",
                "line 2: stacks.mmdvm.listen: 0 addresses; write 1 to 4, e.g. [\"0.0.0.0:62031\"]",
            ),
            (
                "[stacks.mmdvm]\nlisten = [\n\"[::1]:1\",\n\"[0::1]:1\"]",
                "line 4: stacks.mmdvm.listen: [::1]:1 is there twice; name each address once",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), expected);
        }
        assert_eq!(
            error("[cluster]\n\nnodes = \"25011-\"").split(" or ").next(),
            Some("line 3: cluster.nodes: \"25011-\": not a node range; write e.g. \"25011-25018\"")
        );
    }

    #[test]
    fn errors_never_show_a_password() {
        for text in [
            "password = 31337",
            "password = [\"31337\"]",
            "password = \"31337\\n\"",
            "password = p31337",
            "password = '31337",
        ] {
            let error = error(&format!("[stacks.mmdvm]\n{text}"));
            assert!(error.starts_with("line 2: ") && !error.contains("31337"), "{error}");
        }
    }

    #[test]
    fn bad_toml_has_a_line() {
        assert!(error("[cluster]\nworkers = ").starts_with("line 2: "));
        assert!(error("a = 1\na = 2").starts_with("line 2: duplicate key"));
        assert!(error(&"[".repeat(100_000)).len() < 200);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer(text in "(\\PC|\n){0,80}", cut in 0..400_usize) {
            let _ = parse(&text);
            let _ = parse(&FULL.chars().take(cut).chain(text.chars()).collect::<String>());
        }
    }
}
