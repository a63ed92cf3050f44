//! The lines that say what must be heard and told.

use std::time::Duration;

use crate::expected::{Count, Dropped, Expect, Hears, Mark, Moment, Parts, Reason, What, Who};
use crate::model::{Scenario, Talker};
use crate::steps;
use crate::words::{Error, Words};

/// A call as it has to be where nothing else is said.
const WHOLE: Parts = Parts {
    csbks: Count::NONE,
    header: true,
    pi_header: false,
    body: Count { least: 1, most: u32::MAX },
    lost: Count::NONE,
    terminator: Count::ONE,
};

/// What is left when nothing is named.
const NOTHING: Parts = Parts {
    csbks: Count::NONE,
    header: false,
    pi_header: false,
    body: Count::NONE,
    lost: Count::NONE,
    terminator: Count::NONE,
};

/// Who hears nothing: checked once all lines are read.
#[derive(Debug, Default)]
pub(crate) struct Silences(Vec<(usize, Option<usize>, Option<stack::Slot>)>);

impl Silences {
    /// Nobody who hears nothing hears something.
    pub(crate) fn check(&self, file: &str, scenario: &Scenario) -> Result<(), Error> {
        for &(line, device, slot) in &self.0 {
            let contradicts = |expect: &&Expect| match &expect.what {
                What::Hears(hears) => {
                    device.is_none_or(|device| device == hears.device)
                        && slot.is_none_or(|slot| slot == hears.slot)
                }
                _ => false,
            };
            if let Some(expect) = scenario.expects.iter().find(contradicts) {
                let reason = format!("line {} says that something is heard there", expect.line);
                return Err(Error { file: file.to_owned(), line, reason });
            }
        }
        Ok(())
    }
}

/// Reads a line that says what must be.
pub(crate) fn read(
    scenario: &mut Scenario,
    silences: &mut Silences,
    words: &mut Words,
    line: usize,
    text: &str,
) -> Result<(), Error> {
    if words.eat("nobody hears anything") {
        silences.0.push((line, None, None));
        return words.end();
    }
    let what = if words.eat("dropped as") {
        let why = words.one_of(&Dropped::ALL)?;
        words.expect(":")?;
        What::Dropped(why, words.count()?)
    } else if let Some(hears) = hears(scenario, silences, words, line)? {
        What::Hears(hears)
    } else if words.peek().is_none() {
        return Ok(());
    } else {
        told(scenario, words)?
    };
    words.end()?;
    scenario.expects.push(Expect { line, words: text.to_owned(), what });
    Ok(())
}

/// `A is refused: taken` or `A says the alias "..."`.
fn told(scenario: &Scenario, words: &mut Words) -> Result<What, Error> {
    let who = who(scenario, words)?;
    if words.eat("is refused") {
        words.expect(":")?;
        let reasons = Reason::ALL.map(|(reason, words, _)| (reason, words));
        return Ok(What::Refused(who, words.one_of(&reasons)?));
    }
    words.expect("says the alias")?;
    Ok(What::Alias(who, words.text()?))
}

/// `A`, `9990`, `A or B`, `the other`. Where a radio is does not matter: `P at B` is P.
fn who(scenario: &Scenario, words: &mut Words) -> Result<Who, Error> {
    if words.eat("the other") {
        return Ok(Who::Other);
    }
    let mut all = vec![steps::id(scenario, words)?];
    if words.eat("at") {
        steps::device(scenario, words)?;
    }
    while words.eat("or") {
        all.push(steps::id(scenario, words)?);
    }
    Ok(if let [one] = all[..] { Who::Radio(one) } else { Who::OneOf(all) })
}

/// `L hears ...` or `L may hear ...`; `None` for `L hears nothing`, and where it is none of them.
fn hears(
    scenario: &Scenario,
    silences: &mut Silences,
    words: &mut Words,
    line: usize,
) -> Result<Option<Hears>, Error> {
    if !words.follows(1, &["hears", "may"]) {
        return Ok(None);
    }
    let device = steps::device(scenario, words)?;
    if words.eat("hears nothing") {
        let slot = if words.eat("on") { Some(words.slot()?) } else { None };
        silences.0.push((line, Some(device), slot));
        words.end()?;
        return Ok(None);
    }
    let optional = words.one_of(&[(true, "may hear"), (false, "hears")])?;
    let is_data = words.eat("data to");
    let target = steps::target(scenario, words)?;
    words.expect("from")?;
    let from = who(scenario, words)?;
    let slot = steps::on_slot(scenario, words, device)?;
    let (parts, marks) = if words.eat(":") { list(scenario, words, is_data)? } else { (WHOLE, vec![]) };
    Ok(Some(Hears { device, slot, optional, is_data, target, from, parts, marks }))
}

/// The parts of a call, in their order, and what else is said of it.
fn list(scenario: &Scenario, words: &mut Words, is_data: bool) -> Result<(Parts, Vec<Mark>), Error> {
    let (mut parts, mut marks, mut named) = (NOTHING, Vec::new(), false);
    loop {
        if let Some(mark) = mark(scenario, words)? {
            marks.push(mark);
        } else {
            named = true;
            part(words, is_data, &mut parts)?;
        }
        if !words.comma_or_end()? {
            break;
        }
    }
    Ok((if named { parts } else { WHOLE }, marks))
}

fn part(words: &mut Words, is_data: bool, parts: &mut Parts) -> Result<(), Error> {
    const VOICE: &str = "\"header\", \"PI header\", \"17 voice\", \"2 lost\", \"terminator\", \"maybe terminator\", \"emergency\", \
                         \"encrypted\", \"colour code\", \"base station sync\", \"radio sync\", \"between ... after\" \
                         or \"within ... after\"";
    const DATA: &str = "\"2 CSBK\", \"header\", \"4 blocks\", \"colour code\", \"base station sync\", \"radio \
                        sync\", \"between ... after\" or \"within ... after\"";
    let valid = if is_data { DATA } else { VOICE };
    if words.eat("header") {
        parts.header = true;
    } else if !is_data && words.eat("PI header") {
        parts.pi_header = true;
    } else if !is_data && words.eat("terminator") {
        parts.terminator = Count::ONE;
    } else if !is_data && words.eat("maybe terminator") {
        parts.terminator = Count::MAYBE;
    } else {
        let count = words.count().map_err(|_| words.unknown(valid))?;
        if is_data && words.eat("CSBK") {
            parts.csbks = count;
        } else if match is_data {
            true => words.eat("blocks") || words.eat("block"),
            false => words.eat("voice"),
        } {
            parts.body = count;
        } else if !is_data && words.eat("lost") {
            parts.lost = count;
        } else {
            return Err(words.unknown(valid));
        }
    }
    Ok(())
}

fn mark(scenario: &Scenario, words: &mut Words) -> Result<Option<Mark>, Error> {
    Ok(Some(if words.eat("emergency") {
        Mark::Emergency
    } else if words.eat("encrypted") {
        Mark::Encrypted
    } else if words.eat("colour code") {
        Mark::ColourCode(words.number("a colour code", 0, 15)? as u8)
    } else if words.eat("base station sync") {
        Mark::BaseStation(true)
    } else if words.eat("radio sync") {
        Mark::BaseStation(false)
    } else if words.eat("between") {
        let least = words.time()?;
        words.expect("and")?;
        let most = words.time()?;
        Mark::Begins { least, most, after: moment(scenario, words)? }
    } else if words.eat("within") {
        let most = words.time()?;
        Mark::Begins { least: Duration::ZERO, most, after: moment(scenario, words)? }
    } else {
        return Ok(None);
    }))
}

/// `after A ends`, `after A begins` or `after the call before`.
fn moment(scenario: &Scenario, words: &mut Words) -> Result<Moment, Error> {
    words.expect("after")?;
    if words.eat("the call before") {
        return Ok(Moment::Before);
    }
    let talker: Talker = steps::talker(scenario, words)?;
    let steps = scenario.steps.len();
    words.one_of(&[(Moment::Begin(talker, steps), "begins"), (Moment::End(talker, steps), "ends")])
}
