//! Waits until the hosts know who wants what. Nobody can be asked that, so it is tried: each talker makes short calls until
//! all who should have heard something of one.

use sys::Clocks;

use crate::Error;
use crate::fleet::Fleet;
use crate::judge::{Judge, Listener};
use crate::run::{FIRST_SOURCE, Settings, talk};
use crate::traffic::{Call, Plan, Seed};

/// Joined hosts that have just been started know each other within two seconds, and what is wanted a second later.
pub(crate) const PATIENCE_US: u64 = 15_000_000;
/// How long is listened after the last burst: longer than a jitter buffer keeps one, so that none comes during the calls.
const DRAIN_US: u64 = 500_000;
/// The shortest call there is.
const BURSTS: usize = 8;

/// Returns how long it took until all who make `calls` were heard by all of their talkgroup, in microseconds; 0 where there is one
/// host. It is tried for `patience_us` and once at least.
pub(crate) fn settle(
    settings: &Settings,
    fleet: &mut Fleet,
    listeners: &[Listener],
    calls: &[Call],
    patience_us: u64,
) -> Result<u64, Error> {
    let mut settled_us = 0;
    if settings.others.is_empty() {
        return Ok(settled_us);
    }
    let start_us = Clocks::now().mono_us;
    // Other streams than those of the calls.
    let mut seed = Seed(!settings.seed);
    // Who makes a short call too often is blocked, so each try is by other radios.
    let mut source = FIRST_SOURCE + u32::try_from(calls.len()).unwrap_or(u32::MAX);
    let mut unheard: Vec<usize> = (0..calls.len()).collect();
    while !unheard.is_empty() {
        let tries: Vec<Call> = (0..)
            .zip(&unheard)
            .map(|(number, &talker)| {
                source += 1;
                Call::new(Plan { number, source, bursts: BURSTS, ..calls[talker].plan }, &mut seed)
            })
            .collect();
        let mut judge = Judge::new(&tries, listeners);
        talk(fleet, &mut judge, &unheard, &tries)?;
        let until_us = Clocks::now().mono_us + DRAIN_US;
        fleet.serve(until_us, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
        settled_us = Clocks::now().mono_us - start_us;
        let deaf = judge.deaf();
        if settled_us >= patience_us
            && let Some((number, listener)) =
                deaf.iter().enumerate().find_map(|(k, deaf)| Some((k, (*deaf)?)))
        {
            let (talker, servers) = (unheard[number], settings.servers());
            return Err(Error::Apart {
                seconds: settled_us / 1_000_000,
                deaf: deaf.iter().flatten().count(),
                all: calls.len(),
                talker: listeners[talker].id,
                from: servers[settings.host_of(talker)],
                listener: listeners[listener].id,
                to: servers[settings.host_of(listener)],
            });
        }
        unheard = unheard.into_iter().zip(deaf).filter_map(|(talker, deaf)| deaf.map(|_| talker)).collect();
    }
    Ok(settled_us)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::Floor;
    use crate::run::{make_calls, make_fleet};

    fn settings(servers: [&Floor; 2]) -> Settings {
        let [server, other] = servers.map(Floor::address);
        let settings =
            Settings { repeaters: 8, talkgroups: 2, calls: 2, seconds: 1, ..Settings::new(server, "") };
        Settings { others: vec![other], ..settings }
    }

    fn floor() -> Floor {
        Floor::start(Ipv4Addr::LOCALHOST.into(), None, None).unwrap()
    }

    #[test]
    fn hosts_that_do_not_hear_each_other_are_named() {
        let floors = [floor(), floor()];
        let settings = settings([&floors[0], &floors[1]]);
        let listeners = settings.listeners();
        let calls = make_calls(&settings, &listeners).unwrap();
        let mut fleet = make_fleet(&settings, &listeners).unwrap();
        fleet.log_in(0, &mut |_, _, _| {}).unwrap();
        let error = settle(&settings, &mut fleet, &listeners, &calls, 0).unwrap_err();
        let [first, second] = floors.each_ref().map(Floor::address);
        let text = error.to_string();
        assert!(text.contains("2 of 2 talkers are not heard at all hosts"), "{text}");
        let said = format!("at {second} hears nothing of what repeater 2501001 at {first} says");
        assert!(text.contains(&said), "{text}");
    }

    #[test]
    fn those_of_a_talkgroup_are_at_all_hosts_and_so_are_talkers() {
        let (one, other) = (floor(), floor());
        let settings = settings([&one, &other]);
        assert!(settings.check().is_ok());
        let hosts: Vec<_> = (0..8).map(|index| settings.host_of(index)).collect();
        assert_eq!(hosts, [0, 1, 1, 0, 0, 1, 1, 0], "the even ones have one talkgroup, the odd ones another");
        let reason = |settings: Settings| settings.check().unwrap_err().to_string();
        let few = Settings { repeaters: 3, calls: 1, ..settings.clone() };
        assert!(reason(few).contains("2 talkgroups at 2 hosts need at least 4 repeaters, not 3"));
        let twice = Settings { others: vec![settings.server], ..settings };
        assert!(reason(twice).contains("is named twice"));
    }
}
