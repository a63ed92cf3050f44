//! Sockets whose datagrams come to a wanted worker: the kernel spreads senders by their ports, and a port stays
//! with the worker that it came to first.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use scenario::{Action, Scenario};
use sim::client::{Client, options};
use sys::{Bind, Clocks};

use super::site::{Site, wait};
use crate::{Cluster, PASSWORD};

/// IDs of those who only try where they come to.
const FIRST_ID: u32 = 299_001;

/// Sockets by the worker that they come to.
pub(super) struct Pools([Vec<UdpSocket>; 2]);

impl Pools {
    /// As many as a scenario needs: one for each login.
    pub(super) fn for_scenario(cluster: &Cluster, scenario: &Scenario) -> Self {
        let mut needed = [0; 2];
        scenario.devices.iter().for_each(|device| needed[device.worker] += 1);
        for step in &scenario.steps {
            if let Action::Return(_, worker) = step.action {
                needed[worker] += 1;
            }
        }
        let mut pools = Self([Vec::new(), Vec::new()]);
        let mut ids = FIRST_ID..;
        loop {
            let missing = |worker: usize| needed[worker] - pools.0[worker].len().min(needed[worker]);
            let tries = 2 * (missing(0) + missing(1));
            if tries == 0 {
                return pools;
            }
            pools.add(cluster, ids.by_ref().take(tries));
        }
    }

    /// A socket that comes to this worker.
    pub(super) fn take(&mut self, worker: usize) -> UdpSocket {
        self.0[worker].pop().unwrap()
    }

    /// Logs in under these IDs, and sorts the sockets by where that was.
    fn add(&mut self, cluster: &Cluster, ids: impl Iterator<Item = u32>) {
        let server = cluster.mmdvm();
        let begin = |id| {
            let how = Bind { timestamps: true, ..Bind::default() };
            let socket = sys::bind("127.0.0.1:0".parse().unwrap(), how).unwrap();
            socket.connect(server).unwrap();
            Some(Site::start(Client::new(id, PASSWORD.into(), options(&[], &[])), socket))
        };
        let mut sites: Vec<_> = ids.map(begin).collect();
        crate::wait_for("logins that look for their worker", || {
            wait(&sites, 5_000);
            let now_us = Clocks::now().mono_us;
            sites.iter_mut().flatten().for_each(|site| site.serve(now_us, &mut |_, _| {}));
            sites.iter().flatten().all(Site::is_running).then_some(())
        });
        let places = crate::wait_for("the workers of these logins", || {
            let contexts = cluster.contexts();
            let places: BTreeMap<u32, u16> =
                contexts.iter().map(|context| (context.id, context.worker)).collect();
            sites.iter().flatten().all(|site| places.contains_key(&site.id())).then_some(places)
        });
        for site in sites.into_iter().flatten() {
            let worker = usize::from(places[&site.id()]);
            self.0[worker].push(site.into_socket());
        }
    }
}
