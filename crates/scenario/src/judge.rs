//! Whether what was heard and told is what a scenario expects.

use std::fmt::Write;
use std::time::Duration;

use dmr::{BurstKind, DataType};
use stack::Slot;

use crate::expected::{Dropped, Expect, Hears, Mark, Moment, Reason, What, Who};
use crate::form;
use crate::heard::{Call, calls, count_words};
use crate::model::{Scenario, Talker};
use crate::play::Played;
use crate::world::Refusal;

/// Holds what was played against the scenario.
///
/// # Errors
/// What is wrong, with all that happened.
pub fn judge(scenario: &Scenario, played: &Played) -> Result<(), String> {
    let judge = Judge { scenario, played, calls: calls(&played.told.heard) };
    let wrong = judge.contenders().into_iter().map(|winner| judge.wrong(winner)).min_by_key(Vec::len);
    let wrong = wrong.unwrap_or_default();
    if wrong.is_empty() { Ok(()) } else { Err(judge.report(&wrong)) }
}

struct Judge<'a> {
    scenario: &'a Scenario,
    played: &'a Played,
    calls: Vec<Call<'a>>,
}

/// Of those named with "or", the one who it was, and the other.
#[derive(Clone, Copy)]
struct Winner(u32, u32);

impl Judge<'_> {
    /// All who may have won, where the scenario leaves that open.
    fn contenders(&self) -> Vec<Option<Winner>> {
        let who = |expect: &Expect| match &expect.what {
            What::Hears(hears) => hears.from.clone(),
            What::Refused(who, _) | What::Alias(who, _) => who.clone(),
            What::Dropped(..) => Who::Other,
        };
        let open = self.scenario.expects.iter().find_map(|expect| match who(expect) {
            Who::OneOf(all) => Some(all),
            _ => None,
        });
        match open.as_deref() {
            Some(&[a, b, ..]) => vec![Some(Winner(a, b)), Some(Winner(b, a))],
            _ => vec![None],
        }
    }

    fn wrong(&self, winner: Option<Winner>) -> Vec<String> {
        let mut wrong = self.played.wrong.clone();
        for device in 0..self.scenario.devices.len() {
            for slot in Slot::ALL {
                self.check_slot(device, slot, winner, &mut wrong);
            }
        }
        self.check_refusals(winner, &mut wrong);
        for Expect { line, words, what } in &self.scenario.expects {
            match what {
                What::Alias(who, alias) => {
                    let told = (id_of(who, winner), alias.clone());
                    if !self.played.told.aliases.contains(&told) {
                        wrong.push(format!("line {line}: nobody told of it: {words}"));
                    }
                }
                What::Dropped(drop, count) => {
                    let place = Dropped::ALL.iter().position(|(other, _)| other == drop);
                    let number = place.map_or(0, |place| self.played.told.dropped[place]);
                    if !count.admits(number) {
                        wrong.push(format!("line {line}: {number} were dropped: {words}"));
                    }
                }
                What::Hears(_) | What::Refused(..) => {}
            }
        }
        wrong
    }

    /// All that a device hears on a slot is expected, in this order, and nothing else.
    fn check_slot(&self, device: usize, slot: Slot, winner: Option<Winner>, wrong: &mut Vec<String>) {
        let is_here = |expect: &&Expect| matches!(&expect.what, What::Hears(hears) if (hears.device, hears.slot) == (device, slot));
        let mut expects = self.scenario.expects.iter().filter(is_here).peekable();
        let mut before = None;
        for call in self.calls.iter().filter(|call| (call.device, call.slot) == (device, slot)) {
            let words = call.words(self.scenario);
            loop {
                let Some(expect) = expects.next() else {
                    wrong.push(format!("not expected: {words}"));
                    break;
                };
                let What::Hears(hears) = &expect.what else { continue };
                match self.check_call(call, hears, winner, before) {
                    Ok(()) => break,
                    Err(_) if hears.optional => {}
                    Err(reason) => {
                        let line = expect.line;
                        wrong.push(format!("line {line}: {}\n    but {words}\n    {reason}", expect.words));
                        break;
                    }
                }
            }
            before = Some(call.end());
        }
        for expect in expects {
            if matches!(&expect.what, What::Hears(hears) if !hears.optional) {
                wrong.push(format!("line {}: not heard: {}", expect.line, expect.words));
            }
        }
    }

    fn check_call(
        &self,
        call: &Call<'_>,
        hears: &Hears,
        winner: Option<Winner>,
        before: Option<Duration>,
    ) -> Result<(), String> {
        let source = id_of(&hears.from, winner);
        for heard in &call.bursts {
            let frame = &heard.frame;
            if (frame.call, frame.destination) != (hears.target.call, hears.target.id) {
                return Err("it is for somebody else".into());
            }
            if frame.source != source {
                return Err("somebody else talks".into());
            }
        }
        if call.is_data() != hears.is_data {
            return Err("one is data and the other is not".into());
        }
        let device = &self.scenario.devices[hears.device];
        let number = if hears.is_data {
            form::check_data(call, &self.played.talks, device)?;
            let csbks = call.count(|kind| kind == BurstKind::Data(DataType::CSBK));
            let headers = call.count(|kind| kind == BurstKind::Data(DataType::DATA_HEADER));
            check_count(csbks, hears.parts.csbks, "CSBK")?;
            if headers != u32::from(hears.parts.header) {
                return Err(format!("{headers} headers"));
            }
            call.bursts.len() as u32 - csbks - headers
        } else {
            form::check_voice(call, &self.played.talks, device, hears, source)?;
            call.count(|kind| matches!(kind, BurstKind::Voice(_)))
        };
        check_count(number, hears.parts.body, if hears.is_data { "blocks" } else { "voice" })?;
        hears.marks.iter().try_for_each(|mark| self.check_mark(call, hears, mark, before))
    }

    fn check_mark(
        &self,
        call: &Call<'_>,
        hears: &Hears,
        mark: &Mark,
        before: Option<Duration>,
    ) -> Result<(), String> {
        let device = &self.scenario.devices[hears.device];
        let options = call.header_lc().map(|lc| lc.service_options());
        let (is_so, what) = match mark {
            Mark::Emergency => {
                (options.is_some_and(|options| options.emergency()), "no emergency bit".into())
            }
            Mark::Encrypted => (options.is_some_and(|options| options.privacy()), "no privacy bit".into()),
            // All bursts have been held against the device's own.
            Mark::ColourCode(code) => {
                (device.colour_code == *code, format!("the device has colour code {}", device.colour_code))
            }
            Mark::BaseStation(is_base) => {
                let is_duplex = device.slots != stack::Slots::Simplex;
                (is_duplex == *is_base, "the device hears the other sync".into())
            }
            Mark::Begins { least, most, after } => {
                let Some(moment) = self.moment(*after, before) else {
                    return Err("there is nothing that it could begin after".into());
                };
                let passed = call.begin().checked_sub(moment);
                let ms = passed.map_or(-1, |passed| passed.as_millis() as i64);
                (
                    passed.is_some_and(|passed| (*least..=*most).contains(&passed)),
                    format!("it began after {ms} ms"),
                )
            }
        };
        if is_so { Ok(()) } else { Err(what) }
    }

    fn moment(&self, moment: Moment, before: Option<Duration>) -> Option<Duration> {
        let talk = |talker: Talker, steps: usize| {
            let mut talks = self.played.talks.iter().rev();
            talks.find(|talk| talk.talker.radio == talker.radio && talk.step < steps)
        };
        match moment {
            Moment::Begin(talker, steps) => talk(talker, steps).map(|talk| talk.began),
            Moment::End(talker, steps) => talk(talker, steps).map(|talk| talk.ended),
            Moment::Before => before,
        }
    }

    /// The refusals of each radio are those expected, in this order.
    fn check_refusals(&self, winner: Option<Winner>, wrong: &mut Vec<String>) {
        let mut told: Vec<&Refusal> = Vec::new();
        for refusal in &self.played.told.refused {
            // A session is refused once, however often that is told.
            if !told.iter().any(|other| (&other.session, other.reason) == (&refusal.session, refusal.reason))
            {
                told.push(refusal);
            }
        }
        let mut radios: Vec<u32> = told.iter().map(|refusal| refusal.radio).collect();
        let expected: Vec<(u32, Reason)> = self
            .scenario
            .expects
            .iter()
            .filter_map(|expect| match &expect.what {
                What::Refused(who, reason) => Some((id_of(who, winner), *reason)),
                _ => None,
            })
            .collect();
        radios.extend(expected.iter().map(|(radio, _)| *radio));
        radios.sort_unstable();
        radios.dedup();
        for radio in radios {
            let words = |reasons: Vec<Reason>| match &reasons[..] {
                [] => "not at all".to_owned(),
                some => some.iter().map(|reason| reason.words()).collect::<Vec<_>>().join(", "),
            };
            let is =
                told.iter().filter(|refusal| refusal.radio == radio).map(|refusal| refusal.reason).collect();
            let wanted =
                expected.iter().filter(|(other, _)| *other == radio).map(|(_, reason)| *reason).collect();
            let (is, wanted) = (words(is), words(wanted));
            if is != wanted {
                let name = self.scenario.radio_name(radio);
                wrong.push(format!("{name} was refused: {is}; expected: {wanted}"));
            }
        }
    }

    /// What is wrong, and all that happened in the order of time.
    fn report(&self, wrong: &[String]) -> String {
        let mut lines: Vec<(Duration, String)> = self.played.script.clone();
        lines.extend(self.calls.iter().map(|call| {
            let end = call.end().as_secs_f64();
            (call.begin(), format!("    {} (until {end:.3})", call.words(self.scenario)))
        }));
        lines.extend(self.played.told.refused.iter().map(|refusal| {
            let (name, why) = (self.scenario.radio_name(refusal.radio), refusal.reason.words());
            (refusal.at, format!("    {name} is refused: {why}"))
        }));
        lines.sort_by_key(|(at, _)| *at);
        let mut report = format!("{}: {}\n", self.scenario.name, self.scenario.rule);
        // Writing to a string does not fail.
        for line in wrong {
            let _ = writeln!(report, "  {line}");
        }
        let _ = writeln!(report, "  What happened:");
        for (at, line) in lines {
            let _ = writeln!(report, "  {:8.3} s  {line}", at.as_secs_f64());
        }
        let dropped = Dropped::ALL.iter().zip(self.played.told.dropped).filter(|(_, number)| *number > 0);
        for ((_, name), number) in dropped {
            let _ = writeln!(report, "  dropped as {name}: {number}");
        }
        report
    }
}

fn check_count(number: u32, count: crate::expected::Count, what: &str) -> Result<(), String> {
    if count.admits(number) { Ok(()) } else { Err(format!("{number} {what}, not {}", count_words(count))) }
}

fn id_of(who: &Who, winner: Option<Winner>) -> u32 {
    match (who, winner) {
        (Who::Radio(id), _) => *id,
        (Who::OneOf(_), Some(Winner(id, _))) | (Who::Other, Some(Winner(_, id))) => id,
        (Who::OneOf(_) | Who::Other, None) => 0,
    }
}
