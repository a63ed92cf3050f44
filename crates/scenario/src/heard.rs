//! What a device heard, call by call, and what each call was made of.

use std::fmt::Write;
use std::time::Duration;

use dmr::{BurstKind, DataType, FullLc};
use stack::{CallType, Slot};

use crate::expected::Count;
use crate::model::Scenario;
use crate::world::Heard;

/// Bursts of one call that a device heard on one slot, in order.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) device: usize,
    pub(crate) slot: Slot,
    pub(crate) bursts: Vec<&'a Heard>,
}

const HEADER: BurstKind = BurstKind::Data(DataType::VOICE_HEADER);
const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);

/// What was heard, by device and slot, in the order in which the calls began.
///
/// Another stream or another talker is another call; so is a header behind voice, and what follows a
/// terminator.
pub(crate) fn calls(heard: &[Heard]) -> Vec<Call<'_>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for burst in heard {
        let mut on_slot = calls.iter_mut().rev();
        let latest = on_slot.find(|call| (call.device, call.slot) == (burst.device, burst.slot));
        match latest.filter(|call| call.goes_on(burst)) {
            Some(call) => call.bursts.push(burst),
            None => calls.push(Call { device: burst.device, slot: burst.slot, bursts: vec![burst] }),
        }
    }
    calls
}

impl Call<'_> {
    fn goes_on(&self, next: &Heard) -> bool {
        let Some(last) = self.bursts.last() else { return true };
        let who =
            |heard: &Heard| (heard.stream, heard.frame.source, heard.frame.destination, heard.frame.call);
        who(last) == who(next)
            && last.frame.kind != TERMINATOR
            && !(next.frame.kind == HEADER && matches!(last.frame.kind, BurstKind::Voice(_)))
    }

    pub(crate) fn first(&self) -> Option<&Heard> {
        self.bursts.first().copied()
    }

    pub(crate) fn begin(&self) -> Duration {
        self.first().map_or(Duration::ZERO, |heard| heard.at)
    }

    pub(crate) fn end(&self) -> Duration {
        self.bursts.last().map_or(Duration::ZERO, |heard| heard.at)
    }

    pub(crate) fn is_data(&self) -> bool {
        let is_data = |heard: &&&Heard| match heard.frame.kind {
            HEADER | TERMINATOR | BurstKind::Voice(_) => false,
            BurstKind::Data(data_type) => data_type != DataType::PI_HEADER,
        };
        self.bursts.iter().any(|heard| is_data(&heard))
    }

    /// How many bursts are of this kind.
    pub(crate) fn count(&self, is: impl Fn(BurstKind) -> bool) -> u32 {
        self.bursts.iter().filter(|heard| is(heard.frame.kind)).count() as u32
    }

    /// The LC of its first header.
    pub(crate) fn header_lc(&self) -> Option<FullLc> {
        let header = self.bursts.iter().find(|heard| heard.frame.kind == HEADER)?;
        FullLc::from_burst(&header.frame.burst, DataType::VOICE_HEADER)
    }

    /// In the words of a scenario.
    pub(crate) fn words(&self, scenario: &Scenario) -> String {
        let Some(first) = self.first() else { return String::new() };
        let frame = &first.frame;
        let mut words = format!("{} hears ", scenario.devices[self.device].name);
        let to = match frame.call {
            CallType::Group => format!("group {}", frame.destination),
            CallType::Private => format!("private {}", scenario.radio_name(frame.destination)),
        };
        let data = if self.is_data() { "data to " } else { "" };
        let from = scenario.radio_name(frame.source);
        // Writing to a string does not fail.
        let _ =
            write!(words, "{data}{to} from {from} on TS{}: {}", self.slot.number(), self.parts().join(", "));
        words
    }

    /// Its bursts, summed up.
    fn parts(&self) -> Vec<String> {
        let runs = self.bursts.chunk_by(|a, b| name(a.frame.kind) == name(b.frame.kind));
        runs.map(|run| match (name(run[0].frame.kind), run.len()) {
            (name @ ("header" | "PI header" | "terminator"), 1) => name.to_owned(),
            ("voice", number) => {
                let BurstKind::Voice(letter) = run[0].frame.kind else { return String::new() };
                let first = if letter == 0 { "" } else { " from burst " };
                let letter = if letter == 0 { "" } else { &"ABCDEF"[usize::from(letter.min(5))..][..1] };
                format!("{number} voice{first}{letter}")
            }
            (name, number) => format!("{number} {name}"),
        })
        .collect()
    }
}

fn name(kind: BurstKind) -> &'static str {
    match kind {
        BurstKind::Voice(_) => "voice",
        HEADER | BurstKind::Data(DataType::DATA_HEADER) => "header",
        TERMINATOR => "terminator",
        BurstKind::Data(DataType::PI_HEADER) => "PI header",
        BurstKind::Data(DataType::CSBK) => "CSBK",
        BurstKind::Data(_) => "blocks",
    }
}

/// A count in words.
pub(crate) fn count_words(count: Count) -> String {
    match (count.least, count.most) {
        (least, most) if least == most => least.to_string(),
        (least, most) if most >= 100_000 => format!("at least {least}"),
        (least, most) => format!("{least} to {most}"),
    }
}
