//! Who was heard last: the newest session of each radio. Kept in the registry too, in batches, so that a restart
//! forgets no more than the last few seconds.

use std::collections::{BTreeMap, BTreeSet};

use control::HeardInfo;
use events::{RefuseReason, StopReason};
use stack::CallType;
use switch::{Kind, SessionReport};
use uuid::Uuid;

/// Radios that are remembered; beyond, the one that was heard the longest ago is forgotten.
const MAX_RADIOS: usize = 4096;
/// Call signs that are remembered; beyond, all are learnt anew.
const MAX_CALLS: usize = 65_536;
/// The longest alias, in characters.
const MAX_ALIAS: usize = 31;
/// The length of a burst of speech, seconds.
const BURST: f64 = 0.06;

#[derive(Debug, Default)]
pub(crate) struct Heard {
    by_radio: BTreeMap<u32, HeardInfo>,
    /// Radios of which something has changed since [`Self::take_changes`].
    changed: BTreeSet<u32>,
    /// Call signs of contexts that are or were logged in, by ID.
    calls: BTreeMap<u32, String>,
}

impl Heard {
    /// From what an earlier process kept, and the call signs of those that are logged in. A session that goes on there
    /// and is not among those that run has ended, nobody knows how.
    pub(crate) fn new(kept: Vec<HeardInfo>, running: &BTreeSet<Uuid>, calls: BTreeMap<u32, String>) -> Self {
        let mut heard = Self { calls, ..Self::default() };
        for mut info in kept {
            if info.ended.is_none() && !running.contains(&info.session) {
                info.ended = Some(StopReason::Unknown);
                heard.changed.insert(info.radio);
            }
            heard.by_radio.insert(info.radio, info);
        }
        heard
    }

    /// A context has logged in.
    pub(crate) fn named(&mut self, context: u32, call: &str) {
        if self.calls.len() >= MAX_CALLS {
            self.calls.clear();
        }
        self.calls.insert(context, call.to_owned());
    }

    /// Nobody hears it, for a reason or no longer.
    pub(crate) fn refused(&mut self, report: &SessionReport, why: Option<RefuseReason>) {
        if let Some(info) = self.entry(report) {
            info.refused = why;
        }
    }

    /// Why nobody hears the newest session of its radio.
    pub(crate) fn why_refused(&self, report: &SessionReport) -> Option<RefuseReason> {
        let session = Uuid::from_u128(report.session.uuid());
        self.by_radio.get(&report.source).filter(|info| info.session == session)?.refused
    }

    pub(crate) fn alias(&mut self, report: &SessionReport, alias: &str) {
        if let Some(info) = self.entry(report) {
            info.alias = Some(alias.to_owned());
        }
    }

    pub(crate) fn stopped(&mut self, report: &SessionReport, why: StopReason, wall_us: u64) {
        if let Some(info) = self.entry(report) {
            info.seconds = match report.kind {
                Kind::Voice if report.bursts > 0 => f64::from(report.bursts) * BURST,
                _ => seconds_since(info, wall_us),
            };
            info.ended = Some(why);
        }
    }

    /// The session of a report, which is its radio's newest; `None` where it is not.
    fn entry(&mut self, report: &SessionReport) -> Option<&mut HeardInfo> {
        let (radio, session) = (report.source, Uuid::from_u128(report.session.uuid()));
        let started_ms = (report.session.key >> 12) / 1000;
        let known = self.by_radio.get(&radio);
        if known.is_none_or(|known| known.session != session) {
            // A call of another host, which has no context here, was heard there.
            if report.context == 0 || known.is_some_and(|known| known.started_ms > started_ms) {
                return None;
            }
            let alias = known.and_then(|known| known.alias.clone());
            self.make_room(radio);
            let info = HeardInfo {
                radio,
                alias,
                destination: report.destination,
                group: report.call == CallType::Group,
                context: report.context,
                call: self.calls.get(&report.context).cloned().unwrap_or_default(),
                slot: report.slot.number(),
                session,
                started_ms,
                seconds: 0.0,
                refused: None,
                ended: None,
            };
            self.by_radio.insert(radio, info);
        }
        self.changed.insert(radio);
        self.by_radio.get_mut(&radio)
    }

    /// Takes what the registry says, where it is newer than what is known here; what is known is else written down again.
    pub(crate) fn learn(&mut self, info: HeardInfo) {
        let radio = info.radio;
        if self.by_radio.get(&radio).is_some_and(|known| known.started_ms > info.started_ms) {
            self.changed.insert(radio);
            return;
        }
        self.make_room(radio);
        self.by_radio.insert(radio, info);
    }

    fn make_room(&mut self, radio: u32) {
        if self.by_radio.len() < MAX_RADIOS || self.by_radio.contains_key(&radio) {
            return;
        }
        let oldest = self.by_radio.values().min_by_key(|info| info.started_ms).map(|info| info.radio);
        if let Some(oldest) = oldest {
            self.by_radio.remove(&oldest);
            self.changed.insert(oldest);
        }
    }

    /// The newest, at most so many.
    pub(crate) fn list(&self, count: usize, wall_us: u64) -> Vec<HeardInfo> {
        let mut all: Vec<&HeardInfo> = self.by_radio.values().collect();
        all.sort_by_key(|info| std::cmp::Reverse((info.started_ms, info.radio)));
        let now = |info: &HeardInfo| match info.ended {
            Some(_) => info.clone(),
            None => HeardInfo { seconds: seconds_since(info, wall_us), ..info.clone() },
        };
        all.into_iter().take(count).map(now).collect()
    }

    /// What has changed since it was last asked for; `None` for radios that were forgotten.
    pub(crate) fn take_changes(&mut self) -> Vec<(u32, Option<HeardInfo>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|radio| (radio, self.by_radio.get(&radio).cloned())).collect()
    }
}

fn seconds_since(info: &HeardInfo, wall_us: u64) -> f64 {
    let ms = (wall_us / 1000).saturating_sub(info.started_ms);
    std::time::Duration::from_millis(ms).as_secs_f64()
}

/// An alias without what could do harm on a terminal; `None` where nothing is left.
pub(crate) fn clean_alias(alias: &str) -> Option<String> {
    let clean: String = alias.chars().filter(|c| !c.is_control()).take(MAX_ALIAS).collect();
    Some(clean.trim().to_owned()).filter(|clean| !clean.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::tests::report;

    fn of(radio: u32, start_us: u64) -> SessionReport {
        SessionReport { source: radio, ..report(start_us) }
    }

    #[test]
    fn the_newest_session_of_each_radio() {
        let mut heard = Heard::default();
        heard.refused(&of(1, 1_000_000), None);
        heard.alias(&of(1, 1_000_000), "N0CALL");
        heard.stopped(&of(1, 1_000_000), StopReason::Terminator, 9_000_000);
        heard.refused(&of(2, 2_000_000), None);
        heard.refused(&SessionReport { context: 0, ..of(3, 2_000_000) }, Some(RefuseReason::Busy));
        heard.refused(&of(1, 3_000_000), None);
        heard.refused(&of(1, 3_000_000), Some(RefuseReason::Busy));
        heard.stopped(&of(1, 1_000_000), StopReason::Timeout, 9_000_000);
        let list = heard.list(9, 4_500_000);
        let [first, second] = &list[..] else { panic!("{list:?}") };
        assert_eq!((first.radio, first.started_ms, first.seconds), (1, 3_000, 1.5));
        assert_eq!((first.refused, first.ended), (Some(RefuseReason::Busy), None));
        assert_eq!((first.alias.as_deref(), second.radio), (Some("N0CALL"), 2), "it keeps its alias");
        heard.stopped(&of(1, 3_000_000), StopReason::Terminator, 9_000_000);
        heard.stopped(&SessionReport { bursts: 0, ..of(2, 2_000_000) }, StopReason::Unknown, 9_000_000);
        let list = heard.list(9, u64::MAX);
        assert_eq!((list[0].seconds, list[1].seconds), (3.0, 7.0), "50 bursts; by the clock");
        assert_eq!(heard.list(1, 0).len(), 1);
    }

    #[test]
    fn changes_are_told_once() {
        let mut heard = Heard::default();
        heard.named(262_137_001, "DB0ABC");
        heard.refused(&of(1, 1), None);
        let changes = heard.take_changes();
        assert_eq!((changes.len(), changes[0].1.as_ref().map(|info| &*info.call)), (1, Some("DB0ABC")));
        assert!(heard.take_changes().is_empty());
        for radio in 2..=4097 {
            heard.refused(&of(radio, u64::from(radio) * 1000), None);
        }
        let changes = heard.take_changes();
        assert_eq!((changes.len(), &changes[0]), (4097, &(1, None)), "the oldest is forgotten");
    }

    #[test]
    fn what_was_kept_is_known_again() {
        let mut heard = Heard::default();
        heard.refused(&of(1, 1_000_000), None);
        heard.refused(&of(2, 2_000_000), None);
        let kept: Vec<HeardInfo> = heard.take_changes().into_iter().filter_map(|(_, info)| info).collect();
        let running = BTreeSet::from([Uuid::from_u128(report(1_000_000).session.uuid())]);
        let mut heard = Heard::new(kept, &running, BTreeMap::new());
        let ended: Vec<_> = heard.list(9, 0).into_iter().map(|info| info.ended).collect();
        assert_eq!(ended, [Some(StopReason::Unknown), None]);
        heard.stopped(&of(1, 1_000_000), StopReason::Terminator, 0);
        assert_eq!(heard.take_changes().len(), 2);
    }

    #[test]
    fn what_the_registry_says_is_taken_where_it_is_newer() {
        let mut there = Heard::default();
        there.alias(&of(1, 1_000_000), "old");
        there.alias(&of(2, 3_000_000), "new");
        let mut heard = Heard::default();
        heard.alias(&of(1, 2_000_000), "newer");
        drop(heard.take_changes());
        there.list(9, 0).into_iter().for_each(|info| heard.learn(info));
        let aliases: Vec<_> = heard.list(9, 0).into_iter().filter_map(|info| info.alias).collect();
        assert_eq!(aliases, ["new", "newer"]);
        let changes = heard.take_changes();
        assert_eq!(
            changes.iter().map(|(radio, _)| *radio).collect::<Vec<_>>(),
            [1],
            "it is written down again"
        );
    }

    #[test]
    fn an_alias_does_no_harm() {
        assert_eq!(clean_alias(" DL1ABC\u{1b}[2J Jürgen\0\u{9b} ").as_deref(), Some("DL1ABC[2J Jürgen"));
        assert_eq!(clean_alias("\0\n "), None);
        assert_eq!(clean_alias(&"x".repeat(99)).map(|alias| alias.len()), Some(31));
    }
}
