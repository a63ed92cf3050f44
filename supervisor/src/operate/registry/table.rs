//! The records of a space as a table.

use anyhow::Result;
use control::Paths;
use registry::Space;
use serde_json::{Map, Value};

use super::pages;
use crate::say;

/// Fields that are shown, and how wide. Others are in `get` and in JSON.
const fn columns(space: Space) -> &'static [(&'static str, usize)] {
    match space {
        Space::Nodes => &[("id", 9), ("name", 20), ("address", 30), ("port", 5), ("key", 4)],
        Space::OverriddenNodes => {
            &[("id", 9), ("transport", 24), ("options", 8), ("address", 30), ("port", 5)]
        }
        Space::Devices => &[("id", 10), ("password", 9), ("call", 10), ("single", 7), ("blocked", 20)],
        Space::Subscriptions => &[("id", 10), ("ts1", 20), ("ts2", 20), ("timed", 20)],
        Space::GlobalProfiles => {
            &[("id", 10), ("call", 10), ("name", 28), ("city", 20), ("state", 20), ("country", 20)]
        }
        Space::Talkgroups => &[("id", 9), ("name", 40)],
        Space::Bans => &[("id", 10), ("until_ms", 24), ("by", 18), ("made_ms", 24), ("reason", 20)],
        Space::LastHeard => &[
            ("radio", 10),
            ("alias", 20),
            ("destination", 11),
            ("group", 5),
            ("context", 10),
            ("slot", 4),
            ("started_ms", 24),
            ("seconds", 8),
        ],
        Space::StoredValues => &[("name", 24), ("value", 40)],
        Space::Peers => &[
            ("id", 10),
            ("address", 30),
            ("key", 4),
            ("learn_address", 13),
            ("enhanced", 8),
            ("talkgroups_in", 24),
            ("talkgroups_out", 24),
            ("rewrite", 20),
            ("own_id", 10),
        ],
    }
}

pub(super) fn list(paths: &Paths, space: Space, json: bool) -> Result<()> {
    let columns = columns(space);
    if !json {
        let heads = columns.iter().map(|(name, width)| (head(name).to_owned(), *width));
        say::line(&line(heads));
    }
    let mut is_first = true;
    pages(paths, space, false, |records| {
        for record in records {
            if json {
                // One list, however long it is: nothing has to hold all of it.
                let before = if is_first { "[" } else { "," };
                say::line(&format!("{before}{}", serde_json::to_string(&record)?));
            } else {
                say::line(&line(columns.iter().map(|(name, width)| (cell(&record.0, name), *width))));
            }
            is_first = false;
        }
        Ok(())
    })?;
    if json {
        say::line(if is_first { "[]" } else { "]" });
    }
    Ok(())
}

/// What a column is called: times are shown as such.
fn head(name: &str) -> &str {
    name.strip_suffix("_ms").unwrap_or(name)
}

fn line(cells: impl Iterator<Item = (String, usize)>) -> String {
    let cells: Vec<String> = cells.map(|(text, width)| format!("{text:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

fn cell(record: &Map<String, Value>, name: &str) -> String {
    let Some(value) = record.get(name) else { return "-".to_owned() };
    if let Some(time_ms) = value.as_u64().filter(|_| name.ends_with("_ms")) {
        return events::utc(time_ms);
    }
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => say::clean(text),
        Value::Bool(is) => (if *is { "yes" } else { "no" }).to_owned(),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        other => say::clean(&other.to_string()),
    };
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_fields() {
        for space in Space::ALL {
            assert!(columns(space).iter().all(|(name, _)| space.fields().contains(name)), "{space}");
        }
    }

    #[test]
    fn cells_can_be_read_and_do_no_harm() {
        let Value::Object(record) = json!({
            "ts1": [91, 262], "ts2": [], "until_ms": 0, "call": null, "single": true, "value": {"a": "\u{1b}"},
            "name": "a\u{1b}[2J",
        }) else {
            panic!()
        };
        let cells = ["ts1", "ts2", "until_ms", "call", "single", "value", "name", "none"]
            .map(|name| cell(&record, name));
        assert_eq!(
            cells,
            ["91,262", "-", "1970-01-01T00:00:00Z", "-", "yes", r#"{"a":"\u001b"}"#, "a[2J", "-"]
        );
    }
}
