//! A run: repeaters log in, some of them talk, and what the others hear is judged.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use sys::Clocks;

use crate::client::{Client, options};
use crate::fleet::{Fleet, allow_files};
use crate::flood::{self, flood};
use crate::floor::Floor;
use crate::judge::{Judge, Listener, NETWORK, Times};
use crate::network::Network;
use crate::report::{Across, Bridged};
use crate::settle::{PATIENCE_US, settle};
use crate::traffic::{BURST_US, Call, Plan, Seed, bursts_in};
use crate::{Error, Report, cpu};

/// Radio ID of the first call's talker; the others follow.
pub(crate) const FIRST_SOURCE: u32 = 2_590_001;
/// Time between the last login and the first burst: what a master knows of its clients has settled by then.
pub(crate) const LEAD_US: u64 = 200_000;
/// How long is listened after the last burst.
const DRAIN_US: u64 = 1_000_000;

/// What is simulated: repeater `i` (from 0) has the ID `first_id + i` and listens on TS2 to talkgroup
/// `first_talkgroup + i % talkgroups`; call `k` is made by repeater `k` on its talkgroup. Where there is another network
/// it makes calls 0, 2, 4 and so on instead. Where there are other hosts, those who share a talkgroup are spread evenly over all of
/// them, and so are those who call.
#[derive(Clone)]
pub struct Settings {
    /// The server.
    pub server: SocketAddr,
    /// The password of all repeaters.
    pub password: String,
    /// How many repeaters.
    pub repeaters: usize,
    /// How many talkgroups they share.
    pub talkgroups: usize,
    /// How many calls at once, each on a talkgroup of its own.
    pub calls: usize,
    /// How long each call is, in seconds.
    pub seconds: u32,
    /// `None`: a burst each 60 ms, as on the air. Else as fast as the server carries with so many bursts under way;
    /// it must not limit the rate of a call.
    pub in_flight: Option<usize>,
    /// ID of the first repeater.
    pub first_id: u32,
    /// The first talkgroup.
    pub first_talkgroup: u32,
    /// Stream IDs and sequence numbers are drawn from this. A server takes no stream of a network twice: with one, no
    /// two runs may have the same.
    pub seed: u64,
    /// Another network beside the repeaters.
    pub network: Option<Network>,
    /// Servers of other hosts that are joined with the first one.
    pub others: Vec<SocketAddr>,
    /// Processes whose CPU time is measured during the calls; a thread of this process may be named, too.
    pub pids: Vec<i32>,
}

impl Settings {
    /// 50 repeaters on one talkgroup, one call of 60 s.
    #[must_use]
    pub fn new(server: SocketAddr, password: &str) -> Self {
        Self {
            server,
            password: password.to_owned(),
            repeaters: 50,
            talkgroups: 1,
            calls: 1,
            seconds: 60,
            in_flight: None,
            first_id: 2_501_001,
            first_talkgroup: 25_001,
            seed: 1,
            network: None,
            others: Vec::new(),
            pids: Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { repeaters, talkgroups, calls, seconds, first_id, first_talkgroup, .. } = *self;
        let wrong = |text: String| Err(Error::Settings(text));
        if calls == 0 || seconds == 0 || seconds > 3_600 {
            return wrong(format!("{calls} calls of {seconds} s: at least one call of 1..=3600 s is needed"));
        }
        if self.in_flight == Some(0) {
            return wrong("0 bursts under way: at least one is needed".to_owned());
        }
        if calls > talkgroups {
            return wrong(format!("{calls} calls at once need {calls} talkgroups, not {talkgroups}"));
        }
        if repeaters < talkgroups + calls {
            let needed = talkgroups + calls;
            return wrong(format!(
                "{calls} calls on {talkgroups} talkgroups need at least {needed} repeaters, not {repeaters}: each \
                 call needs a talker and a listener"
            ));
        }
        if repeaters > 60_000 {
            return wrong(format!("{repeaters} repeaters: a host has ports for at most 60000"));
        }
        if first_talkgroup == 0 || first_talkgroup as usize + talkgroups > 0x100_0000 {
            return wrong(format!("talkgroups {first_talkgroup} and up: a talkgroup is 1..=16777215"));
        }
        if first_id == 0 || first_id > 999_999_999 - 60_000 {
            return wrong(format!("repeater IDs {first_id} and up: an ID has at most nine digits"));
        }
        self.check_others()?;
        self.network.as_ref().map_or(Ok(()), Network::check)
    }

    fn check_others(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Settings(text));
        let (repeaters, hosts) = (self.repeaters, self.others.len() + 1);
        let needed = self.talkgroups * hosts;
        let mut servers = self.servers();
        servers.sort_unstable();
        if let Some([server, _]) = servers.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("server {server} is named twice: name each host once"));
        }
        if hosts > 1 && self.network.is_some() {
            return wrong("another network and other hosts: measure one of them at a time".to_owned());
        }
        if repeaters < needed {
            return wrong(format!(
                "{} talkgroups at {hosts} hosts need at least {needed} repeaters, not {repeaters}: each talkgroup needs one at \
                 each host",
                self.talkgroups
            ));
        }
        Ok(())
    }

    /// One for each host.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        [&[self.server], self.others.as_slice()].concat()
    }

    /// The host of repeater `index`, in the order of [`Self::servers`]: those of a talkgroup take turns, and so do the first of
    /// each talkgroup, who call.
    pub(crate) fn host_of(&self, index: usize) -> usize {
        (index / self.talkgroups + index % self.talkgroups) % (self.others.len() + 1)
    }

    pub(crate) fn listeners(&self) -> Vec<Listener> {
        let talkgroups = u32::try_from(self.talkgroups).unwrap_or(u32::MAX);
        let repeaters = u32::try_from(self.repeaters).unwrap_or(u32::MAX);
        let listener =
            |i| Listener { id: self.first_id + i, talkgroup: self.first_talkgroup + i % talkgroups };
        (0..repeaters).map(listener).collect()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server)
            .field("repeaters", &self.repeaters)
            .field("talkgroups", &self.talkgroups)
            .field("calls", &self.calls)
            .field("seconds", &self.seconds)
            .field("network", &self.network)
            .field("others", &self.others)
            .field("pids", &self.pids)
            .finish_non_exhaustive()
    }
}

/// Runs it, in the calling thread, and says goodbye to the server at the end.
///
/// # Errors
/// Where there is no result: settings that contradict each other, no server, a login refused, a system call
/// that failed. What a server does with the calls is a result.
pub fn run(settings: &Settings) -> Result<Report, Error> {
    settings.check()?;
    allow_files(settings.repeaters)?;
    let listeners = settings.listeners();
    let calls = make_calls(settings, &listeners)?;
    let talkers: Vec<usize> =
        (0..).zip(&calls).map(|(k, call)| if call.is_by_network() { NETWORK } else { k }).collect();
    let mut judge = Judge::new(&calls, &listeners);
    let mut fleet = make_fleet(settings, &listeners)?;
    if let Some(network) = &settings.network {
        judge = judge.with_network();
        fleet.link(network)?;
    }
    let hosts: Vec<usize> = (0..settings.repeaters).map(|index| settings.host_of(index)).collect();
    if !settings.others.is_empty() {
        judge = judge.with_hosts(hosts);
    }
    fleet.log_in(0, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
    let settled_us = settle(settings, &mut fleet, &listeners, &calls, PATIENCE_US)?;

    let (server_before, own_before) = (cpu::used_us(&settings.pids)?, cpu::own_us()?);
    let pace = match settings.in_flight {
        None => talk(&mut fleet, &mut judge, &talkers, &calls)?,
        Some(in_flight) => {
            let lead_us = Clocks::now().mono_us + LEAD_US;
            fleet.serve(lead_us, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
            flood(&mut fleet, &mut judge, &talkers, &calls, in_flight, settings.seconds)?
        }
    };
    let until_us = Clocks::now().mono_us + DRAIN_US;
    fleet.serve(until_us, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
    // A measured process may have ended meanwhile, as when its restart is what is looked at.
    let server_after = cpu::used_us(&settings.pids).ok().filter(|_| !settings.pids.is_empty());
    let server_cpu_us = server_after.map(|us| us.saturating_sub(server_before));
    let generator_cpu_us = cpu::own_us()?.saturating_sub(own_before);

    let counts = judge.counts();
    let network = settings.network.as_ref().zip(judge.ways()).map(|(network, [said, heard])| {
        let calls = calls.iter().filter(|call| call.is_by_network()).count();
        let (unsigned, first_unsigned) = fleet.unsigned();
        Bridged { id: network.id, server: network.server, calls, said, heard, unsigned, first_unsigned }
    });
    let hosts =
        judge.apart().map(|[within, across]| Across::new(settings.servers(), settled_us, within, across));
    let forwards = counts.delivered + network.as_ref().map_or(0, |network| network.heard.counts.delivered);
    let report = Report {
        server: settings.server,
        repeaters: settings.repeaters,
        talkgroups: settings.talkgroups,
        calls: settings.calls,
        duration_us: pace.duration_us,
        sent: pace.sent,
        counts,
        latency: judge.latency(),
        unsent: pace.unsent,
        relogins: fleet.clients().map(|client| u64::from(client.relogins())).sum(),
        naks: fleet.clients().map(|client| u64::from(client.naks())).sum(),
        late: pace.late.spread(),
        generator_cpu_us,
        server_cpu_us,
        server_cpu_us_per_forward: server_cpu_us.map(|us| us as f64 / forwards.max(1) as f64),
        network,
        hosts,
        heard: judge.listeners(),
        bursts: judge.bursts(),
        missing: judge.missing(),
    };
    fleet.close();
    Ok(report)
}

/// Runs the same load against the bare forwarding loop, pinned to core `cpu` where given: what that takes is
/// the kernel's own cost. It is one host, whatever others there are.
///
/// # Errors
/// Those of [`run`] and [`Floor::start`].
pub fn run_floor(settings: &Settings, cpu: Option<usize>) -> Result<Report, Error> {
    let ip: IpAddr =
        if settings.server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let floor = Floor::start(ip, cpu, settings.network.as_ref().map(|network| &network.key))?;
    // It learns where the network is, as it learns where repeaters are.
    let (server, listen) = (floor.address(), SocketAddr::new(ip, 0));
    let network = settings.network.clone().map(|network| Network { server, listen, ..network });
    run(&Settings { server, network, others: Vec::new(), pids: vec![floor.thread_id()], ..settings.clone() })
}

/// A fleet of these listeners, not logged in.
pub(crate) fn make_fleet(settings: &Settings, listeners: &[Listener]) -> Result<Fleet, Error> {
    let mut fleet = Fleet::new(settings.server)?;
    let password: Arc<str> = settings.password.as_str().into();
    let servers = settings.servers();
    for (index, listener) in listeners.iter().enumerate() {
        let client = Client::new(listener.id, password.clone(), options(&[], &[listener.talkgroup]));
        fleet.add_at(servers[settings.host_of(index)], client)?;
    }
    Ok(fleet)
}

pub(crate) fn make_calls(settings: &Settings, listeners: &[Listener]) -> Result<Vec<Call>, Error> {
    let network = settings.network.as_ref().map(|network| Ok((network.id, network.signer()?))).transpose()?;
    let mut seed = Seed(settings.seed);
    let bursts = match settings.in_flight {
        None => bursts_in(settings.seconds),
        Some(_) => flood::bursts_in(settings.seconds, settings.calls),
    };
    let talkers = listeners.iter().take(settings.calls).zip(0..);
    let call = |(talker, number): (&Listener, u32)| {
        let network = network.as_ref().filter(|_| number % 2 == 0);
        let plan = Plan {
            number,
            repeater: network.map_or(talker.id, |(id, _)| *id),
            source: FIRST_SOURCE + number,
            talkgroup: talker.talkgroup,
            ts2: network.is_none(),
            bursts,
        };
        let call = Call::new(plan, &mut seed);
        if let Some((_, signer)) = network { call.by_network(signer) } else { call }
    };
    Ok(talkers.map(call).collect())
}

/// How the talking went.
pub(crate) struct Pace {
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
    pub(crate) late: Times,
    pub(crate) duration_us: u64,
}

impl Pace {
    /// `talker`, a client or the network, says burst `index` of `call`, which has this number.
    pub(crate) fn send(
        &mut self,
        fleet: &Fleet,
        judge: &mut Judge<'_>,
        talker: usize,
        (number, index): (usize, usize),
        call: &Call,
        wall_us: u64,
    ) {
        let Some(datagram) = call.sent(index) else { return };
        judge.sent(number, index, wall_us);
        self.sent += 1;
        self.unsent += u64::from(!fleet.send(talker, datagram));
    }
}

/// Sends `calls`, all of one length, at once: call `k` is made by client `talkers[k]`. The calls are spread
/// evenly over the 60 ms between two bursts, as those of the world are.
pub(crate) fn talk(
    fleet: &mut Fleet,
    judge: &mut Judge<'_>,
    talkers: &[usize],
    calls: &[Call],
) -> Result<Pace, Error> {
    let mut pace = Pace { sent: 0, unsent: 0, late: Times::new(), duration_us: 0 };
    let start_us = Clocks::now().mono_us + LEAD_US;
    let bursts = calls.iter().map(Call::bursts).max().unwrap_or(0);
    for index in 0..bursts {
        for (number, (call, &talker)) in calls.iter().zip(talkers).enumerate() {
            let due_us = start_us + index as u64 * BURST_US + number as u64 * BURST_US / calls.len() as u64;
            fleet.serve(due_us, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
            let now = Clocks::now();
            pace.send(fleet, judge, talker, (number, index), call, now.wall_us);
            pace.late.record(now.mono_us.saturating_sub(due_us));
        }
    }
    pace.duration_us = Clocks::now().mono_us.saturating_sub(start_us);
    Ok(pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("127.0.0.1:62031".parse().unwrap(), "secret")
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let reason = |settings: Settings| settings.check().unwrap_err().to_string();
        assert!(settings().check().is_ok());
        assert_eq!(reason(Settings { calls: 2, ..settings() }), "2 calls at once need 2 talkgroups, not 1");
        assert!(reason(Settings { repeaters: 1, ..settings() }).contains("at least 2 repeaters, not 1"));
        assert!(reason(Settings { calls: 0, ..settings() }).contains("at least one call"));
        assert!(reason(Settings { first_talkgroup: 0xFF_FFFF + 1, ..settings() }).contains("a talkgroup is"));
        assert!(reason(Settings { first_id: 999_999_999, ..settings() }).contains("nine digits"));
    }

    #[test]
    fn a_network_and_repeaters_hear_each_other_through_the_floor() {
        let local = "127.0.0.1:1".parse().unwrap();
        let key = stack::Key::new("k3y").unwrap();
        let network = Some(Network { id: 3_129_900, key, listen: local, server: local });
        for in_flight in [None, Some(4)] {
            let settings = Settings {
                repeaters: 12,
                talkgroups: 4,
                calls: 3,
                seconds: 1,
                in_flight,
                network: network.clone(),
                ..settings()
            };
            let report = run_floor(&settings, None).unwrap();
            let bridged = report.network.as_ref().unwrap();
            assert!(report.is_clean(), "{report}");
            let (said, heard) = (bridged.said.counts, bridged.heard.counts);
            assert_eq!((bridged.calls, bridged.unsigned), (2, 0));
            assert!(heard.delivered > 0, "{report}");
            let sent = (bridged.said.sent, bridged.heard.sent);
            assert_eq!((said.delivered, heard.delivered), (3 * sent.0, sent.1), "{report}");
            // As fast as it goes, one call may be a burst ahead of another when time is over.
            assert!(in_flight.is_some() || sent.0 == 2 * sent.1, "{report}");
            assert_eq!(report.counts.delivered, said.delivered + 2 * heard.delivered);
        }
    }

    #[test]
    fn a_network_without_a_server_is_told_at_once() {
        let floor = Floor::start(Ipv4Addr::LOCALHOST.into(), None, None).unwrap();
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let key = stack::Key::new("k3y").unwrap();
        let network = Some(Network { id: 7, key, listen, server: nobody });
        let settings = Settings { server: floor.address(), repeaters: 2, seconds: 60, network, ..settings() };
        assert!(matches!(run(&settings), Err(Error::NoServer(server)) if server == nobody));
    }

    #[test]
    fn the_password_is_not_shown() {
        assert!(!format!("{:?}", settings()).contains("secret"));
    }

    #[test]
    fn each_call_has_a_talkgroup_of_its_own() {
        let settings = Settings { repeaters: 30, talkgroups: 10, calls: 5, seconds: 3, ..settings() };
        let listeners = settings.listeners();
        let calls = make_calls(&settings, &listeners).unwrap();
        assert_eq!((listeners[12].id, listeners[12].talkgroup), (2_501_013, 25_003));
        let judge = Judge::new(&calls, &listeners);
        let mut expected = 0;
        for (number, call) in calls.iter().enumerate() {
            let mut judge = Judge::new(&calls, &listeners);
            judge.sent(number, 0, 1);
            assert_eq!((judge.counts().expected, call.bursts()), (2, 50));
            expected += judge.counts().expected;
        }
        assert_eq!((expected, judge.counts().expected), (10, 0));
    }
}
