//! `[calls]`, `[protection]` and `[access]`: the rules of calls and of who may take part.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stack::{Access, CallAccess};

use crate::error::{Error, quote};
use crate::table::Value;

/// How many entries a list of `[access]` can have: all of them go to each worker in one message.
pub const MAX_ACCESS: usize = 256;

/// The highest ID on the air: 24 bits, a radio's or a talkgroup's.
const MAX_AIR: u32 = 0x00ff_ffff;
/// The highest ID of a device: nine digits, a hotspot's.
const MAX_DEVICE: u32 = 999_999_999;
/// The longest call sign, in characters.
const MAX_CALL: usize = 10;
/// Bursts a second below which a call would be cut though it is as the air carries it: 16.7.
const LEAST_RATE: i64 = 17;
const MOST_RATE: i64 = 1000;

/// `[calls]`: how long things stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// How long a slot is kept after a call for its talkgroup, or for a private answer: up to 60 s.
    pub hang_time: Duration,
    /// How long a keyed talkgroup stays subscribed: 1 s to a day.
    pub dynamic_time: Duration,
    /// The longest call, up to a day; `None` for no limit.
    pub call_timeout: Option<Duration>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            hang_time: Duration::from_secs(3),
            dynamic_time: Duration::from_secs(15 * 60),
            call_timeout: Some(Duration::from_secs(180)),
        }
    }
}

/// `[protection]`: what is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Bursts a second that a stream may have in the long run; 0 for no limit.
    pub max_burst_rate: u16,
    /// Whether encrypted calls are carried.
    pub encrypted: bool,
}

impl Default for Protection {
    fn default() -> Self {
        Self { max_burst_rate: 25, encrypted: false }
    }
}

/// `[access]`: who may. Each list has at most [`MAX_ACCESS`] entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLists {
    /// Devices that may log in.
    pub devices: Access,
    /// Call signs that they may have.
    pub calls: CallAccess,
    /// Radios that may talk.
    pub radios: Access,
    /// Talkgroups that may be called.
    pub talkgroups: Access,
}

pub(crate) fn read_calls(value: &Value<'_>, default: Calls) -> Result<Calls, Error> {
    const DAY: i64 = 24 * 60 * 60;
    let table = value.table(&["hang_time", "dynamic_time", "call_timeout"])?;
    let seconds = |number: u16| Duration::from_secs(number.into());
    let long = |value: &Value<'_>, least, valid| {
        let number = value.integer().filter(|number| (least..=DAY).contains(number));
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.map(Duration::from_secs).ok_or_else(|| value.wrong(valid))
    };
    Ok(Calls {
        hang_time: table.read("hang_time", default.hang_time, |value, _| {
            number(value, 0..=60, "write seconds, from 0 to 60").map(seconds)
        })?,
        dynamic_time: table.read("dynamic_time", default.dynamic_time, |value, _| {
            long(value, 1, "write seconds, from 1 to 86400")
        })?,
        call_timeout: table.read("call_timeout", default.call_timeout, |value, _| {
            let time = long(value, 0, "write seconds, from 1 to 86400, or 0 for no limit")?;
            Ok(Some(time).filter(|time| !time.is_zero()))
        })?,
    })
}

pub(crate) fn read_protection(value: &Value<'_>, default: Protection) -> Result<Protection, Error> {
    let table = value.table(&["max_burst_rate", "encrypted"])?;
    Ok(Protection {
        max_burst_rate: table.read("max_burst_rate", default.max_burst_rate, |value, _| {
            if value.integer() == Some(0) {
                return Ok(0);
            }
            let valid = "write bursts a second, from 17 to 1000 (the air carries 16.7), or 0 for no limit";
            number(value, LEAST_RATE..=MOST_RATE, valid)
        })?,
        encrypted: table.read("encrypted", default.encrypted, |value, _| match value.get().as_str() {
            Some("refuse") => Ok(false),
            Some("carry") => Ok(true),
            _ => Err(value.wrong("write \"refuse\" or \"carry\"")),
        })?,
    })
}

fn number(value: &Value<'_>, range: std::ops::RangeInclusive<i64>, valid: &str) -> Result<u16, Error> {
    let number = value.integer().filter(|number| range.contains(number));
    number.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| value.wrong(valid))
}

pub(crate) fn read_access(value: &Value<'_>, default: AccessLists) -> Result<AccessLists, Error> {
    let table = value.table(&["devices", "calls", "radios", "talkgroups"])?;
    Ok(AccessLists {
        devices: table.read("devices", default.devices, |value, _| read_ids(value, MAX_DEVICE))?,
        calls: table.read("calls", default.calls, |value, _| {
            let [allow, deny] = lists(value, read_pattern)?;
            Ok(CallAccess { allow, deny })
        })?,
        radios: table.read("radios", default.radios, |value, _| read_ids(value, MAX_AIR))?,
        talkgroups: table.read("talkgroups", default.talkgroups, |value, _| read_ids(value, MAX_AIR))?,
    })
}

fn read_ids(value: &Value<'_>, most: u32) -> Result<Access, Error> {
    let [allow, deny] = lists(value, |item| read_range(item, most))?;
    Ok(Access { allow, deny })
}

/// The lists `allow` and `deny` of a table.
fn lists<T>(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Result<T, Error> + Copy,
) -> Result<[Vec<T>; 2], Error> {
    let table = value.table(&["allow", "deny"])?;
    let list = |name| {
        table.read(name, Vec::new(), |value, _| {
            let items = value.items().ok_or_else(|| value.wrong("write a list, e.g. []"))?;
            if items.len() > MAX_ACCESS {
                let count = items.len();
                return Err(
                    value.wrong(format!("{count} entries; at most {MAX_ACCESS}: put neighbours into ranges"))
                );
            }
            items.iter().map(read).collect()
        })
    };
    Ok([list("allow")?, list("deny")?])
}

/// An ID as a number or a string, or a range of them as a string.
pub(crate) fn read_range(item: &Value<'_>, most: u32) -> Result<(u32, u32), Error> {
    let valid = format!("write IDs from 1 to {most}, e.g. 262 or \"2620000-2629999\"");
    if let Some(number) = item.integer() {
        let number = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
        return number.map(|number| (number, number)).ok_or_else(|| item.wrong(valid));
    }
    let text = item.string("IDs, e.g. 262 or \"2620000-2629999\"")?;
    range(text, most).ok_or_else(|| item.wrong(format!("{}: {valid}", quote(text))))
}

/// The range that a text is, or the one ID.
pub(crate) fn range(text: &str, most: u32) -> Option<(u32, u32)> {
    let id = |text: &str| {
        // `parse` alone would take "+5".
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|id| digits && (1..=most).contains(id))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    id(first.trim()).zip(id(last.trim())).filter(|(first, last)| first <= last)
}

/// A call sign, or the beginning of one with `*` behind it.
fn read_pattern(item: &Value<'_>) -> Result<String, Error> {
    const VALID: &str =
        "a call sign of up to 10 letters, digits, - and /, or its beginning with *, e.g. \"DL*\"";
    let text = item.string(VALID)?;
    let begin = text.strip_suffix('*').unwrap_or(text);
    let plain = begin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/".contains(&byte));
    if !plain || text.is_empty() || begin.len() > MAX_CALL {
        return Err(item.wrong(format!("{}: write {VALID}", quote(text))));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const FULL: &str = r#"
[calls]
hang_time = 0
dynamic_time = 86400
call_timeout = 0
[protection]
max_burst_rate = 17
encrypted = "carry"
[access.devices]
allow = [262, "2620000 - 2629999", "262137001"]
[access.calls]
deny = ["DL*", "n0call", "*"]
[access.radios]
deny = [1]
[access.talkgroups]
allow = ["91-93"]
deny = [92]
"#;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_key() {
        let config = Config::parse(FULL).unwrap();
        let calls = Calls {
            hang_time: Duration::ZERO,
            dynamic_time: Duration::from_secs(86_400),
            call_timeout: None,
        };
        assert_eq!(config.calls, calls);
        assert_eq!(config.protection, Protection { max_burst_rate: 17, encrypted: true });
        let access = config.access;
        assert_eq!(access.devices.allow, [(262, 262), (2_620_000, 2_629_999), (262_137_001, 262_137_001)]);
        assert_eq!(access.calls.deny, ["DL*", "n0call", "*"]);
        assert_eq!((access.radios.deny, access.radios.allow), (vec![(1, 1)], vec![]));
        assert!(access.talkgroups.permits(91) && !access.talkgroups.permits(92));
        let none = Config::parse("[calls]\n[protection]\n[access]\n[access.calls]").unwrap();
        assert_eq!(none, Config::parse("").unwrap());
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let valid = "write IDs from 1 to 16777215, e.g. 262 or \"2620000-2629999\"";
        let cases = [
            ("[calls]\nhang_time = 61", "calls.hang_time: write seconds, from 0 to 60".to_owned()),
            ("[calls]\nhang_time = -1", "calls.hang_time: write seconds, from 0 to 60".to_owned()),
            ("[calls]\ndynamic_time = 0", "calls.dynamic_time: write seconds, from 1 to 86400".to_owned()),
            (
                "[calls]\ncall_timeout = 1.5",
                "calls.call_timeout: write seconds, from 1 to 86400, or 0 for no limit".to_owned(),
            ),
            (
                "[protection]\nmax_burst_rate = 16",
                "protection.max_burst_rate: write bursts a second, from 17 to 1000 (the air carries 16.7), \
                 or 0 for no limit"
                    .to_owned(),
            ),
            (
                "[protection]\nencrypted = true",
                "protection.encrypted: write \"refuse\" or \"carry\"".to_owned(),
            ),
            ("[access.radios]\nallow = 7", "access.radios.allow: write a list, e.g. []".to_owned()),
            ("[access.radios]\nallow = [0]", format!("access.radios.allow: {valid}")),
            ("[access.radios]\nallow = [16777216]", format!("access.radios.allow: {valid}")),
            ("[access.talkgroups]\ndeny = [\"9-1\"]", format!("access.talkgroups.deny: \"9-1\": {valid}")),
            ("[access.talkgroups]\ndeny = [\"+5\"]", format!("access.talkgroups.deny: \"+5\": {valid}")),
            (
                "[access.talkgroups]\ndeny = [true]",
                "access.talkgroups.deny: write IDs, e.g. 262 or \"2620000-2629999\"".to_owned(),
            ),
            (
                "[access]\nradio = 1",
                "access.radio: unknown key; valid keys: devices, calls, radios, talkgroups".to_owned(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), format!("line 2: {expected}"), "{text}");
        }
        for pattern in ["", "D*L", "DL 1", "ABCDEFGHIJK", "Ü*"] {
            let error = error(&format!("[access.calls]\nallow = [\n\"DL*\",\n\"{pattern}\"]"));
            assert!(error.starts_with(&format!("line 4: access.calls.allow: \"{pattern}\": write a call")));
        }
        let many = format!("[access.devices]\nallow = [{}]", "7,".repeat(257));
        assert!(error(&many).contains("257 entries; at most 256"));
        assert!(Config::parse("[access.devices]\nallow = [\"999999999\"]").is_ok());
    }
}
