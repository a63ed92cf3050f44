//! Scenarios on real processes in real time: a cluster of two workers, and a simulated client for each device,
//! logged in at the worker that the scenario wants.

mod orders;
mod place;
mod site;
mod watch;
mod wire;

use std::time::Duration;

use scenario::{Device, Heard, Lists, Order, Rules, Scenario, Told, World};
use stack::{Frame, Slot};
use sys::Clocks;

use crate::{Cluster, HANG};
use place::Pools;
use site::Site;
use watch::Watch;

/// How long a subscription may take to become as it should be.
const PATIENCE: Duration = Duration::from_millis(500);
/// Events come when the services have read the workers' queues.
const QUIET: Duration = Duration::from_millis(400);

/// A cluster with the devices of a scenario.
pub struct Live {
    cluster: Cluster,
    devices: Vec<Device>,
    /// By device; `None` for one that is not logged in.
    sites: Vec<Option<Site>>,
    pools: Pools,
    watch: Watch,
    heard: Vec<Heard>,
    /// Time in a scenario is that since this moment.
    began: Clocks,
}

impl Live {
    /// Starts a cluster, and logs the devices of a scenario in.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let cluster = Cluster::start(2, &settings(&scenario.rules));
        for device in &scenario.devices {
            device.blocked.iter().for_each(|talkgroup| orders::block(&cluster, device.id, *talkgroup));
        }
        let mut pools = Pools::for_scenario(&cluster, scenario);
        let sites = scenario.devices.iter().map(|device| Some(Site::new(device, pools.take(device.worker))));
        let mut live = Self {
            sites: sites.collect(),
            devices: scenario.devices.clone(),
            pools,
            watch: Watch::new(&cluster),
            heard: Vec::new(),
            began: Clocks::now(),
            cluster,
        };
        live.log_in();
        live.watch.begin();
        live.began = Clocks::now();
        live
    }

    fn log_in(&mut self) {
        crate::wait_for("the devices' logins", || {
            self.serve(Clocks::now().mono_us + 5_000);
            self.sites.iter().flatten().all(Site::is_running).then_some(())
        });
        let contexts = self.cluster.contexts();
        for device in &self.devices {
            let context = contexts.iter().find(|context| context.id == device.id);
            let worker = context.map(|context| usize::from(context.worker));
            assert_eq!(worker, Some(device.worker), "{} is at another worker", device.name);
        }
        self.heard.clear();
    }

    /// Sends and receives until then.
    fn serve(&mut self, until_us: u64) {
        loop {
            let now_us = Clocks::now().mono_us;
            for (device, site) in self.sites.iter_mut().enumerate() {
                let Some(site) = site else { continue };
                site.serve(now_us, &mut |at_us, bytes| {
                    let at = Duration::from_micros(at_us.saturating_sub(self.began.wall_us));
                    if let Some((slot, stream, frame)) = wire::read(bytes) {
                        self.heard.push(Heard { at, device, slot, stream, frame });
                    }
                });
            }
            if now_us >= until_us {
                return;
            }
            site::wait(&self.sites, until_us - now_us);
        }
    }

    fn serve_for(&mut self, time: Duration) {
        self.serve(Clocks::now().mono_us + time.as_micros() as u64);
    }

    fn has_subscribed(&self, device: usize, slot: Slot, talkgroup: u32) -> bool {
        let contexts = self.cluster.contexts();
        let Some(context) = contexts.iter().find(|context| context.id == self.devices[device].id) else {
            return false;
        };
        let (statics, dynamics) = match slot {
            Slot::One => (&context.statics.ts1, &context.dynamics.ts1),
            Slot::Two => (&context.statics.ts2, &context.dynamics.ts2),
        };
        statics.contains(&talkgroup) || dynamics.iter().any(|dynamic| dynamic.talkgroup == talkgroup)
    }
}

impl World for Live {
    fn run_until(&mut self, at: Duration) {
        self.serve(self.began.mono_us + at.as_micros() as u64);
    }

    fn send(&mut self, device: usize, slot: Slot, stream: u32, frame: &Frame) {
        if let Some(site) = &self.sites[device] {
            site.send(&wire::write(self.devices[device].id, slot, stream, frame));
        }
    }

    fn order(&mut self, order: Order) {
        orders::carry_out(&self.cluster, &self.devices, order);
    }

    fn leave(&mut self, device: usize) {
        if let Some(mut site) = self.sites[device].take() {
            site.close();
        }
    }

    fn come_back(&mut self, device: usize, worker: usize) {
        self.leave(device);
        self.devices[device].worker = worker;
        self.sites[device] = Some(Site::new(&self.devices[device], self.pools.take(worker)));
    }

    fn set_statics(&mut self, device: usize, statics: &[Vec<u32>; 2]) {
        self.devices[device].statics.clone_from(statics);
        if let Some(site) = &self.sites[device] {
            site.send_options(&self.devices[device]);
        }
    }

    fn is_subscribed(&mut self, device: usize, slot: Slot, talkgroup: u32, wished: bool) -> bool {
        let until_us = Clocks::now().mono_us + PATIENCE.as_micros() as u64;
        loop {
            let is = self.has_subscribed(device, slot, talkgroup);
            if is == wished || Clocks::now().mono_us >= until_us {
                return is;
            }
            self.serve_for(Duration::from_millis(10));
        }
    }

    fn told(&mut self) -> Told {
        self.serve_for(QUIET);
        self.heard.sort_by_key(|heard| heard.at);
        let mut told = self.watch.end(self.began);
        told.heard = std::mem::take(&mut self.heard);
        told
    }
}

/// The configuration of a scenario: of its settings only those that it names.
fn settings(rules: &Rules) -> String {
    let seconds = |key, time: Option<Duration>| time.map(|time| format!("{key} = {}", time.as_secs()));
    let calls = [
        seconds("hang_time", rules.hang_time),
        seconds("dynamic_time", rules.dynamic_time),
        seconds("call_timeout", rules.call_timeout),
    ];
    let encrypted = rules.encrypted.map(|carry| if carry { "carry" } else { "refuse" });
    let protection = [
        rules.max_burst_rate.map(|rate| format!("max_burst_rate = {rate}")),
        encrypted.map(|word| format!("encrypted = \"{word}\"")),
    ];
    let table = |name: &str, lines: &[Option<String>]| {
        let lines: Vec<_> = lines.iter().flatten().map(String::as_str).collect();
        if lines.is_empty() { String::new() } else { format!("[{name}]\n{}\n", lines.join("\n")) }
    };
    let list = |key, ranges: &[(u32, u32)]| {
        let ranges: Vec<_> = ranges.iter().map(|(first, last)| format!("\"{first}-{last}\"")).collect();
        (!ranges.is_empty()).then(|| format!("{key} = [{}]", ranges.join(", ")))
    };
    let access = |lists: &Lists| [list("allow", &lists.allow), list("deny", &lists.deny)];
    [
        table("calls", &calls),
        table("protection", &protection),
        table("access.radios", &access(&rules.radios)),
        table("access.talkgroups", &access(&rules.talkgroups)),
    ]
    .concat()
}

/// Asks the services with a line of JSON. What they answer has to be no error.
fn ask(cluster: &Cluster, request: &serde_json::Value) {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(cluster.paths().services()).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("{\"ok\""), "{request}: {answer}");
}
