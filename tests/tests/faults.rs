//! Processes killed while calls run: what is lost, and what is not.

use std::collections::BTreeMap;

use control::{ContextInfo, State};
use nix::sys::signal::Signal;
use sim::{Report, Settings};
use tests::{Cluster, PASSWORD, Repeater, signal, wait_for};

const REPEATERS: usize = 24;
const CALLS: usize = 6;

/// Makes calls, does `harm` while they run, and returns what came of them and where each repeater was, by ID.
fn talk(cluster: &Cluster, harm: impl FnOnce(&Cluster, &BTreeMap<u32, u16>)) -> (Report, BTreeMap<u32, u16>) {
    let settings = Settings {
        repeaters: REPEATERS,
        talkgroups: CALLS,
        calls: CALLS,
        seconds: 6,
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    };
    let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
    let sessions =
        |status: &control::Status| status.workers.iter().map(|worker| worker.sessions).sum::<u32>();
    cluster.wait_until("all calls", |status| sessions(status) == u32::try_from(CALLS).unwrap());
    let place = |context: ContextInfo| (context.id, context.worker);
    let places: BTreeMap<u32, u16> = cluster.contexts().into_iter().map(place).collect();
    harm(cluster, &places);
    (talk.join().unwrap(), places)
}

/// Whether the repeater with this number listens to a call whose talker is at the same worker, `worker`.
fn is_within(places: &BTreeMap<u32, u16>, number: usize, worker: u16) -> bool {
    let place = |number: usize| places.values().nth(number).copied();
    number >= CALLS && place(number) == Some(worker) && place(number % CALLS) == Some(worker)
}

#[test]
fn a_worker_killed_costs_only_its_own_and_nobody_logs_in_again() {
    let cluster = Cluster::start(2, "");
    let mut survivor = 0;
    let (report, places) = talk(&cluster, |cluster, places| {
        // Which worker a repeater comes to is chance: the one that is left has to have a whole call.
        survivor = u16::from(!(0..REPEATERS).any(|number| is_within(places, number, 0)));
        let victim = usize::from(1 - survivor);
        signal(i32::try_from(cluster.status().workers[victim].pid.unwrap()).unwrap(), Signal::SIGKILL);
        cluster.wait_until("the replacement", |status| {
            status.workers[victim].restarts == 1 && status.workers[victim].state == State::Ready
        });
        // Its contexts are there again without a login.
        cluster.wait_until("its contexts", |status| status.workers[victim].contexts > 0);
    });
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    let mut within = 0;
    for (number, heard) in report.heard.iter().enumerate() {
        if is_within(&places, number, survivor) {
            assert!(heard.counts.is_clean(), "{heard:?}");
            within += 1;
        }
        // What came meanwhile waited in sockets and rings; only what was in the dead worker's hands is gone.
        assert!(heard.counts.lost <= 2, "{heard:?}");
    }
    assert!(within > 0, "no call within worker {survivor}: {places:?}");
    assert_eq!((report.counts.stray, report.counts.altered), (0, 0), "{report}");
}

#[test]
fn services_killed_cost_nothing() {
    let cluster = Cluster::start(2, "");
    let (report, _) = talk(&cluster, |cluster, _| {
        let victim = cluster.status().services.pid.unwrap();
        signal(i32::try_from(victim).unwrap(), Signal::SIGKILL);
        cluster.wait_until("the replacement", |status| {
            status.services.pid.is_some_and(|pid| pid != victim) && status.services.state == State::Ready
        });
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.relogins, 0, "{report}");
    assert_eq!(cluster.status().workers.iter().map(|worker| worker.restarts).sum::<u32>(), 0);
}

#[test]
fn a_radio_is_called_where_it_was_heard_before_its_worker_died() {
    const CALLER: u32 = 2_590_001;
    const CALLED: u32 = 2_590_002;
    let cluster = Cluster::start(2, "");
    let log_in = |id| {
        let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, "");
        assert!(repeater.log_in());
        repeater
    };
    let (mut here, mut there) = (log_in(2_501_001), log_in(2_501_002));
    // It is heard, on a talkgroup that stays where it is.
    let call = there.group_call(CALLED, 9, 1);
    there.talk(call.datagrams());
    let worker = cluster.contexts().into_iter().find(|context| context.id == 2_501_002).unwrap().worker;
    let victim = usize::from(worker);
    signal(i32::try_from(cluster.status().workers[victim].pid.unwrap()).unwrap(), Signal::SIGKILL);
    cluster.wait_until("the replacement", |status| {
        status.workers[victim].restarts == 1 && status.workers[victim].state == State::Ready
    });
    let call = here.group_call(CALLER, CALLED, 1);
    let private = |datagram: &[u8; sim::traffic::DMRD_LEN]| {
        let mut datagram = *datagram;
        datagram[15] |= 0x40;
        datagram
    };
    here.talk(&call.datagrams().iter().map(private).collect::<Vec<_>>());
    wait_for("the private call", || (there.bursts() == call.bursts()).then_some(()));
}
