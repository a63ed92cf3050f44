//! What the policy does, case by case; `simulation` lets everything happen at once.

use super::*;

const W0: Process = Process::Worker(0);
const W1: Process = Process::Worker(1);
const ALL: &[(Placement, u16)] = &[(Placement::All, 8)];

fn actions(policy: &mut Policy) -> Vec<Action> {
    std::iter::from_fn(|| policy.poll_action()).filter(|action| !matches!(action, Action::Say(_))).collect()
}

fn start(process: Process) -> Action {
    Action::Start { process, generation: 0 }
}

fn ended(process: Process, end: End) -> Event {
    Event::Ended { process, end, work: None }
}

fn pause(slot: u8, number: u64) -> Action {
    Action::Pause { slot, number }
}

fn paused(slot: u8, number: u64) -> Event {
    Event::Paused { slot, number }
}

fn starting(workers: u16) -> Policy {
    let mut policy = Policy::new(workers, ALL, &[]);
    assert_eq!(actions(&mut policy).len(), usize::from(workers) + 1);
    policy
}

fn ready(workers: u16) -> Policy {
    let mut policy = starting(workers);
    policy.handle(Duration::ZERO, Event::Ready(Process::Services));
    let slots: Vec<u8> = policy.slots().collect();
    slots.into_iter().for_each(|slot| policy.handle(Duration::ZERO, Event::Ready(Process::Worker(slot))));
    assert!(policy.all_ready() && policy.was_ready());
    policy
}

/// Beats of all, so that nobody seems to hang.
fn beat(policy: &mut Policy, now: Duration) {
    let all: Vec<Process> = policy.members.keys().copied().collect();
    for process in all {
        policy.handle(now, Event::Beat(process, now.as_micros() as u64 + 1));
    }
    policy.handle_timeout(now);
}

#[test]
fn a_stable_worker_is_started_again_at_once() {
    let mut policy = ready(2);
    policy.handle(STABLE, ended(W0, End::Killed));
    assert_eq!(actions(&mut policy), [start(W0)]);
    assert_eq!(policy.state(W0), (State::Starting, 1));
    policy.handle(STABLE * 2, Event::Ready(W0));
    assert!(policy.all_ready());
    assert_eq!(policy.shards_of(0).len(), 4, "it keeps its shards");
}

#[test]
fn the_last_worker_that_dies_early_waits_longer_each_time_and_is_never_given_up() {
    let mut policy = ready(1);
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    for _ in 0..12 {
        policy.handle(now, ended(W0, End::Died));
        assert_eq!(actions(&mut policy), []);
        assert_eq!(policy.state(W0).0, State::Failed);
        let at = policy.members[&W0].deadline.unwrap();
        waits.push(at - now);
        now = at;
        beat(&mut policy, now);
        assert_eq!(actions(&mut policy), [start(W0)]);
    }
    assert_eq!((waits[0], waits[1], waits[11]), (FIRST_BACKOFF, FIRST_BACKOFF * 2, LAST_BACKOFF));
}

#[test]
fn one_of_several_that_dies_early_again_and_again_is_left_alone_and_others_take_its_shards() {
    let mut policy = ready(2);
    let mut now = Duration::ZERO;
    for _ in 1..EARLY_DEATHS {
        policy.handle(now, ended(W0, End::Died));
        now = policy.members[&W0].deadline.unwrap();
        beat(&mut policy, now);
    }
    actions(&mut policy);
    policy.handle(now, ended(W0, End::Died));
    assert_eq!((policy.state(W0).0, policy.members[&W0].deadline), (State::Failed, None));
    assert_eq!(actions(&mut policy), [pause(1, 1)]);
    policy.handle(now, paused(1, 1));
    let shards: Vec<u16> = vec![0, 2, 4, 6];
    assert_eq!(actions(&mut policy), [Action::Adopt { from: 0, to: 1, shards, was_alive: false }]);
    policy.handle(now, Event::Adopted(1));
    assert_eq!(actions(&mut policy), [Action::Forget { from: 0, to: 1 }]);
    assert_eq!(policy.shards_of(1).len(), 8);
    assert!(!policy.all_ready());
    // Started again by hand, it gets back as many as it had.
    policy.order(now, Order::Restart(W0)).unwrap();
    assert_eq!(actions(&mut policy), [start(W0)]);
    policy.handle(now, Event::Ready(W0));
    assert_eq!(actions(&mut policy), [pause(0, 2)]);
    policy.handle(now, paused(0, 2));
    let [Action::Release { from: 1, to: 0, shards }] = &actions(&mut policy)[..] else { panic!() };
    assert_eq!(shards.len(), 4);
}

#[test]
fn a_wrong_configuration_ends_the_start_and_is_never_tried_again() {
    let mut policy = ready(2);
    policy.handle(STABLE, ended(W0, End::Config));
    assert_eq!(actions(&mut policy), [pause(1, 1)], "others take its shards");
    assert_eq!((policy.state(W0).0, policy.members[&W0].deadline), (State::Failed, None));
    let mut policy = starting(1);
    policy.handle(STABLE, ended(Process::Services, End::Config));
    assert_eq!(actions(&mut policy), [Action::Fail(Process::Services), Action::Tell(W0)]);
    policy.handle(STABLE, ended(W0, End::Died));
    assert_eq!(actions(&mut policy), [Action::Exit]);
}

#[test]
fn a_start_that_cannot_succeed_fails() {
    let mut policy = starting(1);
    policy.handle(STABLE, Event::Ready(Process::Services));
    let mut now = STABLE;
    for _ in 1..FIRST_DEATHS {
        policy.handle(now, ended(W0, End::Died));
        assert_eq!(actions(&mut policy), []);
        now = policy.members[&W0].deadline.unwrap();
        policy.handle_timeout(now);
        assert_eq!(actions(&mut policy), [start(W0)]);
    }
    policy.handle(now, Event::NotStarted(W0));
    assert_eq!(actions(&mut policy), [Action::Fail(W0), Action::Tell(Process::Services)]);
}

#[test]
fn one_that_never_gets_ready_is_killed_and_a_first_start_fails() {
    let mut policy = starting(1);
    policy.handle_timeout(START_TIME);
    let late = "has not done in time what it had to";
    assert_eq!(actions(&mut policy), [Action::Kill(W0, late), Action::Kill(Process::Services, late)]);
    policy.handle(START_TIME, ended(W0, End::Killed));
    assert_eq!(actions(&mut policy), [Action::Fail(W0), Action::Tell(Process::Services)]);
}

#[test]
fn one_that_has_closed_its_socket_and_lives_is_killed() {
    let mut policy = ready(1);
    policy.handle(STABLE, Event::Deaf(W0));
    beat(&mut policy, STABLE + STOP_TIME);
    assert!(matches!(actions(&mut policy)[..], [Action::Kill(W0, _)]));
}

#[test]
fn one_that_hangs_is_told_of_aborted_and_killed() {
    let mut policy = ready(2);
    let ms = Duration::from_millis;
    let mut said = Vec::new();
    let mut step = |policy: &mut Policy, now: Duration| {
        for process in [W1, Process::Services] {
            policy.handle(now, Event::Beat(process, now.as_micros() as u64 + 1));
        }
        policy.handle(now, Event::Beat(W0, 7));
        policy.handle_timeout(now);
        said.extend(std::iter::from_fn(|| policy.poll_action()));
        said.len()
    };
    let mut now = Duration::ZERO;
    step(&mut policy, now);
    while policy.state(W0).0 == State::Ready {
        now += ms(250);
        step(&mut policy, now);
    }
    assert_eq!((now, policy.state(W0).0), (ms(1000), State::Stalled));
    for _ in 0..12 {
        now += ms(250);
        step(&mut policy, now);
    }
    let abort = said.iter().position(|action| *action == Action::Abort(W0)).unwrap();
    assert!(matches!(said[..abort], [Action::Say(_)]), "{said:?}");
    assert!(matches!(said[abort + 1..], [Action::Kill(W0, _)]), "{said:?}");
    policy.handle(now, ended(W0, End::Killed));
    assert_eq!(actions(&mut policy), [start(W0)], "it was stable before it hung");
}

#[test]
fn a_supervisor_that_was_held_up_blames_nobody() {
    let mut policy = ready(1);
    beat(&mut policy, Duration::from_millis(250));
    let late = Duration::from_secs(30);
    policy.handle(late, Event::Beat(W0, 251_000));
    policy.handle_timeout(late);
    assert_eq!((actions(&mut policy), policy.state(W0).0), (vec![], State::Ready));
}

#[test]
fn what_kills_its_owner_twice_is_not_read_any_more() {
    let mut policy = ready(2);
    let work = Some(Work { shard: 3, row: Some(9) });
    let die = |policy: &mut Policy, end, at| {
        policy.handle(at, Event::Ended { process: W1, end, work });
        let all = actions(policy);
        policy.handle(at, Event::Ready(W1));
        all
    };
    for second in 1..4 {
        assert_eq!(die(&mut policy, End::Killed, STABLE * second * 2), [start(W1)], "an operator's kill");
    }
    assert_eq!(die(&mut policy, End::Died, STABLE * 8), [start(W1)], "it may be chance");
    let quarantine = Action::Quarantine { shard: 3, row: 9 };
    assert_eq!(die(&mut policy, End::Died, STABLE * 10), [quarantine.clone(), start(W1)]);
    assert_eq!(die(&mut policy, End::Died, STABLE * 12), [quarantine, start(W1)], "it came again");
    assert_eq!(die(&mut policy, End::Died, STABLE * 14), [Action::Clear(3), start(W1)]);
}

#[test]
fn shards_go_from_one_to_another_while_both_run() {
    let mut policy = ready(2);
    let now = STABLE;
    policy.order(now, Order::Drain(1)).unwrap();
    assert_eq!((actions(&mut policy), policy.state(W1).0), (vec![pause(0, 1)], State::Draining));
    assert!(
        policy.order(now, Order::Scale(3)).unwrap_err().starts_with("the drain of worker 1 is not done yet")
    );
    policy.handle(now, paused(0, 1));
    let shards = vec![1, 3, 5, 7];
    assert_eq!(actions(&mut policy), [Action::Release { from: 1, to: 0, shards: shards.clone() }]);
    assert_eq!(policy.shards_of(1), shards, "it has them still");
    policy.handle(now, Event::Released(1));
    assert_eq!(actions(&mut policy), [Action::Adopt { from: 1, to: 0, shards, was_alive: true }]);
    policy.handle(now, Event::Adopted(0));
    assert_eq!(actions(&mut policy), [Action::Forget { from: 1, to: 0 }, Action::Tell(W1)]);
    policy.handle(now, ended(W1, End::Died));
    assert!(matches!(actions(&mut policy)[..], [Action::Finished(Ok(_))]));
    assert!(policy.all_ready() && policy.state(W1).0 == State::Stopped);
    assert!(policy.order(now, Order::Drain(0)).unwrap_err().starts_with("no other worker is ready"));
    policy.order(now, Order::Restart(W1)).unwrap();
    assert_eq!(actions(&mut policy), [start(W1)]);
}

#[test]
fn who_does_not_let_go_is_killed_and_the_other_goes_on() {
    let mut policy = ready(2);
    policy.order(STABLE, Order::Drain(1)).unwrap();
    policy.handle(STABLE, paused(0, 1));
    actions(&mut policy);
    beat(&mut policy, STABLE + LEAVE_TIME);
    let [Action::Resume(0), Action::Kill(W1, _)] = actions(&mut policy)[..] else { panic!() };
    policy.handle(STABLE + LEAVE_TIME, ended(W1, End::Killed));
    assert_eq!(actions(&mut policy), [pause(0, 2)], "its shards are taken all the same");
    // It has gone on since it stood still for the first time.
    policy.handle(STABLE + LEAVE_TIME, paused(0, 1));
    assert_eq!(actions(&mut policy), []);
    policy.handle(STABLE + LEAVE_TIME, paused(0, 2));
    assert!(matches!(actions(&mut policy)[..], [Action::Adopt { to: 0, .. }]));
}

#[test]
fn a_process_is_replaced_by_one_that_is_set_up_beside_it() {
    let mut policy = ready(1);
    policy.order(STABLE, Order::Restart(W0)).unwrap();
    assert_eq!(actions(&mut policy), [Action::StartStandby { process: W0, generation: 0 }]);
    policy.handle(STABLE, Event::Prepared(W0));
    assert_eq!(actions(&mut policy), [Action::Leave(W0)]);
    policy.handle(STABLE, Event::Left(W0));
    assert_eq!(actions(&mut policy), [Action::Promote(W0)]);
    policy.handle(STABLE, Event::Ready(W0));
    let [Action::Progress(_), Action::Finished(Ok(_))] = &actions(&mut policy)[..] else { panic!() };
    assert_eq!(policy.state(W0), (State::Ready, 0));
}

#[test]
fn what_cannot_be_replaced_goes_back_to_what_it_was() {
    let mut policy = ready(1);
    policy.order(STABLE, Order::Roll { generation: 1, placements: None }).unwrap();
    let standby = |process, generation| Action::StartStandby { process, generation };
    assert_eq!(actions(&mut policy), [standby(W0, 1)]);
    for event in [Event::Prepared(W0), Event::Left(W0), Event::Ready(W0)] {
        policy.handle(STABLE, event);
    }
    let seen = actions(&mut policy);
    assert_eq!(seen[..2], [Action::Leave(W0), Action::Promote(W0)]);
    assert_eq!(seen[3], standby(Process::Services, 1));
    policy.handle(STABLE, Event::Prepared(Process::Services));
    policy.handle(STABLE, ended(Process::Services, End::Died));
    assert_eq!(actions(&mut policy), [Action::Leave(Process::Services), Action::Promote(Process::Services)]);
    // The new services die before they are ready.
    policy.handle(STABLE, ended(Process::Services, End::Died));
    let seen = actions(&mut policy);
    assert_eq!(seen[0], start(Process::Services));
    assert_eq!(seen[2], standby(W0, 0));
    for event in [Event::Prepared(W0), Event::Left(W0), Event::Ready(W0)] {
        policy.handle(STABLE, event);
    }
    actions(&mut policy);
    policy.handle(STABLE, Event::Ready(Process::Services));
    let [Action::Settled(0), Action::GoBack, Action::Finished(Err(why))] = &actions(&mut policy)[..] else {
        panic!()
    };
    assert!(why.ends_with("all is as it was before"), "{why}");
}

#[test]
fn to_another_abi_there_is_no_way_back_once_one_has_gone() {
    let mut policy = ready(2);
    policy.all_are_foreign();
    policy.order(STABLE, Order::Roll { generation: 1, placements: None }).unwrap();
    policy.handle(STABLE, Event::Prepared(W0));
    // The other one stands still while it leaves.
    assert_eq!(actions(&mut policy)[1..], [pause(1, 1)]);
    policy.handle(STABLE, paused(1, 1));
    assert_eq!(actions(&mut policy), [Action::Leave(W0)]);
    policy.handle(STABLE, Event::Left(W0));
    assert_eq!(actions(&mut policy), [Action::Promote(W0)]);
    policy.handle(STABLE, Event::Ready(W0));
    let standby = |process| Action::StartStandby { process, generation: 1 };
    let seen = actions(&mut policy);
    assert_eq!((&seen[0], &seen[2]), (&Action::Resume(1), &standby(W1)));
    policy.handle(STABLE, Event::StandbyEnded(W1));
    assert_eq!(actions(&mut policy)[1], standby(Process::Services));
    policy.handle(STABLE, Event::Prepared(Process::Services));
    policy.handle(STABLE, ended(Process::Services, End::Died));
    policy.handle(STABLE, ended(Process::Services, End::Died));
    assert!(actions(&mut policy).contains(&Action::Start { process: Process::Services, generation: 1 }));
    policy.handle(STABLE, Event::Ready(Process::Services));
    let [Action::Settled(1), Action::Finished(Err(why))] = &actions(&mut policy)[..] else { panic!() };
    assert!(why.ends_with("all others are of the new build"), "{why}");
    assert!(policy.is_foreign(W1) && policy.snapshot().is_ok());
}

#[test]
fn to_another_abi_a_first_failure_changes_nothing() {
    let mut policy = ready(2);
    policy.all_are_foreign();
    policy.order(STABLE, Order::Roll { generation: 1, placements: None }).unwrap();
    policy.handle(STABLE, Event::StandbyEnded(W0));
    let seen = actions(&mut policy);
    assert_eq!(seen[2..4], [Action::Settled(0), Action::GoBack]);
    assert!(policy.snapshot().is_ok());
}

#[test]
fn a_drain_that_nobody_can_take_over_is_taken_back() {
    let mut policy = ready(2);
    policy.order(STABLE, Order::Drain(0)).unwrap();
    policy.handle(STABLE, ended(W1, End::Config));
    let seen = actions(&mut policy);
    assert!(matches!(seen.last(), Some(Action::Finished(Err(_)))), "{seen:?}");
    assert_eq!(policy.state(W0).0, State::Ready);
    policy.order(STABLE, Order::Restart(W1)).unwrap();
}

#[test]
fn stopping_ends_workers_then_services_then_the_supervisor() {
    let mut policy = ready(2);
    policy.handle(STABLE, Event::Stop);
    policy.handle(STABLE, Event::Stop);
    assert_eq!(actions(&mut policy), [Action::Tell(W0), Action::Tell(W1)]);
    policy.handle(STABLE, ended(W0, End::Died));
    assert_eq!(actions(&mut policy), []);
    policy.handle_timeout(STABLE + STOP_TIME);
    assert!(matches!(actions(&mut policy)[..], [Action::Kill(W1, _)]));
    policy.handle(STABLE, ended(W1, End::Killed));
    assert_eq!(actions(&mut policy), [Action::Tell(Process::Services)]);
    policy.handle(STABLE, ended(Process::Services, End::Died));
    assert_eq!(actions(&mut policy), [Action::Exit]);
}

/// With a registry and a broker that the supervisor has started.
#[test]
fn a_managed_one_that_cannot_start_keeps_no_cluster_from_starting() {
    let mut policy = Policy::new(1, ALL, &[Process::Registry]);
    assert_eq!(actions(&mut policy).first(), Some(&start(Process::Registry)));
    let mut now = Duration::ZERO;
    for _ in 0..FIRST_DEATHS + 2 {
        policy.handle(now, ended(Process::Registry, End::Died));
        assert!(!actions(&mut policy).iter().any(|action| matches!(action, Action::Fail(_))));
        now = policy.members[&Process::Registry].deadline.unwrap();
        policy.handle_timeout(now);
        assert_eq!(actions(&mut policy), [start(Process::Registry)]);
    }
    for process in [Process::Registry, Process::Services, W0] {
        policy.handle(now, Event::Ready(process));
    }
    assert!(policy.was_ready());
}

fn ready_with_managed() -> Policy {
    let managed = [Process::Registry, Process::Broker];
    let mut policy = Policy::new(2, ALL, &managed);
    let first: Vec<Action> = actions(&mut policy).into_iter().take(3).collect();
    assert_eq!(first, [start(Process::Registry), start(Process::Broker), start(Process::Services)]);
    for process in managed.into_iter().chain([Process::Services, W0]) {
        policy.handle(Duration::ZERO, Event::Ready(process));
    }
    assert!(!policy.was_ready());
    policy.handle(Duration::ZERO, Event::Ready(W1));
    assert!(policy.all_ready() && policy.was_ready());
    policy
}

#[test]
fn a_registry_or_broker_that_ends_is_started_again_and_nobody_else_is_touched() {
    let mut policy = ready_with_managed();
    for process in [Process::Registry, Process::Broker] {
        policy.handle(STABLE, ended(process, End::Killed));
        assert_eq!(
            (actions(&mut policy), policy.state(process)),
            (vec![start(process)], (State::Starting, 1))
        );
        policy.handle(STABLE, Event::Ready(process));
    }
    // One that ends each time, with whatever code, is tried for ever, and does not hold up orders of others.
    let mut now = STABLE;
    let mut waits = Vec::new();
    for _ in 0..12 {
        policy.handle(now, ended(Process::Broker, End::Config));
        assert_eq!((actions(&mut policy), policy.all_ready()), (vec![], false));
        let at = policy.members[&Process::Broker].deadline.unwrap();
        waits.push(at - now);
        now = at;
        beat(&mut policy, now);
        assert_eq!(actions(&mut policy), [start(Process::Broker)]);
        policy.handle(now, Event::Ready(Process::Broker));
    }
    assert_eq!((waits[0], waits[11]), (FIRST_BACKOFF, LAST_BACKOFF));
    policy.handle(now, ended(Process::Broker, End::Died));
    assert_eq!(policy.state(Process::Broker).0, State::Failed);
    policy.order(now, Order::Scale(2)).unwrap();
    assert_eq!(actions(&mut policy), [Action::Finished(Ok("2 workers now".to_owned()))]);
    assert_eq!([Process::Services, W0, W1].map(|process| policy.state(process)), [(State::Ready, 0); 3]);
    assert!(policy.snapshot().is_ok(), "an upgrade is possible");
}

#[test]
fn a_registry_that_says_nothing_of_itself_does_not_hang() {
    let mut policy = ready_with_managed();
    let mut now = STABLE;
    for _ in 0..200 {
        now += Duration::from_millis(250);
        for process in [W0, W1, Process::Services] {
            policy.handle(now, Event::Beat(process, now.as_micros() as u64 + 1));
        }
        policy.handle_timeout(now);
        assert_eq!(actions(&mut policy), []);
    }
    assert!(policy.all_ready());
}

#[test]
fn no_order_replaces_registry_or_broker() {
    let mut policy = ready_with_managed();
    policy.all_are_foreign();
    assert!(!policy.is_foreign(Process::Registry), "they are of no build");
    policy.foreign.clear();
    policy.order(STABLE, Order::Roll { generation: 1, placements: None }).unwrap();
    for process in [W0, W1, Process::Services] {
        for event in [Event::Prepared(process), Event::Left(process), Event::Ready(process)] {
            policy.handle(STABLE, event);
        }
    }
    let seen = actions(&mut policy);
    let replaced = |action: &&Action| matches!(action, Action::StartStandby { .. });
    assert_eq!(seen.iter().filter(replaced).count(), 3);
    assert!(matches!(seen.last(), Some(Action::Finished(Ok(_)))), "{seen:?}");
    // The next supervisor goes on with them.
    let mut policy = Policy::resume(STABLE, policy.snapshot().unwrap());
    assert_eq!((actions(&mut policy), policy.state(Process::Broker)), (vec![], (State::Ready, 0)));
    policy.handle(STABLE * 2, ended(Process::Broker, End::Died));
    assert_eq!(actions(&mut policy), [Action::Start { process: Process::Broker, generation: 1 }]);
}

#[test]
fn another_address_is_told_to_new_services_once_nothing_else_is_to_be_done() {
    let services = Process::Services;
    let mut policy = ready_with_managed();
    policy.order(STABLE, Order::Restart(W0)).unwrap();
    actions(&mut policy);
    policy.handle(STABLE, Event::Moved);
    assert_eq!(actions(&mut policy), []);
    for event in [Event::Prepared(W0), Event::Left(W0), Event::Ready(W0)] {
        policy.handle(STABLE, event);
    }
    actions(&mut policy);
    beat(&mut policy, STABLE);
    let standby = Action::StartStandby { process: services, generation: 0 };
    assert_eq!(actions(&mut policy), std::slice::from_ref(&standby));
    // They do not get so far: that is no order's failure, and tried again after a while.
    policy.handle(STABLE, Event::StandbyEnded(services));
    beat(&mut policy, STABLE + LAST_BACKOFF / 2);
    assert_eq!(actions(&mut policy), []);
    beat(&mut policy, STABLE + LAST_BACKOFF);
    assert_eq!(actions(&mut policy), [standby]);
    for event in [Event::Prepared(services), Event::Left(services), Event::Ready(services)] {
        policy.handle(STABLE + LAST_BACKOFF, event);
    }
    assert_eq!(actions(&mut policy), [Action::Leave(services), Action::Promote(services)]);
    beat(&mut policy, STABLE + LAST_BACKOFF * 3);
    assert_eq!((actions(&mut policy), policy.all_ready()), (vec![], true));
    // Services that are started anyway know it.
    policy.handle(STABLE + LAST_BACKOFF * 3, ended(services, End::Died));
    policy.handle(STABLE + LAST_BACKOFF * 3, Event::Moved);
    policy.handle(STABLE + LAST_BACKOFF * 3, ended(services, End::Died));
    policy.handle(STABLE + LAST_BACKOFF * 3, Event::Ready(services));
    let late = actions(&mut policy);
    assert!(late.iter().all(|action| *action == start(services)), "{late:?}");
}

#[test]
fn stopping_ends_registry_and_broker_after_the_services_that_tell_them() {
    let mut policy = ready_with_managed();
    policy.handle(STABLE, Event::Stop);
    assert_eq!(actions(&mut policy), [Action::Tell(W0), Action::Tell(W1)]);
    // One that ends meanwhile is not started again.
    policy.handle(STABLE, ended(Process::Broker, End::Died));
    [W0, W1].into_iter().for_each(|process| policy.handle(STABLE, ended(process, End::Died)));
    assert_eq!(actions(&mut policy), [Action::Tell(Process::Services)]);
    policy.handle(STABLE, ended(Process::Services, End::Died));
    assert_eq!(actions(&mut policy), [Action::Tell(Process::Registry)]);
    policy.handle_timeout(STABLE + STOP_TIME);
    assert!(matches!(actions(&mut policy)[..], [Action::Kill(Process::Registry, _)]));
    policy.handle(STABLE + STOP_TIME, ended(Process::Registry, End::Killed));
    assert_eq!(actions(&mut policy), [Action::Exit]);
}
