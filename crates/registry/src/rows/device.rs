//! A device: what the registry knows of one repeater or hotspot, in a row of its own and one of its static talkgroups.

use config::Secret;
use schedule::Timed;
use serde::{Deserialize, Serialize};
use stack::{DeviceSettings, MAX_BLOCKED};

use super::check_id;
use crate::{Error, Key, Record, Row, Space};

/// The highest ID: nine digits, a hotspot's.
pub const MAX_ID: u32 = 999_999_999;

/// The highest talkgroup: 24 bits.
pub const MAX_TALKGROUP: u32 = 0x00ff_ffff;

/// How many static talkgroups one slot can have.
pub const MAX_STATICS: usize = 32;

/// How many talkgroups can be static at times.
pub const MAX_TIMED: usize = 8;

/// The longest call sign, in characters.
pub const MAX_CALL: usize = 10;

/// A device without its talkgroups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// As [`Device::id`].
    pub id: u32,
    /// As [`Device::password`].
    #[serde(default)]
    pub password: Option<Secret>,
    /// As [`Device::call`].
    #[serde(default)]
    pub call: Option<String>,
    /// As [`Device::blocked`].
    #[serde(default)]
    pub blocked: Vec<u32>,
    /// As [`Device::single`].
    #[serde(default)]
    pub single: bool,
}

/// The static talkgroups of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionsRow {
    /// As [`Device::id`].
    pub id: u32,
    /// Those of TS1, always.
    #[serde(default)]
    pub ts1: Vec<u32>,
    /// Those of TS2, always.
    #[serde(default)]
    pub ts2: Vec<u32>,
    /// As [`Device::timed`].
    #[serde(default)]
    pub timed: Vec<Timed>,
}

/// A repeater or hotspot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// 1 to [`MAX_ID`].
    pub id: u32,
    /// Its own password, if it has one.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Its call sign: 1 to [`MAX_CALL`] printable ASCII characters.
    #[serde(default)]
    pub call: Option<String>,
    /// Static talkgroups of TS1 and TS2: each at most [`MAX_STATICS`], none twice, 1 to [`MAX_TALKGROUP`].
    #[serde(default)]
    pub statics: [Vec<u32>; 2],
    /// Talkgroups that are static at times: at most [`MAX_TIMED`]. Those of a slot count as its statics do.
    #[serde(default)]
    pub timed: Vec<Timed>,
    /// Talkgroups that neither reach it nor can be keyed at it: at most [`MAX_BLOCKED`], none twice.
    #[serde(default)]
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot at most.
    #[serde(default)]
    pub single: bool,
}

impl Device {
    /// A device without anything of its own.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self {
            id,
            password: None,
            call: None,
            statics: [Vec::new(), Vec::new()],
            timed: Vec::new(),
            blocked: Vec::new(),
            single: false,
        }
    }

    /// What the stack that serves it has to know at this moment, microseconds since 1970.
    #[must_use]
    pub fn settings(&self, wall_us: u64) -> DeviceSettings {
        let mut statics = self.statics.clone();
        for timed in self.timed.iter().filter(|timed| timed.schedule.is_on(wall_us)) {
            let slot = &mut statics[usize::from(timed.slot == 2)];
            if !slot.contains(&timed.talkgroup) {
                slot.push(timed.talkgroup);
            }
        }
        DeviceSettings { statics, blocked: self.blocked.clone(), single: self.single }
    }

    /// From its rows, of which either may be missing.
    #[must_use]
    pub fn of_rows(id: u32, row: Option<DeviceRow>, subscriptions: Option<SubscriptionsRow>) -> Self {
        let mut device = Self::new(id);
        if let Some(DeviceRow { password, call, blocked, single, .. }) = row {
            device = Self { password, call, blocked, single, ..device };
        }
        if let Some(SubscriptionsRow { ts1, ts2, timed, .. }) = subscriptions {
            device = Self { statics: [ts1, ts2], timed, ..device };
        }
        device
    }

    /// Its rows; `None` for that of talkgroups where it has none.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first field that cannot be.
    pub fn records(&self) -> Result<(Record, Option<Record>), Error> {
        let Self { id, password, call, statics: [ts1, ts2], timed, blocked, single } = self.clone();
        let row = Record::of(&DeviceRow { id, password, call, blocked, single })?;
        let subscriptions = SubscriptionsRow { id, ts1, ts2, timed };
        let checked = Record::of(&subscriptions)?;
        Ok((row, (subscriptions != SubscriptionsRow::new(id)).then_some(checked)))
    }
}

impl DeviceRow {
    /// A device without anything of its own.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self { id, password: None, call: None, blocked: Vec::new(), single: false }
    }
}

impl SubscriptionsRow {
    /// Without a talkgroup.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self { id, ts1: Vec::new(), ts2: Vec::new(), timed: Vec::new() }
    }

    fn check_timed(&self) -> Result<(), String> {
        if self.timed.len() > MAX_TIMED {
            return Err(format!("{} timed talkgroups; at most {MAX_TIMED}", self.timed.len()));
        }
        for (index, timed) in self.timed.iter().enumerate() {
            let talkgroup = timed.talkgroup;
            if let Err(error) = timed.schedule.validate() {
                return Err(format!("timed talkgroup {talkgroup}: {error}"));
            }
            if !(1..=2).contains(&timed.slot) {
                return Err(format!("timed talkgroup {talkgroup}: slot {}; write 1 or 2", timed.slot));
            }
            if self.timed[..index].contains(timed) {
                return Err(format!("timed talkgroup {talkgroup} is there twice with the same times"));
            }
        }
        // All at once is the most there can be.
        for (slot, statics, place) in [(1, &self.ts1, " on TS1"), (2, &self.ts2, " on TS2")] {
            let mut all = statics.clone();
            all.extend(self.timed.iter().filter(|timed| timed.slot == slot).map(|timed| timed.talkgroup));
            all.sort_unstable();
            all.dedup();
            check_talkgroups(&all, MAX_STATICS, "static and timed", place)?;
        }
        Ok(())
    }
}

impl Row for DeviceRow {
    const SPACE: Space = Space::Devices;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_id(self.id)?;
        if let Some(call) = &self.call {
            let printable = call.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            if call.is_empty() || call.len() > MAX_CALL || !printable {
                return Err(format!("a call sign has 1 to {MAX_CALL} printable ASCII characters"));
            }
        }
        check_talkgroups(&self.blocked, MAX_BLOCKED, "blocked", "")
    }
}

impl Row for SubscriptionsRow {
    const SPACE: Space = Space::Subscriptions;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_id(self.id)?;
        check_talkgroups(&self.ts1, MAX_STATICS, "static", " on TS1")?;
        check_talkgroups(&self.ts2, MAX_STATICS, "static", " on TS2")?;
        self.check_timed()
    }
}

fn check_talkgroups(list: &[u32], most: usize, kind: &str, place: &str) -> Result<(), String> {
    if list.len() > most {
        return Err(format!("{} {kind} talkgroups{place}; at most {most}", list.len()));
    }
    for (index, talkgroup) in list.iter().enumerate() {
        if !(1..=MAX_TALKGROUP).contains(talkgroup) {
            return Err(format!("{kind} talkgroup {talkgroup}{place}; write one from 1 to {MAX_TALKGROUP}"));
        }
        if list[..index].contains(talkgroup) {
            return Err(format!("{kind} talkgroup {talkgroup}{place} is there twice"));
        }
    }
    Ok(())
}

/// The ID that a hotspot's ID is made from: of nine digits the first seven; `None` for others.
#[must_use]
pub fn base_id(id: u32) -> Option<u32> {
    (100_000_000..=MAX_ID).contains(&id).then_some(id / 100)
}

#[cfg(test)]
mod tests {
    use schedule::Schedule;

    use super::*;

    fn device() -> Device {
        Device::new(2_621_370)
    }

    fn timed(talkgroup: u32, slot: u8, from: u16, until: u16) -> Timed {
        let schedule = Schedule { days: vec![], from, until, first: None, last: None };
        Timed { talkgroup, slot, schedule }
    }

    #[test]
    fn takes_what_can_be() {
        let full = Device {
            id: MAX_ID,
            password: Secret::new("p").ok(),
            call: Some("DB0ABC-10 ".to_owned()),
            statics: [(1..=32).collect(), vec![MAX_TALKGROUP]],
            timed: (0..8).map(|n| timed(1 + u32::from(n), 1, 0, n + 1)).collect(),
            blocked: (1..=8).collect(),
            single: true,
        };
        for device in [full, device()] {
            let (row, subscriptions) = device.records().unwrap();
            let subscriptions = subscriptions.and_then(|record| record.row());
            assert_eq!(Device::of_rows(device.id, row.row(), subscriptions), device);
        }
    }

    #[test]
    fn says_what_cannot_be() {
        let mut cases = Vec::new();
        for id in [0, MAX_ID + 1] {
            cases.push((Device { id, ..device() }, "an ID is a number from 1 to 999999999"));
        }
        for call in ["", "12345678901", "a\nb", "ä"] {
            let call = Some(call.to_owned());
            cases.push((Device { call, ..device() }, "a call sign has 1 to 10 printable ASCII characters"));
        }
        let statics = |ts1: Vec<u32>, ts2: Vec<u32>| Device { statics: [ts1, ts2], ..device() };
        cases.push((statics((1..=33).collect(), vec![]), "33 static talkgroups on TS1; at most 32"));
        cases.push((statics(vec![], vec![0]), "static talkgroup 0 on TS2; write one from 1 to 16777215"));
        cases.push((statics(vec![], vec![7, 8, 7]), "static talkgroup 7 on TS2 is there twice"));
        let blocked = |blocked: Vec<u32>| Device { blocked, ..device() };
        cases.push((blocked((1..=9).collect()), "9 blocked talkgroups; at most 8"));
        cases.push((blocked(vec![0]), "blocked talkgroup 0; write one from 1 to 16777215"));
        let at = |timed: Vec<Timed>| Device { timed, ..device() };
        cases.push((at(vec![timed(9, 3, 0, 1)]), "timed talkgroup 9: slot 3; write 1 or 2"));
        cases.push((at((0..9).map(|n| timed(1, 1, n, 60)).collect()), "9 timed talkgroups; at most 8"));
        let twice = at(vec![timed(9, 2, 0, 1); 2]);
        cases.push((twice, "timed talkgroup 9 is there twice with the same times"));
        cases.push((
            at(vec![timed(9, 2, 60, 60)]),
            "timed talkgroup 9: it begins and ends at 01:00: for a whole day write 00:00 to 24:00",
        ));
        let zero = at(vec![timed(0, 2, 0, 1)]);
        cases.push((zero, "static and timed talkgroup 0 on TS2; write one from 1 to 16777215"));
        let full = statics((1..=32).collect(), vec![]);
        let over = Device { timed: vec![timed(99, 1, 0, 1)], ..full };
        cases.push((over, "33 static and timed talkgroups on TS1; at most 32"));
        for (device, reason) in cases {
            let error = device.records().unwrap_err().to_string();
            assert!(error.ends_with(&format!("device {}: {reason}", device.id)), "{error}");
        }
    }

    #[test]
    fn old_records_are_read() {
        let old = r#"{"id":2621370,"password":null,"call":null,"statics":[[],[91]]}"#;
        let device: Device = serde_json::from_str(old).unwrap();
        assert_eq!(device, Device { statics: [vec![], vec![91]], ..Device::new(2_621_370) });
    }

    #[test]
    fn settings_have_the_talkgroups_of_the_hour() {
        let device = Device {
            statics: [vec![1], vec![91]],
            timed: vec![timed(91, 2, 0, 1440), timed(262, 2, 60, 120), timed(262, 1, 120, 60)],
            blocked: vec![5],
            single: true,
            ..device()
        };
        let at = |minutes: u64| device.settings(minutes * 60 * 1_000_000);
        assert_eq!(at(60).statics, [vec![1], vec![91, 262]]);
        assert_eq!(at(119).statics, at(60).statics);
        assert_eq!(at(120).statics, [vec![1, 262], vec![91]]);
        assert_eq!((at(0).blocked, at(0).single), (vec![5], true));
    }

    #[test]
    fn hotspots_have_a_base() {
        assert_eq!(base_id(262_137_001), Some(2_621_370));
        assert_eq!(base_id(2_621_370), None);
        assert_eq!(base_id(99_999_999), None);
        assert_eq!(base_id(1_000_000_000), None);
    }
}
