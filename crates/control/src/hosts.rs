//! What the services show of the hosts that FastForward joins.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::State;

/// This host and those that it is joined with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostsInfo {
    /// The ID of this host: that of its first node.
    pub host: u32,
    /// Its nodes, by worker.
    pub nodes: Vec<OwnNodeInfo>,
    /// The other hosts that can be reached, by ID.
    pub hosts: Vec<HostInfo>,
    /// Where other hosts should be, in the order of the configuration file.
    pub configured: Vec<ConfiguredHost>,
}

/// A node of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnNodeInfo {
    /// Its ID.
    pub node: u32,
    /// The slot of the worker that it is.
    pub worker: u16,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// How the worker is, where that is known.
    pub state: Option<State>,
}

/// Another host that can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Its ID.
    pub host: u32,
    /// How many hosts away it is: 1 where it is heard itself.
    pub hops: u8,
    /// How many of its nodes can be reached.
    pub nodes: u16,
    /// How many ranges of talkgroups they want.
    pub ranges: u32,
    /// Those that workers of this host speak with, by worker and node.
    pub links: Vec<LinkInfo>,
    /// What came of its calls; `None` where none came lately.
    pub calls: Option<FarCallsInfo>,
}

/// A worker of this host and a node of another that speak with each other. Times are microseconds; what is not known yet is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// The slot of the worker.
    pub worker: u16,
    /// The node there.
    pub node: u32,
    /// How it is reached: `udp`.
    pub transport: String,
    /// Where.
    pub address: SocketAddr,
    /// It was heard lately.
    pub heard: bool,
    /// There and back.
    pub rtt_us: Option<u32>,
    /// How much the time of the way varies (RFC 3550).
    pub jitter_us: Option<u32>,
    /// Datagrams of this worker that did not come there, of a hundred, over the last 10 s.
    pub loss_out_percent: Option<f64>,
    /// Datagrams of that node that did not come here, of a hundred, over the last 10 s.
    pub loss_in_percent: Option<f64>,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Bytes of those sent.
    pub bytes_out: u64,
    /// Bytes of those received.
    pub bytes_in: u64,
}

/// What came of a host's calls: the bursts that each worker here has put in order, of all workers together, since they started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarCallsInfo {
    /// Bursts that came, each once a worker.
    pub bursts: u64,
    /// Bursts that did not come in time.
    pub lost: u64,
    /// Lost ones in whose place others were made up.
    pub concealed: u64,
    /// Bursts that came when nobody waited for them any more.
    pub late: u64,
    /// Bursts that had come before.
    pub duplicates: u64,
    /// How much the time of their way varies, microseconds: the largest of all nodes and workers.
    pub jitter_us: u32,
    /// By how much bursts are held back now, microseconds: the largest of all nodes and workers.
    pub delay_us: u32,
}

/// Where another host should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredHost {
    /// As it is configured: `host:port`.
    pub address: String,
    /// Where that is, if it is known.
    pub socket: Option<SocketAddr>,
    /// The host that has answered from there, if one has.
    pub host: Option<u32>,
    /// That host can be reached now.
    pub reached: bool,
    /// Why not, and what to look at; or why the name cannot be looked up now.
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_documented() {
        let link = LinkInfo {
            worker: 1,
            node: 25_021,
            transport: "udp".to_owned(),
            address: "192.0.2.1:54000".parse().unwrap(),
            heard: true,
            rtt_us: Some(12_300),
            jitter_us: None,
            loss_out_percent: Some(0.25),
            loss_in_percent: None,
            datagrams_out: 1,
            datagrams_in: 2,
            bytes_out: 3,
            bytes_in: 4,
        };
        let calls = FarCallsInfo { bursts: 9, lost: 2, concealed: 1, delay_us: 60_000, ..Default::default() };
        let host =
            HostInfo { host: 25_021, hops: 1, nodes: 2, ranges: 3, links: vec![link], calls: Some(calls) };
        let own = OwnNodeInfo { node: 25_011, worker: 0, address: None, state: Some(State::Ready) };
        let configured = ConfiguredHost {
            address: "a.test:54000".to_owned(),
            socket: None,
            host: None,
            reached: false,
            trouble: Some("no such name".to_owned()),
        };
        let info =
            HostsInfo { host: 25_011, nodes: vec![own], hosts: vec![host], configured: vec![configured] };
        let expected = concat!(
            r#"{"host":25011,"nodes":[{"node":25011,"worker":0,"address":null,"state":"ready"}],"#,
            r#""hosts":[{"host":25021,"hops":1,"nodes":2,"ranges":3,"links":[{"worker":1,"node":25021,"#,
            r#""transport":"udp","address":"192.0.2.1:54000","heard":true,"rtt_us":12300,"jitter_us":null,"#,
            r#""loss_out_percent":0.25,"loss_in_percent":null,"datagrams_out":1,"datagrams_in":2,"#,
            r#""bytes_out":3,"bytes_in":4}],"calls":{"bursts":9,"lost":2,"concealed":1,"late":0,"#,
            r#""duplicates":0,"jitter_us":0,"delay_us":60000}}],"configured":[{"address":"a.test:54000","#,
            r#""socket":null,"host":null,"reached":false,"trouble":"no such name"}]}"#
        );
        assert_eq!(serde_json::to_string(&info).unwrap(), expected);
    }
}
