//! Who is banned: calls of the radio are refused by the workers, logins of the device by us. The registry keeps
//! the bans; each worker is told all of them whenever its process is a new one.

use std::collections::BTreeMap;

use channel::Order;
use control::BanInfo;
use events::{Event, utc};
use registry::{Ban, By, Change, Key, Record, Space, base_id};
use stack::Gone;
use sys::Clocks;

use crate::services::Services;
use crate::{Error, contexts, log};

/// Bans at once: each is told to every worker.
const MAX_BANS: usize = 10_000;
/// The longest ban that is not for ever, seconds: ten years.
const MAX_SECONDS: u64 = 3650 * 24 * 60 * 60;
/// Why a radio is banned that a worker has blocked.
const KEYED_UP: &str = "keyed up more than 5 times under 2 s within 60 s";

/// By ID.
#[derive(Debug, Default)]
pub(crate) struct Bans(BTreeMap<u32, Ban>);

impl Bans {
    pub(crate) fn new(bans: Vec<Ban>) -> Self {
        Self(bans.into_iter().map(|ban| (ban.id, ban)).collect())
    }

    /// The ban that keeps a device out: its own, or for a hotspot with nine digits that of its first seven. Only an
    /// operator keeps a device out: any device can say that a radio has keyed up too often.
    pub(crate) fn of_device(&self, id: u32, now_ms: u64) -> Option<&Ban> {
        let ids = [Some(id), base_id(id)].into_iter().flatten();
        let of_operator = |ban: &&Ban| ban.by == By::Operator && ban.holds(now_ms);
        ids.filter_map(|id| self.0.get(&id)).find(of_operator)
    }

    /// Those that hold, by ID.
    pub(crate) fn list(&self, now_ms: u64) -> Vec<BanInfo> {
        self.0.values().filter(|ban| ban.holds(now_ms)).map(ban_info).collect()
    }

    /// What a worker has to be told to know them all.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.0.values().map(order).collect()
    }

    /// Whether bans of these IDs can hold as well.
    ///
    /// # Errors
    /// [`Error::TooManyBans`] where they cannot.
    pub(crate) fn check_room(&self, ids: impl Iterator<Item = u32>) -> Result<(), Error> {
        let more = ids.filter(|id| !self.0.contains_key(id)).count();
        if self.0.len() + more > MAX_BANS { Err(Error::TooManyBans(MAX_BANS)) } else { Ok(()) }
    }

    fn over(&self, now_ms: u64) -> Vec<u32> {
        self.0.values().filter(|ban| !ban.holds(now_ms)).map(|ban| ban.id).collect()
    }
}

impl Services {
    /// Bans an ID, in place of an earlier ban of it, and throws out its contexts. `seconds` is for how long.
    pub(crate) fn ban(&mut self, id: u32, seconds: Option<u64>, reason: String) -> Result<BanInfo, Error> {
        if let Some(seconds) = seconds.filter(|seconds| !(1..=MAX_SECONDS).contains(seconds)) {
            return Err(Error::BanTime(seconds));
        }
        self.put_ban(new_ban(id, seconds, reason, By::Operator))
    }

    /// Bans a radio that a worker has blocked, unless it is banned for longer.
    pub(crate) fn blocked(&mut self, radio: u32, context: u32, seconds: u32) {
        let reason = format!("{KEYED_UP} at {context}");
        let ban = new_ban(radio, Some(seconds.into()), reason, By::KeyedUp);
        let end = |ban: &Ban| ban.until_ms.unwrap_or(u64::MAX);
        if self.bans.0.get(&radio).is_some_and(|old| end(old) >= end(&ban)) {
            return;
        }
        if let Err(error) = self.put_ban(ban) {
            log::line(format_args!("services: radio {radio} keyed up too often, but is not banned: {error}"));
        }
    }

    fn put_ban(&mut self, ban: Ban) -> Result<BanInfo, Error> {
        self.bans.check_room([ban.id].into_iter())?;
        match ban.by {
            By::Operator => self.registry.put(&ban)?,
            // What other clusters say of it comes first.
            By::KeyedUp => {
                self.registry.change_here(&[Change::put(Record::of(&ban)?)])?;
                self.following.share(Space::Bans, [Key::Id(ban.id)]);
            }
        }
        let info = ban_info(&ban);
        if self.hold(ban) {
            self.throw_out_banned();
        }
        Ok(info)
    }

    /// Lets a ban hold from now on. True where somebody who is in may have to be thrown out.
    fn hold(&mut self, ban: Ban) -> bool {
        let BanInfo { id, until_ms, by, reason, .. } = ban_info(&ban);
        self.host.send_all(&order(&ban));
        self.bus.emit(None, Event::RadioBanned { radio_id: id, until: until_ms.map(utc), by, reason });
        let by_operator = ban.by == By::Operator;
        self.bans.0.insert(id, ban);
        if by_operator {
            // A login that is on its way is no context yet.
            self.throw_out(id);
        }
        by_operator
    }

    /// Does what follows from bans that have been put into the registry, or taken from it (`None`).
    pub(crate) fn bans_changed(&mut self, changed: Vec<(u32, Option<Ban>)>) {
        let (mut throw_out, mut too_many) = (false, 0);
        for (id, ban) in changed {
            match ban.filter(|ban| ban.holds(now_ms())) {
                Some(ban) if self.bans.0.get(&id) == Some(&ban) => {}
                Some(_) if self.bans.check_room([id].into_iter()).is_err() => too_many += 1,
                Some(ban) => throw_out |= self.hold(ban),
                None if self.bans.0.remove(&id).is_some() => {
                    self.unbanned(id, "the registry has it no longer");
                }
                None => {}
            }
        }
        if throw_out {
            self.throw_out_banned();
        }
        if too_many > 0 {
            let error = Error::TooManyBans(MAX_BANS);
            log::line(format_args!("services: {too_many} bans of the registry do not hold: {error}"));
        }
    }

    /// Lifts a ban.
    pub(crate) fn unban(&mut self, id: u32) -> Result<(), Error> {
        let key = Key::Id(id);
        let there = self.registry.has(Space::Bans, &key)?;
        if there {
            self.registry.change(&[Change::remove(Space::Bans, key)])?;
        }
        let held = self.bans.0.remove(&id).is_some();
        if !there && !held {
            return Err(Error::NoBan(id));
        }
        self.unbanned(id, "an operator lifted it");
        Ok(())
    }

    /// Drops the bans that are over, and throws out who is in though he is banned.
    pub(crate) fn look_after_bans(&mut self) {
        let over = self.bans.over(now_ms());
        if !over.is_empty() {
            // Another cluster may have made it longer meanwhile: each drops its own copy.
            let changes: Vec<Change> =
                over.iter().map(|&id| Change::remove(Space::Bans, Key::Id(id))).collect();
            if let Err(error) = self.registry.change_here(&changes) {
                log::line(format_args!("services: bans that are over stay in the registry: {error}"));
            }
            for id in over {
                self.bans.0.remove(&id);
                self.unbanned(id, "its time is over");
            }
        }
        self.throw_out_banned();
    }

    fn unbanned(&mut self, id: u32, reason: &str) {
        self.host.send_all(&Order::Ban { radio: id, until_ms: 0 });
        self.bus.emit(None, Event::RadioUnbanned { radio_id: id, reason: reason.to_owned() });
    }

    fn throw_out_banned(&mut self) {
        if self.bans.0.is_empty() {
            return;
        }
        let now_ms = now_ms();
        let ids = contexts::ids(self.host.shards());
        let banned = ids.into_iter().filter(|id| self.bans.of_device(*id, now_ms).is_some());
        banned.collect::<Vec<_>>().into_iter().for_each(|id| self.throw_out(id));
    }

    fn throw_out(&mut self, id: u32) {
        self.host.send_all(&Order::Evict { id, keep: None, gone: Gone::Kicked });
    }
}

fn new_ban(id: u32, seconds: Option<u64>, reason: String, by: By) -> Ban {
    let made_ms = now_ms();
    let until_ms = seconds.map(|seconds| made_ms.saturating_add(seconds.saturating_mul(1000)));
    Ban { id, until_ms, reason, by, made_ms }
}

/// Why a device may not log in.
pub(crate) fn words(ban: &Ban) -> String {
    let until = ban.until_ms.map_or_else(|| "for ever".to_owned(), |until| format!("until {}", utc(until)));
    format!("banned {until}: lift it with `bmctl unban {}`", ban.id)
}

fn order(ban: &Ban) -> Order {
    Order::Ban { radio: ban.id, until_ms: ban.until_ms.unwrap_or(u64::MAX) }
}

fn ban_info(ban: &Ban) -> BanInfo {
    let Ban { id, until_ms, by, made_ms, .. } = *ban;
    BanInfo { id, until_ms, by: by.as_str().to_owned(), reason: ban.reason.clone(), made_ms }
}

pub(crate) fn now_ms() -> u64 {
    Clocks::now().wall_us / 1000
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn ban(id: u32, until_ms: Option<u64>) -> Ban {
        Ban { id, until_ms, reason: "noise".to_owned(), by: By::Operator, made_ms: 0 }
    }

    #[test]
    fn a_hotspot_is_banned_with_its_first_seven_digits() {
        let bans = Bans::new(vec![ban(2_621_370, Some(1_000)), ban(262_999_901, None), ban(262, None)]);
        let of = |id, now| bans.of_device(id, now).map(|ban| ban.id);
        assert_eq!(of(2_621_370, 999), Some(2_621_370));
        assert_eq!(of(262_137_001, 999), Some(2_621_370));
        assert_eq!((of(2_621_370, 1_000), of(262_137_001, 1_000)), (None, None), "it is over");
        assert_eq!((of(262_999_901, 5_000), of(2_629_999, 5_000)), (Some(262_999_901), None));
        assert_eq!(bans.list(2_000).iter().map(|ban| ban.id).collect::<Vec<_>>(), [262, 262_999_901]);
        assert_eq!(bans.over(2_000), [2_621_370]);
        assert_eq!(bans.orders()[0], Order::Ban { radio: 262, until_ms: u64::MAX });
        assert_eq!(bans.orders()[1], Order::Ban { radio: 2_621_370, until_ms: 1_000 });
    }

    #[test]
    fn a_ban_says_until_when_and_how_it_is_lifted() {
        let until = Some(1_772_366_400_250);
        assert_eq!(words(&ban(7, until)), "banned until 2026-03-01T12:00:00Z: lift it with `bmctl unban 7`");
        assert_eq!(words(&ban(7, None)), "banned for ever: lift it with `bmctl unban 7`");
    }
}
