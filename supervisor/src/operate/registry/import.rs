//! Puts the records of a file into the registry: finds out what it is, and says what came of it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use control::{Exit, Paths};

use super::input::Input;
use super::writer::Writer;
use super::{hblink, lines, users};
use crate::cli::Format;
use crate::say;

pub(super) fn import(paths: &Paths, files: &[PathBuf], format: Option<Format>) -> Result<Exit> {
    let mut inputs = Vec::new();
    for path in files {
        let input = Input::open(path)?;
        let format = format.or_else(|| recognised(&input.head)).with_context(|| {
            let path = path.display();
            format!("{path}: it looks like nothing that can be imported: say what it is by --format")
        })?;
        inputs.push((path.as_path(), input, format));
    }
    if inputs.iter().all(|(_, _, format)| *format == Format::Hblink) {
        return hblink::import(paths, inputs.into_iter().map(|(path, input, _)| (path, input)).collect());
    }
    let (Some((path, input, format)), true) = (inputs.pop(), inputs.is_empty()) else {
        bail!("one file at a time; only of hblink there may be several that belong together");
    };
    one(paths, input, format).with_context(|| path.display().to_string())
}

fn one(paths: &Paths, input: Input, format: Format) -> Result<Exit> {
    let keep: &[&str] = if format == Format::Export { &[] } else { &users::KEEP };
    let mut writer = Writer::new(paths, input.place.clone(), keep);
    let result = match format {
        Format::Csv => users::import_csv(input, &mut writer),
        Format::Json => users::import_json(input, &mut writer),
        Format::Export | Format::Hblink => lines::import(input, &mut writer),
    };
    // What came before the place that cannot be read is imported all the same.
    let result = match result {
        Err(error) if error.downcast_ref::<control::Error>().is_none() => writer.flush().and(Err(error)),
        result => result.and_then(|()| writer.flush()),
    };
    say::line(&writer.summary());
    result?;
    Ok(if writer.bad > 0 { Exit::Failure } else { Exit::Ok })
}

/// What a file is that begins so.
fn recognised(head: &str) -> Option<Format> {
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let first = head.lines().next()?;
    let is_section = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
    match head.chars().next()? {
        '{' if lines::is_header(first) => Some(Format::Export),
        '{' if head.contains("\"repeater_configurations\"") => Some(Format::Hblink),
        '{' if head.contains("\"users\"") => Some(Format::Json),
        '{' => None,
        '[' if head[1..].trim_start().starts_with(['{', ']']) => Some(Format::Json),
        _ if users::is_header(first) => Some(Format::Csv),
        _ if head.contains("BRIDGES") || head.lines().any(is_section) => Some(Format::Hblink),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_what_is_in_them() {
        for (head, expected) in [
            ("{\"format\":\"bmctl registry\",\"version\":1}\n{", Some(Format::Export)),
            ("{\"format\":\"bmctl registry\",\"version\":9}\n", Some(Format::Export)),
            ("\u{feff}RADIO_ID,CALLSIGN,FIRST_NAME\n", Some(Format::Csv)),
            ("\n { \"users\": [", Some(Format::Json)),
            ("[\n{\"id\":1}", Some(Format::Json)),
            ("[]", Some(Format::Json)),
            ("# a comment\n[GLOBAL]\nPATH: ./\n", Some(Format::Hblink)),
            ("[GLOBAL]\n", Some(Format::Hblink)),
            ("'''\nwords\n'''\nBRIDGES = {}", Some(Format::Hblink)),
            ("{\"global\":{},\"repeater_configurations\":{}}", Some(Format::Hblink)),
            ("{\"a\":1}", None),
            ("", None),
            ("1023001,VE3THW\n", None),
        ] {
            assert_eq!(recognised(head), expected, "{head}");
        }
    }
}
