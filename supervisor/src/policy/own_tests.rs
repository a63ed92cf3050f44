//! Workers that are a stack's own: where they come from, what they serve, and what becomes of those that die.

use super::*;

const W0: Process = Process::Worker(0);
const W1: Process = Process::Worker(1);
const W2: Process = Process::Worker(2);
const SHARED: Placement = Placement::All;
const OWN: Placement = Placement::Own;

fn actions(policy: &mut Policy) -> Vec<Action> {
    std::iter::from_fn(|| policy.poll_action()).filter(|action| !matches!(action, Action::Say(_))).collect()
}

fn ended(process: Process, end: End) -> Event {
    Event::Ended { process, end, work: None }
}

/// Two shared workers.
fn ready(stacks: &[(Placement, u16)]) -> Policy {
    let mut policy = Policy::new(2, stacks, &[]);
    policy.name_stacks(vec!["a".to_owned(), "b".to_owned()]);
    let all: Vec<Process> = policy.members.keys().copied().collect();
    all.into_iter().for_each(|process| policy.handle(Duration::ZERO, Event::Ready(process)));
    actions(&mut policy);
    assert!(policy.was_ready());
    policy
}

/// All answer at once, until nothing is left to be done; what was done.
fn settle(policy: &mut Policy, now: Duration) -> Vec<Action> {
    let mut done = Vec::new();
    loop {
        let all = actions(policy);
        if all.is_empty() {
            return done;
        }
        for action in &all {
            let event = match *action {
                Action::Start { process, .. } => Event::Ready(process),
                Action::StartStandby { process, .. } => Event::Prepared(process),
                Action::Leave(process) => Event::Left(process),
                Action::Promote(process) => Event::Ready(process),
                Action::Tell(process) => ended(process, End::Died),
                Action::Pause { slot, number } => Event::Paused { slot, number },
                Action::Release { from, .. } => Event::Released(from),
                Action::Adopt { to, .. } => Event::Adopted(to),
                _ => continue,
            };
            policy.handle(now, event);
        }
        done.extend(all);
    }
}

fn roll(policy: &mut Policy, generation: u32, placements: &[Placement]) -> Result<(), String> {
    policy.order(STABLE, Order::Roll { generation, placements: Some(placements.to_vec()) })
}

fn said(done: &[Action]) -> Vec<&str> {
    let said = done.iter().filter_map(|action| match action {
        Action::Progress(text) | Action::Finished(Ok(text) | Err(text)) => Some(text.as_str()),
        _ => None,
    });
    said.collect()
}

#[test]
fn it_has_a_slot_beside_the_shared_ones_and_serves_its_stack_alone() {
    let policy = ready(&[(OWN, 4), (SHARED, 4), (OWN, 2)]);
    assert_eq!((policy.slots().collect::<Vec<_>>(), policy.shared()), (vec![0, 1, 2, 3], vec![0, 1]));
    let owners: Vec<u8> = policy.owners().collect();
    assert_eq!(owners, [2, 2, 2, 2, 0, 1, 0, 1, 3, 3]);
    assert_eq!((policy.stack_of(2), policy.stack_of(3), policy.stack_of(1)), (Some(0), Some(2), None));
}

#[test]
fn scaling_leaves_it_where_it_is_and_counts_shared_ones_alone() {
    let mut policy = ready(&[(OWN, 4), (SHARED, 4)]);
    policy.order(STABLE, Order::Scale(3)).unwrap();
    let done = settle(&mut policy, STABLE);
    assert_eq!(said(&done), ["3 workers now"]);
    assert_eq!((policy.shared(), policy.shards_of(2)), (vec![0, 1, 3], vec![0, 1, 2, 3]));
    policy.order(STABLE, Order::Scale(1)).unwrap();
    settle(&mut policy, STABLE);
    assert_eq!(policy.slots().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(policy.shards_of(0), [4, 5, 6, 7]);
}

#[test]
fn one_that_dies_again_and_again_is_tried_for_ever_and_nobody_takes_its_shards() {
    let mut policy = ready(&[(OWN, 4), (SHARED, 4)]);
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        policy.handle(now, ended(W2, End::Died));
        assert_eq!((actions(&mut policy), policy.state(W2).0), (vec![], State::Failed));
        now = policy.members[&W2].deadline.unwrap();
        for process in [W0, W1, Process::Services] {
            policy.handle(now, Event::Beat(process, now.as_micros() as u64 + 1));
        }
        policy.handle_timeout(now);
        assert_eq!(actions(&mut policy), [Action::Start { process: W2, generation: 0 }]);
    }
    assert_eq!(policy.shards_of(2).len(), 4);
    // A wrong configuration is another matter.
    policy.handle(now, ended(W2, End::Config));
    assert!(policy.members[&W2].is_parked && policy.shards_of(2).len() == 4);
}

#[test]
fn it_stands_in_for_nobody_either() {
    let mut policy = ready(&[(OWN, 4), (SHARED, 4)]);
    for process in [W0, W1] {
        policy.handle(STABLE, ended(process, End::Config));
    }
    let done = settle(&mut policy, STABLE);
    assert!(!done.iter().any(|action| matches!(action, Action::Adopt { to: 2, .. })), "{done:?}");
    assert_eq!(policy.shards_of(2).len(), 4);
}

#[test]
fn it_cannot_be_drained() {
    let mut policy = ready(&[(OWN, 4), (SHARED, 4)]);
    let why = policy.order(STABLE, Order::Drain(2)).unwrap_err();
    assert!(
        why.starts_with("worker 2 is the own worker of stacks.a, which nobody else serves: `bmctl"),
        "{why}"
    );
    policy.order(STABLE, Order::Drain(0)).unwrap();
    settle(&mut policy, STABLE);
    let why = policy.order(STABLE, Order::Drain(1)).unwrap_err();
    assert!(why.starts_with("no other worker is ready"), "its own worker is none: {why}");
}

#[test]
fn a_stack_comes_to_one_and_goes_back() {
    let mut policy = ready(&[(SHARED, 4), (SHARED, 4)]);
    roll(&mut policy, 1, &[OWN, SHARED]).unwrap();
    assert_eq!(actions(&mut policy), [Action::Start { process: W2, generation: 1 }], "first of all");
    assert_eq!(policy.shards_of(2), [0_u16; 0]);
    policy.handle(STABLE, Event::Ready(W2));
    let done = settle(&mut policy, STABLE);
    assert_eq!(
        said(&done),
        [
            "worker 2 ready, to serve stacks.a alone",
            "worker 0 replaced",
            "worker 1 replaced",
            "services replaced",
            "stacks.a is served by worker 2 now",
            "all processes replaced"
        ]
    );
    assert_eq!(policy.shards_of(2), [0, 1, 2, 3]);
    let mut policy = Policy::resume(STABLE, policy.snapshot().unwrap());
    assert_eq!((policy.stack_of(2), policy.shared()), (Some(0), vec![0, 1]), "an upgrade keeps it");
    roll(&mut policy, 2, &[Placement::Number(1), SHARED]).unwrap();
    let done = settle(&mut policy, STABLE);
    assert!(done.contains(&Action::Retire(2)), "{done:?}");
    assert!(!done.contains(&Action::StartStandby { process: W2, generation: 2 }), "it need not be replaced");
    assert_eq!(said(&done)[3..], ["stack 0 is served by worker 0 now", "all processes replaced"]);
    assert_eq!((policy.shards_of(0), policy.stack_of(2)), (vec![0, 1, 2, 3, 4, 6], None));
    assert_eq!(policy.slots().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn one_that_does_not_get_ready_leaves_all_as_it_was() {
    let mut policy = ready(&[(SHARED, 4)]);
    roll(&mut policy, 1, &[OWN]).unwrap();
    actions(&mut policy);
    policy.handle(STABLE, ended(W2, End::Config));
    let done = settle(&mut policy, STABLE);
    assert!(!done.iter().any(|action| matches!(action, Action::StartStandby { .. })), "{done:?}");
    let why = *said(&done).last().unwrap();
    assert!(
        why.starts_with("worker 2 does not get ready") && why.ends_with("all is as it was before"),
        "{why}"
    );
    assert!(done.contains(&Action::Retire(2)) && done.contains(&Action::Settled(0)));
    assert_eq!((policy.shards_of(0).len(), policy.stacks.as_slice()), (2, &[SHARED][..]));
    assert!(policy.snapshot().is_ok() && policy.all_ready());
}

#[test]
fn a_roll_that_fails_later_puts_placements_back_too() {
    let mut policy = ready(&[(OWN, 4), (SHARED, 4)]);
    roll(&mut policy, 1, &[SHARED, OWN]).unwrap();
    assert_eq!(actions(&mut policy), [Action::Start { process: Process::Worker(3), generation: 1 }]);
    policy.handle(STABLE, Event::Ready(Process::Worker(3)));
    policy.handle(STABLE, Event::StandbyEnded(W0));
    let done = settle(&mut policy, STABLE);
    assert!(said(&done).last().unwrap().ends_with("all is as it was before"), "{done:?}");
    assert_eq!((policy.stack_of(2), policy.stack_of(3)), (Some(0), None));
    assert_eq!((policy.shards_of(2), policy.slots().count()), (vec![0, 1, 2, 3], 3));
}

#[test]
fn shards_that_its_own_worker_cannot_take_yet_stay_where_they_are_served() {
    let mut policy = ready(&[(SHARED, 4)]);
    roll(&mut policy, 1, &[OWN]).unwrap();
    let mut moved = false;
    // It dies as soon as it is to have something, again and again.
    for _ in 0..200 {
        for action in actions(&mut policy) {
            let event = match action {
                Action::Pause { slot: 2, .. } => ended(W2, End::Died),
                Action::Start { process, .. } | Action::Promote(process) => Event::Ready(process),
                Action::StartStandby { process, .. } => Event::Prepared(process),
                Action::Leave(process) => Event::Left(process),
                Action::Tell(process) => ended(process, End::Died),
                Action::Finished(result) => {
                    let why = result.unwrap_err();
                    assert!(why.starts_with("worker 2 ends before it has all"), "{why}");
                    moved = true;
                    continue;
                }
                _ => continue,
            };
            policy.handle(STABLE, event);
        }
        policy.handle_timeout(policy.members.get(&W2).and_then(|member| member.deadline).unwrap_or(STABLE));
    }
    assert!(moved);
    assert_eq!((policy.shards_of(0).len(), policy.shards_of(1).len()), (2, 2));
}

#[test]
fn one_that_an_older_supervisor_knew_none_of_is_shared_until_a_reload() {
    let policy = ready(&[(SHARED, 4)]);
    let mut json = serde_json::to_value(policy.snapshot().unwrap()).unwrap();
    json["stacks"] = serde_json::json!(["own"]);
    json.as_object_mut().unwrap().remove("own");
    let mut policy = Policy::resume(STABLE, serde_json::from_value(json).unwrap());
    assert_eq!(settle(&mut policy, STABLE), []);
    roll(&mut policy, 1, &[OWN]).unwrap();
    settle(&mut policy, STABLE);
    assert_eq!(policy.shards_of(2).len(), 4);
}
