//! What listeners notice of a registry or a broker that fails under load. Opt-in:
//! `cargo test -p tests --test soak_stores -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use control::{State, Status};
use nix::sys::signal::Signal;
use sim::{Report, Settings};
use tests::measure::machine;
use tests::{Broker, Cluster, PASSWORD, Tarantool, signal, text};

const REPEATERS: usize = 800;
const CALLS: usize = 80;
/// Calls may be as long as they like.
const CONFIG: &str = "[calls]\ncall_timeout = 0\n";
/// How long what was stopped stands still.
const STOPPED: Duration = Duration::from_secs(60);
/// How long the calls of a run go on at least.
const RUN: u32 = 20;

struct Scene {
    cluster: Cluster,
    tarantool: Tarantool,
    broker: Broker,
}

impl Scene {
    fn is_whole(status: &Status) -> bool {
        [&status.registry, &status.events].into_iter().all(|store| store.state == State::Ready)
            && status.services.state == State::Ready
    }

    /// Makes calls for so many seconds while `harm` is done, and says what came of them.
    fn run(&mut self, what: &str, seconds: u32, harm: impl FnOnce(&mut Self)) -> Report {
        let settings = Settings {
            repeaters: REPEATERS,
            talkgroups: CALLS,
            calls: CALLS,
            seconds,
            ..Settings::new(self.cluster.mmdvm(), PASSWORD)
        };
        let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
        let sessions =
            |status: &Status| status.workers.iter().map(|worker| worker.sessions as usize).sum::<usize>();
        self.cluster.wait_until("all calls", |status| sessions(status) == CALLS);
        let since = Instant::now();
        harm(self);
        self.cluster.wait_until("all is well again", Self::is_whole);
        let whole = since.elapsed().as_secs_f64();
        let report = talk.join().unwrap();
        println!(
            "{what:<44} lost {} of {}, logins {}, delay {}, well again after {whole:.1} s",
            report.counts.lost, report.counts.expected, report.relogins, report.latency
        );
        report
    }
}

#[test]
#[ignore = "takes five minutes"]
fn stores_fail_under_load() {
    let (tarantool, broker) = (Tarantool::on_tcp(), Broker::start());
    let config = format!("{CONFIG}{}{}", tarantool.config(), broker.events(None));
    let cluster = Cluster::start(2, &config);
    let mut scene = Scene { cluster, tarantool, broker };
    scene.cluster.wait_until("all is well", Scene::is_whole);
    assert!(scene.cluster.bmctl(&["device", "add", "2599001", "--no-password"], "").status.success());
    println!(
        "{REPEATERS} repeaters, {CALLS} calls, {}; load generator and cluster share all cores",
        machine()
    );
    let stopped = RUN + u32::try_from(STOPPED.as_secs()).unwrap();
    let mut reports = vec![scene.run("nothing", RUN, |_| {})];
    reports.push(scene.run("tarantool killed, started again after 5 s", RUN, |scene| {
        scene.tarantool.kill();
        std::thread::sleep(Duration::from_secs(5));
        scene.tarantool.start_again();
    }));
    reports.push(scene.run("tarantool stopped for 60 s", stopped, |scene| {
        scene.tarantool.signal(Signal::SIGSTOP);
        std::thread::sleep(STOPPED);
        scene.tarantool.signal(Signal::SIGCONT);
    }));
    reports.push(scene.run("tarantool emptied, copy confirmed", RUN, |scene| {
        scene.tarantool.kill();
        scene.tarantool.lose_everything();
        scene.tarantool.start_again();
        scene.cluster.wait_until("the empty one", |status| {
            status.registry.trouble.as_deref().is_some_and(|trouble| trouble.contains("EMPTY"))
        });
        let confirmed = scene.cluster.bmctl(&["registry", "confirm", "copy"], "");
        assert!(confirmed.status.success(), "{}", text(&confirmed));
    }));
    assert!(scene.tarantool.by_hand("box.space.Devices:select{}").contains("2599001"), "it has converged");
    reports.push(scene.run("mosquitto killed, started again after 5 s", RUN, |scene| {
        scene.broker.kill();
        std::thread::sleep(Duration::from_secs(5));
        scene.broker.start_again();
    }));
    reports.push(scene.run("mosquitto stopped for 60 s", stopped, |scene| {
        scene.broker.signal(Signal::SIGSTOP);
        std::thread::sleep(STOPPED);
        scene.broker.signal(Signal::SIGCONT);
    }));
    reports.push(scene.run("services killed", RUN, |scene| {
        let pid = scene.cluster.status().services.pid.unwrap();
        signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
        scene
            .cluster
            .wait_until("the replacement", |status| status.services.pid.is_some_and(|now| now != pid));
    }));
    reports.push(scene.run("nothing", RUN, |_| {}));
    for report in reports {
        assert_eq!((report.counts.lost, report.relogins), (0, 0), "{report}");
    }
}
