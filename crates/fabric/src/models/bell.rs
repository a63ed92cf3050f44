//! The bell's handshake. What it stands for: a descriptor that wakes whoever waits for it. A sleeper that
//! nobody wakes is a deadlock, which loom reports.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{check, words};
use crate::handshake::{self, BELL_WORDS, awake, retract, sleep, take};
use crate::sync::{AtomicU64, Ordering};

/// Two processes whose bits lie in different words of the inbox, and the word of each that the owner watches.
const PRODUCERS: [usize; 2] = [3, 70];

/// Rings one bell. True where its owner has to be woken.
fn ring(bell: &[AtomicU64], me: usize) -> bool {
    let mut wakes = 0;
    handshake::ring(1, me, |_| bell, |_| wakes += 1);
    assert!(wakes <= 1);
    wakes == 1
}

/// The bell of one owner, what two producers have published for it, and its event counter, watched for edges.
struct Host {
    bell: Arc<[AtomicU64]>,
    published: Arc<[AtomicU64]>,
    wakes: Mutex<u64>,
    edge: Condvar,
}

impl Host {
    fn new() -> Arc<Self> {
        let (bell, published) = (words(BELL_WORDS), words(2));
        Arc::new(Self { bell, published, wakes: Mutex::new(0), edge: Condvar::new() })
    }

    /// Publishes `n` and rings.
    fn publish(&self, producer: usize, n: u64) {
        self.published[producer].store(n, Ordering::Relaxed);
        if ring(&self.bell, PRODUCERS[producer]) {
            *self.wakes.lock().unwrap() += 1;
            self.edge.notify_one();
        }
    }

    /// Sleeps between looks until it has seen `all` of both producers, looking only where a bit says so. Returns
    /// how often it slept.
    fn consume(&self, all: [u64; 2]) -> u64 {
        let (mut seen, mut edges, mut sleeps) = ([0; 2], 0, 0);
        loop {
            let inbox = take(&self.bell);
            for (i, &process) in PRODUCERS.iter().enumerate() {
                if inbox[process / 64] >> (process % 64) & 1 == 1 {
                    seen[i] = self.published[i].load(Ordering::Relaxed);
                }
            }
            if seen == all {
                return sleeps;
            }
            sleeps += 1;
            if sleep(&self.bell) {
                let mut wakes = self.wakes.lock().unwrap();
                while *wakes == edges {
                    wakes = self.edge.wait(wakes).unwrap();
                }
                edges = *wakes;
                drop(wakes);
                awake(&self.bell);
            }
        }
    }
}

#[test]
fn what_one_producer_publishes_is_never_slept_on() {
    check(|| {
        let host = Host::new();
        let producer = thread::spawn({
            let host = host.clone();
            // The second may find its bit still set, and then leaves no hint of its own.
            move || (1..=2).for_each(|n| host.publish(0, n))
        });
        let sleeps = host.consume([2, 0]);
        producer.join().unwrap();
        assert!(*host.wakes.lock().unwrap() <= sleeps, "rung more than once a sleep");
    });
}

#[test]
fn what_two_producers_publish_is_never_slept_on() {
    check(|| {
        let host = Host::new();
        let producers = [0, 1].map(|producer| {
            let host = host.clone();
            thread::spawn(move || host.publish(producer, 1))
        });
        let sleeps = host.consume([1, 1]);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert!(*host.wakes.lock().unwrap() <= sleeps, "rung more than once a sleep");
    });
}

/// The handshake alone: no descriptor orders anything.
#[test]
fn a_producer_and_a_sleeper_that_meet_see_each_other() {
    check(|| {
        let host = Host::new();
        let producers = [0, 1].map(|producer| {
            let host = host.clone();
            thread::spawn(move || {
                host.published[producer].store(1, Ordering::Relaxed);
                ring(&host.bell, PRODUCERS[producer])
            })
        });
        let asleep = sleep(&host.bell);
        if !asleep {
            assert_ne!(take(&host.bell), [0, 0], "kept up by nothing");
        }
        let rung = producers.map(|producer| u64::from(producer.join().unwrap()));
        if asleep {
            assert_eq!(rung[0] + rung[1], 1, "asleep, and rung by {rung:?}");
        } else {
            assert!(rung[0] + rung[1] <= 1, "one sleep, and rung by {rung:?}");
        }
    });
}

#[test]
fn a_producer_that_rings_two_sleepers_at_once_is_seen_by_both() {
    check(|| {
        let bells = [words(BELL_WORDS), words(BELL_WORDS)];
        let producer = thread::spawn({
            let bells = bells.clone();
            move || {
                let mut woken = [false; 2];
                handshake::ring(
                    0b11,
                    PRODUCERS[0],
                    |process| &bells[process],
                    |process| woken[process] = true,
                );
                woken
            }
        });
        let asleep = bells.each_ref().map(|bell| sleep(bell));
        let woken = producer.join().unwrap();
        for (asleep, woken) in asleep.into_iter().zip(woken) {
            assert!(woken || !asleep, "asleep, and not rung");
        }
    });
}

/// The one bit is set and nobody sleeps: a producer that finds it set leaves nothing else.
#[test]
fn a_frame_whose_producer_found_its_bit_set_is_seen_by_whoever_takes_the_bit() {
    check(|| {
        let host = Host::new();
        host.publish(0, 1);
        let producer = thread::spawn({
            let host = host.clone();
            move || host.publish(0, 2)
        });
        assert_eq!(take(&host.bell)[0], 1 << PRODUCERS[0]);
        let seen = host.published[0].load(Ordering::Relaxed);
        producer.join().unwrap();
        assert!(seen == 2 || take(&host.bell)[0] != 0, "{seen} of 2 seen, and no bit left");
    });
}

#[test]
fn whoever_comes_in_place_of_a_dead_producer_wakes_whom_it_left_asleep() {
    check(|| {
        let host = Host::new();
        let producers = thread::spawn({
            let host = host.clone();
            move || {
                host.published[0].store(1, Ordering::Relaxed);
                // Dead before it could wake anybody.
                let _ = ring(&host.bell, PRODUCERS[0]);
                retract(&host.bell, PRODUCERS[0]);
                host.publish(0, 2);
            }
        });
        let other = thread::spawn({
            let host = host.clone();
            move || host.publish(1, 1)
        });
        host.consume([2, 1]);
        producers.join().unwrap();
        other.join().unwrap();
    });
}
