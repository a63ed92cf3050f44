//! Fifty hosts with random links, partitions, deaths, wrong clocks and a bad network, by seeds: each burst comes to each receiver at most
//! once while it lives, and once where the network is well; all come to know the same; nothing grows without bound.

use std::collections::BTreeSet;

use stack::CallType;

use super::world::{BURST_US, Call, Path, Rng, SECOND, World};

struct Shape {
    hosts: usize,
    workers: usize,
    talkgroups: u32,
}

/// A random network of which all hosts are part: a tree, and some links more.
fn links(rng: &mut Rng, hosts: usize) -> Vec<(usize, usize)> {
    let mut links: Vec<_> = (1..hosts).map(|b| (rng.below(b as u64) as usize, b)).collect();
    for _ in 0..hosts / 2 {
        let (a, b) = (rng.below(hosts as u64) as usize, rng.below(hosts as u64) as usize);
        if a != b {
            links.push((a, b));
        }
    }
    links
}

fn simulate(seed: u64, shape: &Shape) {
    let mut rng = Rng::new(seed);
    let &Shape { hosts, workers, talkgroups } = shape;
    let links = links(&mut rng, hosts);
    let mut world = World::new(seed, hosts, workers, &links);
    for host in 0..hosts {
        world.skew_us[host] = rng.below(20_000_000) as i64 - 10_000_000;
    }
    let count = hosts * workers;
    for place in 0..count {
        for _ in 0..2 {
            world.want(place, 90 + rng.below(talkgroups.into()) as u32, true);
        }
    }
    // Trouble for a while.
    world.path = Path {
        delay_us: 10_000 + rng.below(40_000),
        jitter_us: rng.below(60_000),
        loss_permille: rng.below(100),
        double_permille: rng.below(50),
    };
    let mut calls: Vec<Call> = Vec::new();
    let mut dead: BTreeSet<usize> = BTreeSet::new();
    for round in 0..30 {
        match rng.below(8) {
            0 => {
                let &(a, b) = &links[rng.below(links.len() as u64) as usize];
                world.cut.insert((a.min(b), a.max(b)));
            }
            1 => drop(world.cut.pop_first()),
            2 => {
                let victim = rng.below(count as u64) as usize;
                if dead.insert(victim) {
                    let (ended, others) = calls.into_iter().partition::<Vec<_>, _>(|call| call.at == victim);
                    (calls, _) = (others, ended);
                    world.kill(victim);
                }
            }
            3 => {
                if let Some(place) = dead.pop_first() {
                    world.start(place);
                }
            }
            4 => {
                let place = rng.below(count as u64) as usize;
                let talkgroup = 90 + rng.below(talkgroups.into()) as u32;
                world.want(place, talkgroup, rng.below(2) == 0);
            }
            5 if calls.len() > 3 => {
                let call = calls.swap_remove(rng.below(calls.len() as u64) as usize);
                world.hang_up(call);
            }
            _ => {
                let place = rng.below(count as u64) as usize;
                if world.members[place].ff.is_some() {
                    calls.push(world.call(
                        place,
                        CallType::Group,
                        1 + round,
                        90 + rng.below(talkgroups.into()) as u32,
                    ));
                }
            }
        }
        for _ in 0..5 {
            for call in &mut calls {
                world.talk(call);
            }
            world.run(BURST_US);
        }
    }
    calls.into_iter().for_each(|call| world.hang_up(call));
    // Then all is well.
    world.path = Path { delay_us: 20_000, ..Path::default() };
    world.cut.clear();
    dead.into_iter().for_each(|place| world.start(place));
    // A node that has to start once more after it has just done so does that 10 s later.
    world.run(12 * SECOND);
    assert!(world.all_know(hosts), "seed {seed}");
    let digests: BTreeSet<u64> =
        world.members.iter_mut().map(|member| member.ff.as_mut().unwrap().network.digest()).collect();
    assert_eq!(digests.len(), 1, "seed {seed}");
    for member in &mut world.members {
        assert_eq!(member.twice, None, "seed {seed}");
        // What the network has doubled may wait in the socket of one that has died after it delivered it: the next one cannot know.
        let again = member.received.iter().find(|(_, count)| u64::from(**count) > member.starts);
        assert_eq!(again, None, "seed {seed}");
        member.received.clear();
    }
    for _ in 0..4 {
        let at = rng.below(count as u64) as usize;
        let talkgroup = 90 + rng.below(talkgroups.into()) as u32;
        let mut call = world.call(at, CallType::Group, 7, talkgroup);
        for _ in 0..5 {
            world.talk(&mut call);
            world.run(BURST_US);
        }
        world.hang_up(call);
        world.run(SECOND);
        for place in 0..count {
            let is_receiver = world.wants(place, talkgroup) && place / workers != at / workers;
            let expected = if is_receiver { (6, 6) } else { (0, 0) };
            assert_eq!(world.received(place, call.session), expected, "seed {seed}: {place} from {at}");
        }
    }
    world.run(12 * SECOND);
    for member in &world.members {
        let ff = member.ff.as_ref().unwrap();
        assert_eq!((ff.far.len(), ff.strangers.len(), ff.ready.len()), (0, 0, 0), "seed {seed}");
        // Each node knows of each the talkgroups that there are, and its links.
        assert!(ff.network.size() <= count * (1 + talkgroups as usize + count), "seed {seed}");
        assert_eq!(
            ff.counters().malformed + ff.counters().unauthenticated + ff.counters().too_far,
            0,
            "seed {seed}"
        );
    }
}

/// How many seeds to try.
#[expect(clippy::disallowed_methods, reason = "whoever tests may want more")]
fn seeds(usual: u64) -> u64 {
    std::env::var("FASTFORWARD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(usual)
}

#[test]
fn small_networks() {
    for seed in 0..seeds(60) {
        let shape = Shape { hosts: 2 + seed as usize % 7, workers: 1 + seed as usize % 3, talkgroups: 4 };
        simulate(seed, &shape);
    }
}

#[test]
fn fifty_hosts() {
    for seed in 0..seeds(2) {
        simulate(1_000_000 + seed, &Shape { hosts: 50, workers: 2, talkgroups: 12 });
    }
}
