//! When which burst comes out.

use jitter::{LINGER, MAX_SESSIONS, MAX_WAIT};

use crate::line::{BURST_US, Line, arrival, call, data, ms, session};

/// The bursts of a call with these numbers, each as late as is said.
fn late(line: &mut Line, bursts: &[(u64, u64)]) {
    let all = call(1, 20, 500);
    let mut arrivals: Vec<_> = bursts.iter().map(|&(n, late)| (arrival(n, late), all[n as usize])).collect();
    arrivals.sort_by_key(|&(at, _)| at);
    line.arrive_all(arrivals);
}

#[test]
fn in_order_and_in_time_nothing_is_delayed() {
    let mut line = Line::new();
    let bursts = call(1, 10, 60_000);
    // Within the tolerance.
    let arrivals = bursts.iter().zip(0..).map(|(&burst, n)| (arrival(n, n * 7 % 10), burst));
    line.arrive_all(arrivals.clone());
    line.finish();
    assert_eq!(line.out.len(), bursts.len());
    for (out, (at, burst)) in line.out.iter().zip(arrivals) {
        assert_eq!((out.at, out.sequence()), (at, burst.sequence as u8));
        assert!(!out.output.is_concealed);
    }
    let health = line.health();
    assert_eq!((health.bursts, health.lost, health.delay.as_micros()), (bursts.len() as u64, 0, 0));
}

#[test]
fn what_was_overtaken_is_waited_for_and_nothing_else_is_changed_by_it() {
    let mut line = Line::new();
    late(&mut line, &[(0, 0), (1, 0), (2, 65), (3, 0), (4, 0)]);
    // 2 comes 5 ms behind 3, and from then on all are delayed as it was.
    assert_eq!(line.heard(), [(40, 0), (100, 1), (225, 2)]);
    line.finish();
    let out = line.heard();
    assert_eq!(out.iter().map(|&(_, n)| n).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!((280..=285).contains(&out[3].0) && (340..=345).contains(&out[4].0), "{out:?}");
    assert_eq!(line.health().lost, 0);
}

#[test]
fn what_is_missing_is_given_up_when_it_was_waited_for_long_enough() {
    let mut line = Line::new();
    late(&mut line, &[(0, 0), (1, 0), (3, 0), (4, 0), (5, 0), (6, 0)]);
    line.finish();
    // 2 was expected at 160 ms; B is 120 ms.
    assert_eq!(line.heard(), [(40, 0), (100, 1), (280, 2), (280, 3), (280, 4), (340, 5), (400, 6)]);
    let health = line.health();
    assert_eq!((health.lost, health.concealed, health.late), (1, 1, 0));
}

#[test]
fn in_time_is_in_time_and_what_comes_later_is_dropped() {
    let mut line = Line::new();
    late(&mut line, &[(0, 0), (1, 0), (2, 119), (3, 0), (4, 0)]);
    line.finish();
    assert_eq!((line.health().lost, line.health().late, line.out[2].at), (0, 0, arrival(2, 119)));
    let mut line = Line::new();
    late(&mut line, &[(0, 0), (1, 0), (2, 121), (3, 0), (4, 0)]);
    line.finish();
    assert_eq!((line.health().lost, line.health().late, line.out.len()), (1, 1, 5));
    assert!(line.out[2].output.is_concealed);
}

#[test]
fn a_late_burst_delays_those_behind_it_for_some_seconds() {
    let mut line = Line::new();
    let bursts = call(1, 100, 0);
    let arrivals =
        bursts.iter().zip(0..).map(|(&burst, n)| (arrival(n, if n == 10 { 50 } else { 0 }), burst));
    line.arrive_all(arrivals);
    line.finish();
    let delay = |n: usize| (line.out[n].at - arrival(n as u64, 0)) / 1000;
    assert_eq!((delay(9), delay(10)), (0, 50));
    assert!((48..=50).contains(&delay(11)) && (30..40).contains(&delay(80)), "{} {}", delay(11), delay(80));
    assert_eq!(delay(400), 0);
    // The next call begins with what the last one had.
    let mut line = Line::new();
    late(&mut line, &[(0, 0), (1, 50), (2, 0)]);
    line.arrive(arrival(20, 0), call(2, 1, 500 + 1200)[0]);
    line.finish();
    let delay = (line.out[3].at - arrival(20, 0)) / 1000;
    assert!((40..50).contains(&delay), "{delay}");
}

#[test]
fn copies_are_dropped_whenever_they_come() {
    let mut line = Line::new();
    let bursts = call(1, 2, 0);
    let last = bursts.len() as u64 - 1;
    for (&burst, n) in bursts.iter().zip(0..) {
        line.arrive(arrival(n, 0), burst);
        line.arrive(arrival(n, 1), burst);
    }
    // All of it again, as long as the end is not long ago.
    bursts.iter().for_each(|&burst| line.arrive(arrival(last, ms(LINGER) - 100), burst));
    line.finish();
    assert_eq!(line.out.len(), bursts.len());
    let health = line.health();
    assert_eq!((health.bursts, health.lost), (last + 1, 0));
    assert_eq!(health.duplicates + health.late, 2 * (last + 1));
}

#[test]
fn the_first_two_may_come_in_any_order() {
    let mut line = Line::new();
    late(&mut line, &[(0, 62), (1, 0), (2, 0)]);
    line.finish();
    assert_eq!(line.out.iter().map(|out| out.sequence()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((line.out[0].at, line.health().lost), (arrival(0, 62), 0));
}

#[test]
fn a_beginning_that_is_lost_costs_a_burst_of_delay_and_a_late_entry_none() {
    let mut line = Line::new();
    late(&mut line, &[(1, 0), (2, 0), (3, 0)]);
    line.finish();
    assert_eq!(line.heard(), [(160, 1), (160, 2), (220, 3)]);
    let mut line = Line::new();
    late(&mut line, &[(50, 0), (51, 0)]);
    line.finish();
    assert_eq!(line.heard(), [(3040, 50), (3100, 51)]);
    assert_eq!(line.health().lost, 0);
}

#[test]
fn a_jump_is_a_new_beginning() {
    let mut line = Line::new();
    let mut bursts = call(1, 2, 0);
    bursts[6..].iter_mut().for_each(|burst| burst.sequence += 4096);
    line.arrive_all(bursts.iter().zip(0..).map(|(&burst, n)| (arrival(n, 0), burst)));
    line.finish();
    assert!(line.out.iter().zip(0..).all(|(out, n)| out.at == arrival(n, 0)), "{:?}", line.heard());
    assert_eq!((line.out.len(), line.health().lost), (bursts.len(), 0));
}

#[test]
fn what_its_sender_held_back_goes_on_at_once() {
    let mut line = Line::new();
    let mut bursts = call(1, 5, 0);
    // The sender stood still for as long as ten bursts take.
    bursts[10..20].iter_mut().for_each(|burst| burst.sent_ms = 60 * 20);
    let arrivals = bursts.iter().map(|&burst| (40_000 + 1000 * u64::from(burst.sent_ms), burst));
    line.arrive_all(arrivals.clone());
    line.finish();
    assert!(line.out.iter().zip(arrivals).all(|(out, (at, _))| out.at == at), "{:?}", line.heard());
    assert_eq!(line.out.len(), bursts.len());
}

#[test]
fn of_many_that_come_at_once_none_is_lost() {
    let mut line = Line::new();
    let mut bursts = call(1, 8, 0);
    bursts[2..].iter_mut().for_each(|burst| burst.sent_ms = 3000);
    line.arrive_all([(arrival(0, 0), bursts[0]), (arrival(1, 0), bursts[1])]);
    // 2 is lost, all others come within a millisecond.
    bursts[3..].iter().for_each(|&burst| line.arrive(3_040_000, burst));
    line.finish();
    assert_eq!(line.out.len(), bursts.len() - usize::from(!line.out[2].output.is_concealed));
    assert!(line.out.windows(2).all(|pair| pair[0].sequence() < pair[1].sequence()), "{:?}", line.heard());
    assert_eq!((line.health().lost, line.health().late), (1, 0));
}

#[test]
fn after_a_pause_it_goes_on() {
    for pause in [300, 2500, 4900, 20_000] {
        let mut line = Line::new();
        let mut bursts = call(1, 5, 0);
        bursts[10..].iter_mut().for_each(|burst| burst.sent_ms += pause);
        let at = |n: u64| arrival(n, if n < 10 { 0 } else { pause.into() });
        line.arrive_all(bursts.iter().zip(0..).map(|(&burst, n)| (at(n), burst)));
        line.finish();
        assert!(line.out.iter().zip(0..).all(|(out, n)| out.at == at(n)), "{pause}: {:?}", line.heard());
        assert_eq!(line.out.len(), bursts.len());
    }
}

/// An hour and a quarter: past the wrap of the sequence, and 68 times past that of the clock, which is wrong by as much as
/// two bad ones can be.
#[test]
fn the_longest_call_wraps_and_drifts_and_is_not_delayed() {
    for drift in [-400_i64, 400] {
        let mut line = Line::new();
        let bursts = call(1, 10, 0);
        for n in 0..75_000_u64 {
            let sent_us = (BURST_US * n).cast_signed();
            let sent_ms = ((sent_us + sent_us * drift / 1_000_000) / 1000) as u16;
            let of_call = 1 + (n as usize) % 60;
            line.arrive(arrival(n, 0), jitter::Burst { sequence: n as u16, sent_ms, ..bursts[of_call] });
        }
        line.finish();
        assert_eq!((line.out.len(), line.health().lost, line.health().late), (75_000, 0, 0));
        assert!(line.out.iter().zip(0..).all(|(out, n)| out.at == arrival(n, 0)));
    }
}

#[test]
fn data_is_put_in_order_and_neither_delayed_nor_made_up() {
    let mut line = Line::new();
    let bursts = data(1, 8, 17);
    let at = |n: usize| 17_000 * n as u64;
    let mut arrivals: Vec<_> = (0..8).map(|n| (at(n), bursts[n])).collect();
    (arrivals[2].0, arrivals[5].0) = (at(2) + 90_000, at(5) + 30_000);
    arrivals.remove(6);
    arrivals.sort_by_key(|&(at, _)| at);
    line.arrive_all(arrivals);
    line.finish();
    assert_eq!(line.out.iter().map(|out| out.sequence()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 7]);
    assert!(line.out.iter().all(|out| !out.output.is_concealed));
    let two = line.out[2].at;
    assert!((two, line.out[5].at) == (at(2) + 90_000, two), "{:?}", line.heard());
    // Nobody knows when 6 was sent: at the latest with 7.
    assert!((at(7) + 120_000..=at(7) + 150_000).contains(&line.out[6].at), "{:?}", line.heard());
}

#[test]
fn there_are_so_many_sessions_and_a_number_is_anothers_when_its_session_is_long_over() {
    let mut line = Line::new();
    let burst = call(1, 1, 0)[0];
    let number = line.buffers.find_or_open(Line::time(0), session(0)).unwrap();
    for key in 1..MAX_SESSIONS as u64 {
        assert!(line.buffers.find_or_open(Line::time(1), session(key)).is_some_and(|other| other != number));
    }
    assert_eq!(line.buffers.find_or_open(Line::time(1), session(u64::MAX)), None);
    assert_eq!(line.buffers.find_or_open(Line::time(1), session(0)), Some(number));
    assert!(!line.buffers.push(Line::time(1), number, session(1), burst), "not its number");
    line.finish();
    assert!(!line.buffers.push(Line::time(60_000_000), number, session(0), burst), "no longer its number");
    assert!(line.buffers.find_or_open(Line::time(60_000_000), session(u64::MAX)).is_some());
}

#[test]
fn the_longest_wait_is_the_longest() {
    let mut line = Line::new();
    // The delay grows as far as it can.
    late(&mut line, &[(0, 0), (1, 0), (2, 0), (3, 350), (9, 0), (10, 0), (12, 0)]);
    line.finish();
    let twelve = line.out.last().unwrap();
    assert_eq!(twelve.sequence(), 12);
    assert!(twelve.at <= arrival(12, ms(MAX_WAIT)), "{:?}", line.heard());
}
