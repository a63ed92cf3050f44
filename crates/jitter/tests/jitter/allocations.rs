//! What a burst costs the allocator: nothing, once its session is open.

use jitter::{Buffers, Burst};

use crate::line::{Line, arrival, call, session};

#[test]
fn no_burst_allocates_whatever_the_path_does_to_it() {
    let mut buffers = Buffers::new();
    let bursts = call(1, 200, 0);
    let sessions: Vec<_> = (0..100).map(session).collect();
    let numbers: Vec<_> =
        sessions.iter().map(|&session| buffers.find_or_open(Line::time(0), session).unwrap()).collect();
    let mut out = 0;
    let mut arrivals: Vec<(u64, usize, Burst)> = Vec::new();
    for (&burst, n) in bursts.iter().zip(0_u64..) {
        for (place, session) in sessions.iter().enumerate() {
            let (draw, mut burst) = ((n * 31 + place as u64 * 17) % 97, burst);
            burst.forward.key = session.key;
            // Lost, reordered and doubled ones; the sessions of the first half have a good path.
            match draw {
                0..5 if place >= 50 => {}
                5..10 if place >= 50 => arrivals.push((arrival(n, 60 + draw * 9), place, burst)),
                10..15 => arrivals.extend([(arrival(n, 0), place, burst), (arrival(n, 3), place, burst)]),
                _ => arrivals.push((arrival(n, if place < 50 { 0 } else { draw % 60 }), place, burst)),
            }
        }
    }
    arrivals.sort_by_key(|&(at, ..)| at);
    let mut take_outputs = |buffers: &mut Buffers| {
        while buffers.poll_output().is_some() {
            out += 1;
        }
    };
    let allocations = allocation_counter::measure(|| {
        for &(at, place, burst) in &arrivals {
            let now = Line::time(at);
            while buffers.poll_timeout().is_some_and(|due| due <= now) {
                buffers.handle_timeout(now);
                take_outputs(&mut buffers);
            }
            assert!(buffers.push(now, numbers[place], sessions[place], burst));
            take_outputs(&mut buffers);
        }
    });
    assert_eq!(allocations.count_total, 0);
    let health = buffers.health().next().unwrap().1;
    assert!(health.concealed > 1000 && health.duplicates > 1000 && health.lost > 1000, "{health:?}");
    assert_eq!(out, health.bursts + health.concealed, "all that came, and what was made up");
    // Nor does a session, once there were as many.
    buffers.handle_timeout(Line::time(arrival(2000, 0)));
    while buffers.poll_output().is_some() {}
    let allocations = allocation_counter::measure(|| {
        for key in 1000..1100 {
            assert!(buffers.find_or_open(Line::time(arrival(2000, 0)), session(key)).is_some());
        }
    });
    assert_eq!(allocations.count_total, 0);
}
