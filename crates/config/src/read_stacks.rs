//! From `[stacks]` of a file to [`Stacks`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::error::Error;
use crate::fastforward::{read_fastforward, refuse_clash};
use crate::openbridge::read_openbridge;
use crate::stacks::OURS;
use crate::table::Value;
use crate::{
    MAX_LISTEN, MAX_OPTIONS, MAX_SHARDS, MAX_WORKERS, Mmdvm, Nodes, Options, Placement, Secret, Stacks,
    ThirdParty, Workers,
};

/// The longest name of a stack.
const MAX_NAME: usize = 32;

/// Where a stack may listen.
const EXAMPLE: &str = "0.0.0.0:62031";

pub(crate) fn read_stacks(value: &Value<'_>, default: Stacks, nodes: &Nodes) -> Result<Stacks, Error> {
    let table = value.any_table()?;
    let mut third_party = BTreeMap::new();
    for (name, value) in table.all().into_iter().filter(|(name, _)| !OURS.contains(name)) {
        third_party.insert(name.to_owned(), read_third_party(name, &value)?);
    }
    let stacks = Stacks {
        mmdvm: table.read("mmdvm", default.mmdvm, read_mmdvm)?,
        openbridge: table.read("openbridge", None, |value, _| read_openbridge(value, nodes).map(Some))?,
        fastforward: table.read("fastforward", None, |value, _| read_fastforward(value).map(Some))?,
        third_party,
    };
    if let Some((name, other, address)) = stacks.clash()
        && let Some(value) = table.get(&name)
    {
        let listen = value.any_table()?.get("listen");
        let reason = format!("stacks.{other} listens on {address}: give each stack a port of its own");
        return Err(listen.unwrap_or(value).wrong(reason));
    }
    refuse_clash(&table, stacks.clash_of_ports())?;
    Ok(stacks)
}

fn read_third_party(name: &str, value: &Value<'_>) -> Result<ThirdParty, Error> {
    const PROGRAM: &str = "an absolute path, e.g. \"/usr/local/bin/my-worker\"";
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain);
    let table = value.any_table()?;
    let Some(program) = table.get("program") else {
        return Err(value.wrong(format!(
            "no stack of this project, which has {}; a stack of one's own needs a program = {PROGRAM}",
            OURS.join(", ")
        )));
    };
    if !is_name || name.len() > MAX_NAME {
        return Err(value.wrong(format!(
            "no name for a stack; write a lower case letter, then at most {} of those, digits, _ and -",
            MAX_NAME - 1
        )));
    }
    table.only(&["program", "listen", "shards", "workers", "options"])?;
    let path = PathBuf::from(program.string(PROGRAM)?);
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(program.wrong(format!("not the absolute path of a program; write {PROGRAM}")));
    }
    let Some(listen) = table.get("listen") else {
        return Err(value.wrong(format!("it listens nowhere; write e.g. listen = \"{EXAMPLE}\"")));
    };
    table.read("workers", (), |value, ()| match value.get().as_str() {
        Some("own") => Ok(()),
        _ => Err(value.wrong("its program serves nothing else; write \"own\", or leave it out")),
    })?;
    Ok(ThirdParty {
        program: path,
        listen: read_listen(&listen)?,
        shards: table.read("shards", 1, |value, _| read_shards(value))?,
        options: table
            .read("options", Options(Json::Object(Default::default())), |value, _| read_options(value))?,
    })
}

/// Errors never show a value: it may be a secret.
fn read_options(value: &Value<'_>) -> Result<Options, Error> {
    value.any_table()?;
    let json = to_json(value.get()).map_err(|reason| value.wrong(reason))?;
    let len = json.to_string().len();
    if len > MAX_OPTIONS {
        return Err(value.wrong(format!("{len} bytes as JSON; at most {MAX_OPTIONS} are passed on")));
    }
    Ok(Options(json))
}

fn to_json(value: &DeValue<'_>) -> Result<Json, &'static str> {
    Ok(match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map_err(|_| "an integer that does not fit 64 bits; write it as a string")?.into()
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Json::Number(number.ok_or("inf and nan are no numbers in JSON; write them as strings")?)
        }
        DeValue::Boolean(is) => Json::Bool(*is),
        DeValue::Datetime(at) => Json::String(at.to_string()),
        DeValue::Array(items) => {
            Json::Array(items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let items = table.iter();
            let items = items.map(|(key, value)| Ok((key.get_ref().to_string(), to_json(value.get_ref())?)));
            Json::Object(items.collect::<Result<_, &'static str>>()?)
        }
    })
}

fn read_mmdvm(value: &Value<'_>, default: Mmdvm) -> Result<Mmdvm, Error> {
    let table = value.table(&["listen", "password", "workers", "shards"])?;
    Ok(Mmdvm {
        listen: table.read("listen", default.listen, |value, _| read_listen(value))?,
        password: table.read("password", default.password, |value, _| {
            // The value is never repeated in an error.
            let text = value.get().as_str().ok_or_else(|| value.wrong("a password is a string"))?;
            Secret::new(text).map(Some).map_err(|error| value.wrong(error))
        })?,
        workers: table.read("workers", default.workers, |value, _| read_placement(value))?,
        shards: table.read("shards", default.shards, |value, _| read_shards(value))?,
    })
}

fn read_shards(value: &Value<'_>) -> Result<u16, Error> {
    let number = value.integer().and_then(|number| u16::try_from(number).ok());
    number
        .filter(|number| number.is_power_of_two() && *number <= MAX_SHARDS)
        .ok_or_else(|| value.wrong("write 1, 2, 4, 8, 16, 32 or 64"))
}

pub(crate) fn read_placement(value: &Value<'_>) -> Result<Placement, Error> {
    match value.get().as_str() {
        Some("all") => return Ok(Placement::All),
        Some("own") => return Ok(Placement::Own),
        _ => {}
    }
    let number = value.integer().and_then(Workers::number);
    number
        .map(Placement::Number)
        .ok_or_else(|| value.wrong(format!("write \"all\", \"own\" or a number from 1 to {MAX_WORKERS}")))
}
pub(crate) fn read_listen(value: &Value<'_>) -> Result<Vec<SocketAddr>, Error> {
    let Some(items) = value.items() else {
        return Ok(vec![value.address(EXAMPLE)?]);
    };
    if items.is_empty() || items.len() > MAX_LISTEN {
        let reason = format!("{} addresses; write 1 to {MAX_LISTEN}, e.g. [\"{EXAMPLE}\"]", items.len());
        return Err(value.wrong(reason));
    }
    let mut listen = Vec::with_capacity(items.len());
    for item in items {
        let address = item.address(EXAMPLE)?;
        if listen.contains(&address) {
            return Err(item.wrong(format!("{address} is there twice; name each address once")));
        }
        listen.push(address);
    }
    Ok(listen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const ECHO: &str = "[stacks.echo]\nprogram = \"/opt/echo\"\nlisten = \"127.0.0.1:7\"\n";

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_stack_of_a_third_party_with_all_that_toml_has() {
        let options = "[stacks.echo.options]\nat = 2024-05-01T12:00:00Z\nhex = 0xff\nlist = [1, -2.5, true]\n\
                       [stacks.echo.options.table]\ntext = \"x\"\n";
        let config = Config::parse(&format!("{ECHO}shards = 8\nworkers = \"own\"\n{options}")).unwrap();
        let echo = &config.stacks.third_party["echo"];
        assert_eq!((echo.program.to_str(), echo.shards, echo.listen.len()), (Some("/opt/echo"), 8, 1));
        let expected = r#"{"at":"2024-05-01T12:00:00Z","hex":255,"list":[1,-2.5,true],"table":{"text":"x"}}"#;
        assert_eq!(echo.options.0, serde_json::from_str::<Json>(expected).unwrap());
        let config = Config::parse(ECHO).unwrap();
        assert_eq!(config.stacks.third_party["echo"].options.0.to_string(), "{}");
        assert_eq!(config.stacks.third_party["echo"].shards, 1);
    }

    #[test]
    fn what_is_wrong_with_one_is_said() {
        assert_eq!(
            error("[stacks.p25]\nlisten = \"127.0.0.1:7\""),
            "line 1: stacks.p25: no stack of this project, which has mmdvm, openbridge, fastforward; a stack of one's own needs a program = an \
             absolute path, e.g. \"/usr/local/bin/my-worker\""
        );
        let cases = [
            (
                ECHO.replace("echo]", "Echo]"),
                "line 1: stacks.Echo: no name for a stack; write a lower case letter",
            ),
            (ECHO.replace("echo]", &format!("{}]", "e".repeat(33))), "line 1: stacks.eeee"),
            (
                ECHO.replace("\"/opt/echo\"", "\"echo\""),
                "line 2: stacks.echo.program: not the absolute path of a",
            ),
            (
                ECHO.replace("\"/opt/echo\"", "\"/\""),
                "line 2: stacks.echo.program: not the absolute path of a",
            ),
            (ECHO.replace("\"/opt/echo\"", "7"), "line 2: stacks.echo.program: write an absolute path"),
            (
                format!("{ECHO}pasword = 1"),
                "line 4: stacks.echo.pasword: unknown key; valid keys: program, listen,",
            ),
            (
                format!("{ECHO}workers = 2"),
                "line 4: stacks.echo.workers: its program serves nothing else; write",
            ),
            (format!("{ECHO}shards = 3"), "line 4: stacks.echo.shards: write 1, 2,"),
            (
                format!("{ECHO}options = 3"),
                "line 4: stacks.echo.options: a table; write [stacks.echo.options]",
            ),
            (
                format!("{ECHO}options = {{ a = [nan] }}"),
                "line 4: stacks.echo.options: inf and nan are no numbers",
            ),
            (ECHO.replace("listen", "# "), "line 1: stacks.echo: it listens nowhere; write e.g. listen = "),
            (
                ECHO.replace("127.0.0.1:7", "0.0.0.0:62031"),
                "line 3: stacks.echo.listen: stacks.mmdvm listens on 127.0.0.1:62031: give each stack a port",
            ),
            (
                format!("{ECHO}[stacks.a]\nprogram = \"/a\"\nlisten = \"127.0.0.1:7\"\n"),
                "line 3: stacks.echo.listen: stacks.a listens on 127.0.0.1:7: give each",
            ),
        ];
        for (text, expected) in cases {
            let error = error(&text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn options_are_limited_and_never_shown() {
        let with = |len: usize| format!("{ECHO}options = {{ key = \"{}\" }}", "7".repeat(len));
        // {"key":""} has ten bytes.
        assert!(Config::parse(&with(MAX_OPTIONS - 10)).is_ok());
        let error = error(&with(MAX_OPTIONS - 9));
        assert_eq!(error, "line 4: stacks.echo.options: 16385 bytes as JSON; at most 16384 are passed on");
    }
}
