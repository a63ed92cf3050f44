//! What comes out in place of lost voice.

use dmr::{
    AMBE_SILENCE, BurstKind, DataType, Emb, EmbeddedLc, FullLc, Lcss, ServiceOptions, ambe, embedded_fragment,
};
use jitter::Burst;

use crate::line::{COLOUR_CODE, Line, Out, SOURCE, TALKGROUP, arrival, call, payload};

/// A call without the bursts of these numbers; 0 is the header, 1 the first burst A.
fn without(bursts: &[Burst], lost: impl Fn(u64) -> bool) -> Line {
    let mut line = Line::new();
    let arrivals = bursts.iter().zip(0..).filter(|&(_, n)| !lost(n));
    line.arrive_all(arrivals.map(|(&burst, n)| (arrival(n, 0), burst)));
    line.finish();
    line
}

fn made_up(line: &Line) -> Vec<&Out> {
    line.out.iter().filter(|out| out.output.is_concealed).collect()
}

#[test]
fn a_lost_burst_says_again_what_was_said_and_those_behind_it_are_silent() {
    for first in 2..8 {
        let line = without(&call(1, 4, 0), |n| (first..first + 3).contains(&n));
        assert_eq!(line.out.len(), 26, "as many as were sent");
        let made_up = made_up(&line);
        assert_eq!(made_up.len(), 3);
        for (out, n) in made_up.iter().zip(first..) {
            let frame = &out.output.forward.frame;
            assert_eq!((out.sequence(), frame.kind), (n as u8, BurstKind::Voice((n - 1) as u8 % 6)));
            let said = if n == first { payload(first as u16 - 2) } else { AMBE_SILENCE };
            assert_eq!(ambe(&frame.burst), said);
            assert_eq!((frame.source, frame.destination, frame.ber), (SOURCE, TALKGROUP, 0));
        }
        assert!(line.out.windows(2).all(|pair| pair[0].sequence() + 1 == pair[1].sequence()));
    }
}

#[test]
fn a_made_up_burst_has_the_emb_and_the_fragment_of_its_place() {
    for lost in 8..14 {
        let mut bursts = call(1, 4, 0);
        bursts.iter_mut().for_each(|burst| burst.forward.options = 0x80);
        let line = without(&bursts, |n| n == lost);
        let emergency = FullLc::group(SOURCE, TALKGROUP).with_service_options(ServiceOptions(0x80));
        let burst = made_up(&line)[0].output.forward.frame.burst;
        let place = (lost - 1) as u8 % 6;
        if let Some(lcss) = Lcss::at(place) {
            assert_eq!(Emb::read(&burst), Some(Emb { colour_code: COLOUR_CODE, pi: false, lcss }));
        }
        let fragments = emergency.to_embedded();
        if let Some(&fragment) = fragments.get(usize::from(place).wrapping_sub(1)) {
            assert_eq!(embedded_fragment(&burst), fragment);
        }
    }
    // Who listens reads the LC of a superframe that was half lost.
    let line = without(&call(1, 4, 0), |n| [9, 10].contains(&n));
    let mut embedded = EmbeddedLc::new();
    let read = line.out.iter().filter_map(|out| {
        let frame = &out.output.forward.frame;
        let BurstKind::Voice(place) = frame.kind else { return None };
        embedded.push(Lcss::at(place)?, embedded_fragment(&frame.burst))
    });
    assert_eq!(read.collect::<Vec<_>>(), [FullLc::group(SOURCE, TALKGROUP); 4]);
}

#[test]
fn six_in_a_row_and_no_more() {
    let line = without(&call(1, 4, 0), |n| (5..11).contains(&n));
    assert_eq!((made_up(&line).len(), line.health().concealed, line.health().lost), (6, 6, 6));
    let line = without(&call(1, 4, 0), |n| (5..12).contains(&n));
    assert_eq!((made_up(&line).len(), line.health().concealed, line.health().lost), (0, 0, 7));
}

#[test]
fn what_comes_in_the_middle_of_lost_ones_counts() {
    let line = without(&call(1, 4, 0), |n| (5..14).contains(&n) && n != 9);
    assert_eq!(made_up(&line).len(), 8);
    let said: Vec<_> = [5, 9].map(|n: usize| ambe(&line.out[n + 1].output.forward.frame.burst)).into();
    assert_eq!(said, [AMBE_SILENCE, payload(8)]);
}

#[test]
fn headers_and_terminators_are_not_made_up_nor_is_what_stands_beside_them() {
    let last = call(1, 2, 0).len() as u64 - 1;
    for lost in [0, 1, last - 1, last] {
        let line = without(&call(1, 2, 0), |n| n == lost);
        assert!(made_up(&line).is_empty(), "{lost}");
        assert_eq!(line.out.len() as u64, last);
    }
}

#[test]
fn nothing_is_made_up_where_the_place_cannot_be_told() {
    let mut bursts = call(1, 4, 0);
    // The talker began a superframe anew.
    bursts.drain(4..6);
    bursts.iter_mut().zip(0..).for_each(|(burst, n)| burst.sequence = n);
    assert!(made_up(&without(&bursts, |n| n == 4)).is_empty());
    let mut bursts = call(1, 4, 0);
    bursts[5].forward.frame.kind = BurstKind::Voice(200);
    assert!(made_up(&without(&bursts, |n| n == 4)).is_empty());
    bursts[5].forward.frame.kind = BurstKind::Data(DataType::CSBK);
    assert!(made_up(&without(&bursts, |n| n == 4)).is_empty());
}

#[test]
fn an_encrypted_call_gets_nothing() {
    let mut bursts = call(1, 4, 0);
    bursts.iter_mut().for_each(|burst| burst.forward.options = 0x40);
    assert!(made_up(&without(&bursts, |n| n == 4)).is_empty());
    let mut bursts = call(1, 4, 0);
    for burst in &mut bursts {
        if let BurstKind::Voice(place @ 1..) = burst.forward.frame.kind
            && let Some(lcss) = Lcss::at(place)
        {
            Emb { colour_code: COLOUR_CODE, pi: true, lcss }.write(&mut burst.forward.frame.burst);
        }
    }
    for lost in 2..8 {
        assert!(made_up(&without(&bursts, |n| n == lost)).is_empty(), "{lost}");
    }
}
