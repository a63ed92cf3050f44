//! From the text of a scenario to a [`Scenario`], and from a directory to all of its scenarios.

use std::path::{Path, PathBuf};

use crate::expects::{self, Silences};
use crate::model::{Action, Rules, Scenario, Talker};
use crate::words::{Error, Words};
use crate::{setup, steps};

/// The ending of a scenario's file.
const ENDING: &str = "scn";

impl Scenario {
    /// Reads the text of a scenario; `name` is its topic and its name, `file` is what errors speak of.
    ///
    /// # Errors
    /// The first line that is not understood, with what would be.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Error> {
        let error = |line, reason: &str| Error { file: file.to_owned(), line, reason: reason.to_owned() };
        let rule = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
        if rule.is_empty() || !rule.ends_with('.') {
            return Err(error(1, "begin with a comment of one sentence: \"# The rule that is shown.\""));
        }
        let mut scenario = Self {
            name: name.to_owned(),
            rule: rule.to_owned(),
            only_simulated: None,
            rules: Rules::default(),
            devices: Vec::new(),
            radios: Vec::new(),
            steps: Vec::new(),
            expects: Vec::new(),
        };
        let mut silences = Silences::default();
        for (line, text) in (1..).zip(text.lines()) {
            let mut words = Words::new(file, line, text)?;
            if words.is_empty() {
                continue;
            }
            let began = !(scenario.steps.is_empty() && scenario.expects.is_empty());
            if setup::read(&mut scenario, &mut words)? {
                if began {
                    return Err(error(line, "this belongs before all that happens"));
                }
                continue;
            }
            if scenario.devices.is_empty() {
                return Err(words.unknown(setup::VALID));
            }
            let text = text.trim();
            let is_expected = ["nobody", "dropped", "the"].contains(&words.peek().unwrap_or_default());
            if is_expected || !steps::read(&mut scenario, &mut words, line, text)? {
                words.rewind();
                expects::read(&mut scenario, &mut silences, &mut words, line, text)?;
            }
        }
        silences.check(file, &scenario)?;
        scenario.check().map_err(|(line, reason)| error(line, &reason))?;
        Ok(scenario)
    }

    /// Each radio that begins to talk has to end.
    fn check(&self) -> Result<(), (usize, String)> {
        let mut talking: Vec<(Talker, usize)> = Vec::new();
        for step in &self.steps {
            let ends = match &step.action {
                Action::Key { talkers, .. } => {
                    talking.extend(talkers.iter().map(|talker| (*talker, step.line)));
                    continue;
                }
                Action::Unkey(talkers) => talkers.as_slice(),
                Action::FallSilent(talker) => &[*talker],
                _ => continue,
            };
            for end in ends {
                let of_radio = |(talker, _): &(Talker, usize)| talker.radio == end.radio;
                let exact = talking.iter().rposition(|(talker, _)| talker == end);
                let Some(place) = exact.or_else(|| talking.iter().rposition(of_radio)) else {
                    let name = &self.radios[end.radio].name;
                    return Err((
                        step.line,
                        format!("{name} does not talk: write \"{name} keys ...\" before"),
                    ));
                };
                talking.remove(place);
            }
        }
        match talking.first() {
            Some(&(talker, line)) => {
                let name = &self.radios[talker.radio].name;
                Err((line, format!("{name} never ends: write \"{name} unkeys\" or \"{name} falls silent\"")))
            }
            None => Ok(()),
        }
    }

    /// Whether it is one of those wanted: `wanted` has parts of names with commas between them, or nothing.
    #[must_use]
    pub fn is_one_of(&self, wanted: &str) -> bool {
        wanted.split(',').any(|part| self.name.contains(part))
    }

    /// The name of the radio with this ID, or the ID.
    #[must_use]
    pub fn radio_name(&self, id: u32) -> String {
        let radio = self.radios.iter().find(|radio| radio.id == id);
        radio.map_or_else(|| id.to_string(), |radio| radio.name.clone())
    }
}

/// Reads all scenarios below a directory, in the order of their names: `topic/name.scn`.
///
/// # Errors
/// All that is wrong with them, in words.
pub fn read_all(directory: &Path) -> Result<Vec<Scenario>, Vec<String>> {
    let (mut scenarios, mut errors) = (Vec::new(), Vec::new());
    for path in files(directory, &mut errors) {
        let name = path.strip_prefix(directory).unwrap_or(&path).with_extension("");
        let read = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
        let scenario = read.and_then(|text| {
            let file = path.display().to_string();
            Scenario::parse(&name.display().to_string(), &file, &text).map_err(|error| error.to_string())
        });
        match scenario {
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(scenarios) } else { Err(errors) }
}

/// The files of scenarios below a directory, sorted.
fn files(directory: &Path, errors: &mut Vec<String>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(format!("{}: {error}", directory.display()));
            return Vec::new();
        }
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, errors));
        } else if path.extension().is_some_and(|ending| ending == ENDING) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: &str = "# A rule.\nrepeater A on worker 0\nrepeater L on worker 1, static TS1: 1 2\n";

    fn error(line: &str) -> String {
        Scenario::parse("x", "x.scn", &format!("{SETUP}{line}\n")).unwrap_err().to_string()
    }

    #[test]
    fn a_scenario_is_read() {
        let text = format!(
            "{SETUP}radio P at A, ID 2621370\n\nA talks to group 1 on TS1 for 18 bursts\nL hears group 1 from A on \
             TS1: header, 18 voice, terminator\nP keys private L on TS2, emergency\n1 s passes\nP unkeys\n"
        );
        let scenario = Scenario::parse("calls/x", "x.scn", &text).unwrap();
        assert_eq!(
            (scenario.rule.as_str(), scenario.devices.len(), scenario.radios.len()),
            ("A rule.", 2, 3)
        );
        assert_eq!((scenario.steps.len(), scenario.expects.len()), (7, 1));
        assert_eq!(scenario.devices[1].statics, [vec![1, 2], vec![]]);
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        let cases = [
            ("A kicks group 1", "x.scn:4: \"kicks\" is not understood here: write keys, unkeys, "),
            ("X keys group 1 on TS1", "x.scn:4: \"X\" is not understood here: write who: A, L"),
            ("A keys group 1", "x.scn:4: the line ends too early: write \"on TS1\" or \"on TS2\""),
            ("A keys group 1 on TS1", "x.scn:4: A never ends: write \"A unkeys\" or \"A falls silent\""),
            (
                "L hears group 1 from A on TS1: head",
                "x.scn:4: \"head\" is not understood here: write \"header\"",
            ),
            (
                "A is refused: tired",
                "x.scn:4: \"tired\" is not understood here: write \"no route\" or \"busy\"",
            ),
            ("1 s passes\nhang time 2 s", "x.scn:5: this belongs before all that happens"),
            (
                "L hears nothing\nL hears group 1 from A on TS1",
                "x.scn:4: line 5 says that something is heard",
            ),
            ("hotspot H on worker 0, static TS1: 1", "x.scn:4: H has no TS1: write TS2"),
        ];
        for (line, expected) in cases {
            assert!(error(line).starts_with(expected), "{}", error(line));
        }
        let error = Scenario::parse("x", "x.scn", "repeater A").unwrap_err().to_string();
        assert!(error.starts_with("x.scn:1: begin with a comment of one sentence"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer(text in "(\\PC|\n){0,60}", cut in 0..200_usize) {
            const LINE: &str = "L hears data to group 5 from A on TS1: 2 CSBK, header, about 4 blocks, between 1 s and 2 s \
                                after A ends";
            let _ = Scenario::parse("x", "x.scn", &text);
            let line: String = LINE.chars().take(cut).collect();
            let _ = Scenario::parse("x", "x.scn", &format!("{SETUP}{line}{text}"));
        }
    }
}
