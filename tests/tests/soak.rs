//! Long runs under load, with processes killed or replaced all the time: what listeners notice. Opt-in:
//! `cargo test -p tests --test soak -- --ignored --nocapture --test-threads 1`; `SOAK_SECONDS` (300) and `SOAK_SEED` (1)
//! change them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control::{ClusterState, State, Status};
use nix::sys::signal::Signal;
use sim::judge::Burst;
use sim::traffic::Seed;
use sim::{Report, Settings};
use tests::measure::{machine, percentile};
use tests::{Cluster, PASSWORD, install, installed, signal};

const REPEATERS: usize = 800;
const CALLS: usize = 80;
const KILL_EVERY: Duration = Duration::from_secs(2);
/// Calls go on for so long after the last kill or order.
const REST: Duration = Duration::from_secs(4);
/// A process that is killed may end the system call that it is in.
const LAST_CALL_US: u64 = 5_000;
/// A worker has nothing in its hands that was sent longer before: it is done with it, or has not taken it.
const IN_HANDS_US: u64 = 100_000;
/// Calls may be as long as they like.
const CONFIG: &str = "[calls]\ncall_timeout = 0\n";

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Makes calls for [`soak_seconds`], and does `meanwhile` until the time that it is given.
fn talk(cluster: &Cluster, meanwhile: impl FnOnce(Instant)) -> Report {
    let seconds = u32::try_from(from_env("SOAK_SECONDS", 300)).unwrap();
    let settings = Settings {
        repeaters: REPEATERS,
        talkgroups: CALLS,
        calls: CALLS,
        seconds,
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    };
    let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
    let sessions =
        |status: &Status| status.workers.iter().map(|worker| worker.sessions as usize).sum::<usize>();
    cluster.wait_until("all calls", |status| sessions(status) == CALLS);
    meanwhile(Instant::now() + Duration::from_secs(seconds.into()) - REST);
    talk.join().unwrap()
}

/// The worst delay of a burst that came, or should have, from `from_us` until `until_us`.
fn worst_us(bursts: &[Burst], from_us: u64, until_us: u64) -> u64 {
    let is_within = |burst: &&Burst| burst.sent_us < until_us && burst.sent_us + burst.slowest_us >= from_us;
    bursts.iter().filter(is_within).map(|burst| burst.slowest_us).max().unwrap_or(0)
}

/// The median, the 99th percentile and the largest of some times in milliseconds.
fn spread(mut ms: Vec<f64>) -> String {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| percentile(&mut ms, part));
    format!("{half:.0} / {most:.0} / {all:.0} ms")
}

fn print_table(title: &str, rows: &[(String, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    println!("{title}, {}", machine());
    println!("load generator and cluster share all cores");
    rows.iter().for_each(|(name, value)| println!("{name:width$}  {value}"));
}

fn load(report: &Report) -> Vec<(String, String)> {
    let row = |name: &str, value: String| (name.to_owned(), value);
    vec![
        row(
            "repeaters, calls, seconds",
            format!("{REPEATERS}, {CALLS}, {:.0}", report.duration_us as f64 / 1e6),
        ),
        row("bursts expected", report.counts.expected.to_string()),
        row("lost", report.counts.lost.to_string()),
        row("reordered, duplicated", format!("{}, {}", report.counts.reordered, report.counts.duplicated)),
        row("stray, altered", format!("{}, {}", report.counts.stray, report.counts.altered)),
        row("logins repeated, MSTNAK", format!("{}, {}", report.relogins, report.naks)),
        row("delay of a burst p50 / p99 / max", report.latency.to_string()),
        row("sent late p50 / p99 / max", report.late.to_string()),
    ]
}

/// A worker that was killed.
struct Kill {
    victim: u16,
    at_us: u64,
    /// Until its replacement was ready.
    until_ready: Duration,
}

fn kill(cluster: &Cluster, victim: u16) -> Kill {
    let place = usize::from(victim);
    let before = cluster.status().workers[place].clone();
    let (since, at_us) = (Instant::now(), now_us());
    signal(i32::try_from(before.pid.unwrap()).unwrap(), Signal::SIGKILL);
    loop {
        let status = cluster.status();
        let worker = &status.workers[place];
        if (worker.restarts, worker.state) == (before.restarts + 1, State::Ready) {
            assert!(status.workers.iter().all(|worker| worker.shards == 32), "{status:?}");
            return Kill { victim, at_us, until_ready: since.elapsed() };
        }
        assert!(since.elapsed() < tests::HANG, "no replacement: {status:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What was lost by one kill.
#[derive(Default)]
struct Loss {
    /// Datagrams that the dead worker had in its hands: those of talkers at it, and those of siblings.
    taken: BTreeSet<(usize, u64)>,
    /// Receivers that missed one of them.
    missed: usize,
    /// How long before the kill the oldest of them was sent.
    oldest_us: u64,
}

#[test]
#[ignore = "takes five minutes: SOAK_SECONDS changes that"]
fn workers_killed_again_and_again_cost_what_they_had_in_their_hands() {
    let cluster = Cluster::start(2, CONFIG);
    let mut places = BTreeMap::new();
    let mut kills = Vec::new();
    let report = talk(&cluster, |end| {
        places = cluster.contexts().into_iter().map(|context| (context.id, context.worker)).collect();
        let mut seed = Seed(from_env("SOAK_SEED", 1));
        let mut next = Instant::now();
        while next < end {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            kills.push(kill(&cluster, (seed.draw() % 2) as u16));
            next += KILL_EVERY;
        }
    });
    let worker_of = |number: usize| places[&report.heard[number].id];
    let until_us = |kill: usize| kills.get(kill + 1).map_or(u64::MAX, |next: &Kill| next.at_us);
    let mut losses: Vec<Loss> = kills.iter().map(|_| Loss::default()).collect();
    let (mut elsewhere, mut after) = (Vec::new(), Vec::new());
    for &missing in &report.missing {
        let sent_us = missing.burst.sent_us;
        // What was in its hands was sent before the kill, and not long.
        let number = kills.partition_point(|kill| kill.at_us + LAST_CALL_US < sent_us);
        let Some(kill) = kills.get(number) else {
            after.push(missing);
            continue;
        };
        let is_its = [missing.burst.call, missing.listener].map(worker_of).contains(&kill.victim);
        if !is_its {
            elsewhere.push(missing);
        }
        let loss = &mut losses[number];
        loss.taken.insert((missing.burst.call, sent_us));
        loss.missed += 1;
        loss.oldest_us = loss.oldest_us.max(kill.at_us.saturating_sub(sent_us));
    }
    let heard = (0..kills.len()).map(|kill| worst_us(&report.bursts, kills[kill].at_us, until_us(kill)));
    let heard: Vec<f64> = heard.map(|us| us as f64 / 1e3).collect();
    let of_kills = |of: fn(&Loss) -> u64| spread_of_counts(losses.iter().map(of).collect());
    let mut rows = load(&report);
    rows.extend([
        ("kills".to_owned(), kills.len().to_string()),
        (
            "until the replacement was ready, p50 / p99 / max".to_owned(),
            spread(kills.iter().map(|kill| ms(kill.until_ready)).collect()),
        ),
        ("longest delay of a burst that came, p50 / p99 / max".to_owned(), spread(heard)),
        (
            "kills that lost nothing".to_owned(),
            losses.iter().filter(|loss| loss.missed == 0).count().to_string(),
        ),
        ("datagrams lost a kill, p50 / p99 / max".to_owned(), of_kills(|loss| loss.taken.len() as u64)),
        (
            "bursts lost a kill at all receivers, p50 / p99 / max".to_owned(),
            of_kills(|loss| loss.missed as u64),
        ),
        ("sent before the kill, us, p50 / p99 / max".to_owned(), of_kills(|loss| loss.oldest_us)),
    ]);
    print_table("kill -9 of a random worker every 2 s", &rows);
    for (kill, loss) in kills.iter().zip(&losses).filter(|(_, loss)| loss.missed > 0) {
        println!(
            "  worker {}: {} datagrams, {} receivers, oldest {} us before",
            kill.victim,
            loss.taken.len(),
            loss.missed,
            loss.oldest_us
        );
    }
    assert_eq!((report.relogins, report.naks, report.unsent), (0, 0, 0));
    assert_eq!((report.counts.stray, report.counts.altered), (0, 0));
    assert!(elsewhere.is_empty(), "lost between others: {elsewhere:?}");
    assert!(losses.iter().all(|loss| loss.oldest_us <= IN_HANDS_US), "lost without being in its hands");
    assert!(after.is_empty(), "lost after the last kill: {after:?}");
}

/// Times of `count` faults each: what to do, and when it is over.
fn times(count: usize, mut fault: impl FnMut() -> Duration) -> String {
    spread((0..count).map(|_| ms(fault())).collect())
}

#[test]
#[ignore = "takes three minutes"]
fn how_long_faults_last_on_an_idle_cluster() {
    const TIMES: usize = 50;
    let mut cluster = Cluster::start(2, "");
    let pid_of = |status: &Status, process: Option<usize>| {
        i32::try_from(process.map_or(status.services.pid, |slot| status.workers[slot].pid).unwrap()).unwrap()
    };
    let is_new = |status: &Status, process, before| {
        status.state == ClusterState::Ready && pid_of(status, process) != before
    };
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    for (process, name) in [(Some(1), "worker"), (None, "services")] {
        let replaced = times(TIMES, || {
            let before = pid_of(&cluster.status(), process);
            let since = Instant::now();
            signal(before, Signal::SIGKILL);
            cluster.wait_until("the replacement", |status| is_new(status, process, before));
            let took = since.elapsed();
            // It is stable then, and started again at once.
            std::thread::sleep(Duration::from_millis(1100));
            took
        });
        row(&format!("{name} killed, until replaced"), replaced);
        let before = pid_of(&cluster.status(), process);
        let since = Instant::now();
        signal(before, Signal::SIGSTOP);
        cluster.wait_until("it to be told", |status| status.state == ClusterState::Degraded);
        row(&format!("{name} stopped, until told"), format!("{:.0} ms", ms(since.elapsed())));
        cluster.wait_until("the replacement", |status| is_new(status, process, before));
        row(&format!("{name} stopped, until replaced"), format!("{:.0} ms", ms(since.elapsed())));
        std::thread::sleep(Duration::from_millis(1100));
    }
    let children = cluster.children();
    let since = Instant::now();
    signal(cluster.pid(), Signal::SIGKILL);
    tests::wait_for("all to end", || (!children.iter().any(|&pid| tests::is_running(pid))).then_some(()));
    row("supervisor killed, until all have ended", format!("{:.0} ms", ms(since.elapsed())));
    cluster.wait();

    let (faults, programs) = (tempfile::tempdir().unwrap(), installed());
    install(Path::new(env!("CARGO_BIN_EXE_faulty-worker")), &programs.path().join("bm-worker"));
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 2, "", |command| {
        command.env("BMCTL_TEST_FAULTS", faults.path())
    });
    for fault in ["never-ready", "exit78", "dies"] {
        std::fs::write(faults.path().join(fault), "").unwrap();
        let since = Instant::now();
        signal(pid_of(&cluster.status(), Some(1)), Signal::SIGKILL);
        cluster.wait_until("others to serve", |status| status.workers[0].shards == 64);
        row(
            &format!("worker killed, and then {fault}, until another serves"),
            format!("{:.0} ms", ms(since.elapsed())),
        );
        std::fs::remove_file(faults.path().join(fault)).unwrap();
        if fault != "never-ready" {
            assert!(cluster.bmctl(&["restart", "1"], "").status.success());
        }
        cluster.wait_until("all to be well", |status| {
            status.state == ClusterState::Ready && status.workers[1].shards == 32
        });
        std::thread::sleep(Duration::from_millis(1100));
    }
    print_table("faults of an idle cluster (p50 / p99 / max)", &rows);
}

fn spread_of_counts(counts: Vec<u64>) -> String {
    let mut counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| percentile(&mut counts, part));
    format!("{half:.0} / {most:.0} / {all:.0}")
}

/// What was ordered, and when that began and ended.
struct Done {
    what: &'static str,
    took: Duration,
    from_us: u64,
    until_us: u64,
}

/// A cluster under an operator who orders without end.
struct Ordered<'a> {
    cluster: &'a Cluster,
    programs: &'a Path,
    done: Vec<Done>,
}

impl Ordered<'_> {
    /// Orders something that is to end with this exit code, and waits until all is well.
    fn order(&mut self, what: &'static str, args: &[&str], code: i32) -> String {
        let (since, from_us) = (Instant::now(), now_us());
        let output = self.cluster.bmctl(args, "");
        let (took, until_us) = (since.elapsed(), now_us());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        self.done.push(Done { what, took, from_us, until_us });
        self.cluster.wait_until("all to be well", |status| status.state == ClusterState::Ready);
        tests::text(&output)
    }

    fn install(&self, name: &str, program: &Path) {
        install(program, &self.programs.join(name));
    }

    /// One of each order, with this hang time from then on.
    fn order_all(&mut self, hang_time: u32) {
        self.order("scale 2 -> 4", &["scale", "4"], 0);
        for worker in ["0", "1", "2", "3"] {
            self.order("restart of a worker", &["restart", worker], 0);
        }
        self.order("restart of the services", &["restart", "services"], 0);
        let file = self.cluster.config_file();
        let text = std::fs::read_to_string(&file).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with("hang_time"));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, format!("{text}hang_time = {hang_time}\n")).unwrap();
        let said = self.order("reload, 4 workers", &["reload"], 0);
        assert!(said.contains("calls.hang_time: "), "{said}");
        for name in ["bmctl", "bm-worker", "bm-services"] {
            self.install(name, &tests::bmctl().with_file_name(name));
        }
        self.order("upgrade, 4 workers", &["upgrade"], 0);
        self.order("drain", &["drain", "2"], 0);
        self.order("scale 4 -> 1", &["scale", "1"], 0);
        self.order("scale 1 -> 2", &["scale", "2"], 0);
        self.install("bm-worker", Path::new("/bin/false"));
        let said = self.order("upgrade to broken workers, undone", &["upgrade"], 1);
        assert!(said.contains("all is as it was before"), "{said}");
        self.install("bm-worker", &tests::bmctl().with_file_name("bm-worker"));
    }
}

#[test]
#[ignore = "takes five minutes: SOAK_SECONDS changes that"]
fn orders_again_and_again_cost_no_burst_and_no_login() {
    let programs = installed();
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 2, CONFIG, |command| command);
    let pid = cluster.status().pid;
    let mut ordered = Ordered { cluster: &cluster, programs: programs.path(), done: Vec::new() };
    let report = talk(&cluster, |end| {
        for hang_time in [5, 3].into_iter().cycle() {
            if Instant::now() >= end {
                break;
            }
            ordered.order_all(hang_time);
        }
    });
    let done = ordered.done;
    let mut rows = load(&report);
    rows.push(("orders".to_owned(), done.len().to_string()));
    for what in done.iter().map(|done| done.what).collect::<BTreeSet<_>>() {
        let all: Vec<&Done> = done.iter().filter(|done| done.what == what).collect();
        let delays =
            all.iter().map(|done| worst_us(&report.bursts, done.from_us, done.until_us) as f64 / 1e3);
        let took = spread(all.iter().map(|done| ms(done.took)).collect());
        let value = format!(
            "{} times, each {took}; longest delay of a burst {}",
            all.len(),
            spread(delays.collect())
        );
        rows.push((what.to_owned(), value));
    }
    print_table("orders without end (p50 / p99 / max)", &rows);
    for missing in &report.missing {
        let Burst { call, sent_us, slowest_us } = missing.burst;
        let during = done.iter().rev().find(|done| done.from_us <= sent_us + IN_HANDS_US);
        println!(
            "  listener {} missed a burst of call {call} that took {slowest_us} us to others, {} us after the beginning of: {}",
            missing.listener,
            during.map_or(0, |done| sent_us.cast_signed() - done.from_us.cast_signed()),
            during.map_or("none", |done| done.what),
        );
    }
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0));
    let status = cluster.status();
    assert_eq!((status.pid, status.state, status.workers.len()), (pid, ClusterState::Ready, 2), "{status:?}");
    let restarts: u32 = status.workers.iter().map(|worker| worker.restarts).sum();
    assert_eq!(restarts, 0, "nobody died");
}
