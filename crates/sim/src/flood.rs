//! Calls as fast as a server carries them: how much it can carry.
//!
//! A closed loop: the calls take turns, and the next burst goes out as soon as few enough are under way, so that the
//! server always has something to do and no queue overflows.

use sys::Clocks;

use crate::Error;
use crate::fleet::Fleet;
use crate::judge::{Judge, Times};
use crate::run::Pace;
use crate::traffic::Call;

/// Bursts that are made beforehand for each second: a server that carries more is done before its time.
const RATE: usize = 40_000;
/// What has not come for so long is lost, and other bursts are sent in its place.
const STALL_US: u64 = 100_000;

/// How many bursts each of `calls` calls needs for so many seconds.
pub(crate) fn bursts_in(seconds: u32, calls: usize) -> usize {
    usize::try_from(seconds).unwrap_or(usize::MAX).saturating_mul(RATE) / calls.max(1)
}

/// Sends `calls` for `seconds` with `in_flight` bursts under way; call `k` is made by client `talkers[k]`.
pub(crate) fn flood(
    fleet: &mut Fleet,
    judge: &mut Judge<'_>,
    talkers: &[usize],
    calls: &[Call],
    in_flight: usize,
    seconds: u32,
) -> Result<Pace, Error> {
    let fan_outs: Vec<u64> = (0..calls.len()).map(|call| judge.fan_out(call)).collect();
    let window = in_flight as u64 * fan_outs.iter().max().copied().unwrap_or(1);
    let last = calls.iter().map(Call::bursts).min().unwrap_or(1) - 1;
    let turns = (0..last).flat_map(|index| (0..calls.len()).map(move |call| (call, index)));
    let mut pace = Pace { sent: 0, unsent: 0, late: Times::new(), duration_us: 0 };
    let start_us = Clocks::now().mono_us;
    let end_us = start_us + u64::from(seconds) * 1_000_000;
    // Datagrams under way to all receivers together.
    let mut awaited = 0;
    for (call, index) in turns {
        while awaited >= window {
            let mut heard = 0;
            fleet.round(Clocks::now().mono_us + STALL_US, &mut |i, bytes, at_us| {
                heard += 1;
                judge.received(i, bytes, at_us);
            })?;
            awaited = if heard == 0 { 0 } else { awaited.saturating_sub(heard) };
        }
        let now = Clocks::now();
        if now.mono_us >= end_us {
            break;
        }
        pace.send(fleet, judge, talkers[call], (call, index), &calls[call], now.wall_us);
        awaited += fan_outs[call];
    }
    for (number, call) in calls.iter().enumerate() {
        let last = call.bursts() - 1;
        pace.send(fleet, judge, talkers[number], (number, last), call, Clocks::now().wall_us);
    }
    pace.duration_us = Clocks::now().mono_us.saturating_sub(start_us);
    Ok(pace)
}
