//! What a burst costs the allocator: nothing, once a call runs.

use dmr::BurstKind;
use stack::{ContextKey, Frame, Now, Profile, Slot, Slots};

use super::bench::{HEADER, TERMINATOR, frame};
use crate::{Input, Output, Switch};

#[test]
fn a_running_call_allocates_nothing() {
    let settings = crate::Settings { max_burst_rate: 0, ..crate::Settings::default() };
    let mut switch = Switch::new(1, settings);
    let key = |index| ContextKey { shard: 0, index };
    for index in 0..50 {
        let statics = [vec![91], vec![]];
        let profile = Profile::repeater(index.into(), Slots::Both, statics);
        switch.handle_input(Now::default(), Input::Up { context: key(index), profile });
    }
    let mut sequence = 0;
    let mut say = |switch: &mut Switch, kind| {
        sequence += 1;
        let frame = Frame { sequence: (sequence % 256) as u8, ..frame(7, 91, kind) };
        let input = Input::Frame { context: key(0), slot: Slot::One, stream: 5, frame: &frame };
        switch.handle_input(Now::default(), input);
        std::iter::from_fn(|| switch.poll_output()).filter(|o| matches!(o, Output::Deliver { .. })).count()
    };
    for kind in [HEADER, TERMINATOR, HEADER] {
        assert_eq!(say(&mut switch, kind), 49);
    }
    let allocations = allocation_counter::measure(|| {
        for place in (1..6).chain((0..6).cycle()).take(1000) {
            assert_eq!(say(&mut switch, BurstKind::Voice(place)), 49);
        }
    });
    assert_eq!(allocations.count_total, 0);
    // Nor does the next call to a static talkgroup.
    let allocations = allocation_counter::measure(|| {
        assert_eq!(say(&mut switch, TERMINATOR), 49);
        assert_eq!(say(&mut switch, HEADER), 49);
    });
    assert_eq!(allocations.count_total, 0);
}
