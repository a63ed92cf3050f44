//! Processes killed while calls run: what is lost, and what is not.

use std::collections::BTreeMap;

use control::{ContextInfo, State};
use nix::sys::signal::Signal;
use sim::{Report, Settings};
use tests::{Cluster, PASSWORD, signal, wait_for};

const REPEATERS: usize = 24;
const CALLS: usize = 6;

/// Makes calls, does `harm` while they run, and returns what came of them and where each repeater was.
fn talk(cluster: &Cluster, harm: impl FnOnce(&Cluster)) -> (Report, BTreeMap<u32, u16>) {
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
    let contexts: Vec<ContextInfo> = cluster.contexts();
    harm(cluster);
    let report = talk.join().unwrap();
    (report, contexts.into_iter().map(|context| (context.id, context.worker)).collect())
}

#[test]
fn a_worker_killed_costs_only_its_own_and_nobody_logs_in_again() {
    let cluster = Cluster::start(2, "");
    let (report, places) = talk(&cluster, |cluster| {
        let victim = cluster.status().workers[1].pid.unwrap();
        signal(i32::try_from(victim).unwrap(), Signal::SIGKILL);
        let status = cluster.wait_until("the replacement", |status| {
            status.workers[1].restarts == 1 && status.workers[1].state == State::Ready
        });
        // Its contexts are there again without a login.
        wait_for("its contexts", || {
            (cluster.status().workers[1].contexts > 0).then_some(status.workers[1].pid)
        });
    });
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    let mut pairs = 0;
    for (i, heard) in report.heard.iter().enumerate().skip(CALLS) {
        let talker = report.heard[i % CALLS].id;
        if places[&heard.id] == 0 && places[&talker] == 0 {
            assert!(heard.counts.is_clean(), "{heard:?} of {talker}");
            pairs += 1;
        }
        // What came meanwhile waited in sockets and rings; only what was in the dead worker's hands is gone.
        assert!(heard.counts.lost <= 2, "{heard:?}");
    }
    assert!(pairs > 0, "no call within worker 0: {places:?}");
    assert_eq!((report.counts.stray, report.counts.altered), (0, 0), "{report}");
}

#[test]
fn services_killed_cost_nothing() {
    let cluster = Cluster::start(2, "");
    let (report, _) = talk(&cluster, |cluster| {
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
