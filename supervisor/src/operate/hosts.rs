//! The verb about the hosts that this one is joined with: which there are, who here speaks with whom there, and how well.

use anyhow::Result;
use control::{ConfiguredHost, FarCallsInfo, HostInfo, HostsInfo, LinkInfo, OwnNodeInfo, Paths};
use control::{ServicesRequest, request};

use super::{TIMEOUT, print_json, word};
use crate::say::{self, clean};

pub(crate) fn hosts(paths: &Paths, json: bool) -> Result<()> {
    let info: HostsInfo = request(paths, &ServicesRequest::Nodes, TIMEOUT)?;
    if json {
        return print_json(&info);
    }
    lines(&info).iter().for_each(|line| say::line(line));
    Ok(())
}

fn lines(info: &HostsInfo) -> Vec<String> {
    let mut lines = vec![format!("this host {}", info.host), "  worker node     address".to_owned()];
    lines.extend(info.nodes.iter().map(own_line));
    for host in &info.hosts {
        let HostInfo { hops, nodes, ranges, links, calls, .. } = host;
        let away = if *hops == 1 { "1 hop away".to_owned() } else { format!("{hops} hops away") };
        lines.push(format!("host {}, {away}, nodes: {nodes}, talkgroup ranges wanted: {ranges}", host.host));
        if !links.is_empty() {
            lines.push(format!(
                "  {:<6} {:<8} {:<25} {:<5} {:<13} {:<13} {:<10} received",
                "worker", "node", "way", "heard", "rtt/jitter ms", "lost % out/in", "sent"
            ));
        }
        lines.extend(links.iter().map(link_line));
        lines.extend(calls.iter().map(calls_line));
    }
    if info.hosts.is_empty() {
        lines.push(match &info.configured[..] {
            [] => "no other host is reached: none is configured ([[hosts]]), and none has found this one"
                .to_owned(),
            _ => "no other host is reached".to_owned(),
        });
    }
    lines.extend(info.configured.iter().filter_map(configured_line));
    lines
}

fn own_line(own: &OwnNodeInfo) -> String {
    let address = own.address.map_or_else(|| "-".to_owned(), |address| format!("udp {address}"));
    let state = own.state.map_or_else(|| "-".to_owned(), |state| word(&state));
    format!("  {:<6} {:<8} {address:<25} {state}", own.worker, own.node)
}

fn link_line(link: &LinkInfo) -> String {
    let way = format!("{} {}", clean(&link.transport), link.address);
    let heard = if link.heard { "yes" } else { "no" };
    let ms = |us: Option<u32>| us.map_or_else(|| "-".to_owned(), milliseconds);
    let percent = |loss: Option<f64>| loss.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2}"));
    let times = format!("{}/{}", ms(link.rtt_us), ms(link.jitter_us));
    let lost = format!("{}/{}", percent(link.loss_out_percent), percent(link.loss_in_percent));
    let sent = format!("{} {}B", scaled(link.datagrams_out), scaled(link.bytes_out));
    let received = format!("{} {}B", scaled(link.datagrams_in), scaled(link.bytes_in));
    let (worker, node) = (link.worker, link.node);
    format!("  {worker:<6} {node:<8} {way:<25} {heard:<5} {times:<13} {lost:<13} {sent:<10} {received}")
}

fn calls_line(calls: &FarCallsInfo) -> String {
    let FarCallsInfo { bursts, lost, concealed, late, duplicates, jitter_us, delay_us } = *calls;
    format!(
        "  bursts {bursts}, lost {lost}, concealed {concealed}, late {late}, doubled {duplicates}; held back {} ms, \
         jitter {} ms",
        milliseconds(delay_us),
        milliseconds(jitter_us)
    )
}

/// Nothing where all is well.
fn configured_line(host: &ConfiguredHost) -> Option<String> {
    let trouble = host.trouble.as_ref()?;
    let mut place = clean(&host.address);
    if let Some(socket) = host.socket.map(|socket| socket.to_string()).filter(|socket| *socket != place) {
        place.push_str(&format!(" ({socket})"));
    }
    let state = if host.reached { "reached" } else { "NOT REACHED" };
    Some(format!("{place} {state}: {}", clean(trouble)))
}

/// Microseconds as milliseconds, to three digits.
fn milliseconds(us: u32) -> String {
    let ms = f64::from(us) / 1000.0;
    match us {
        0..10_000 => format!("{ms:.2}"),
        10_000..100_000 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// A number in at most four characters: 1234, 56k, 1.2M.
fn scaled(number: u64) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut unit = 1;
    for letter in ['k', 'M', 'G', 'T', 'P', 'E'] {
        unit *= 1000;
        let (whole, tenth) = (number / unit, number % unit / (unit / 10));
        match whole {
            0..10 => return format!("{whole}.{tenth}{letter}"),
            10..1000 => return format!("{whole}{letter}"),
            _ => {}
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use control::State;

    use super::*;

    fn link() -> LinkInfo {
        LinkInfo {
            worker: 63,
            node: 25_021_001,
            transport: "udp".to_owned(),
            address: "203.0.113.211:54000".parse().unwrap(),
            heard: true,
            rtt_us: Some(123_456),
            jitter_us: Some(12_345),
            loss_out_percent: Some(10.25),
            loss_in_percent: Some(0.0),
            datagrams_out: 1_234_567,
            datagrams_in: 9999,
            bytes_out: 99_999_999,
            bytes_in: 1_200,
        }
    }

    fn info() -> HostsInfo {
        let own = |worker, state| OwnNodeInfo {
            node: 25_011 + u32::from(worker),
            worker,
            address: "192.0.2.1:54000".parse().ok(),
            state,
        };
        let calls = FarCallsInfo { bursts: 9, lost: 2, concealed: 1, delay_us: 60_000, ..Default::default() };
        let quiet = LinkInfo {
            worker: 0,
            heard: false,
            rtt_us: None,
            jitter_us: None,
            loss_in_percent: None,
            loss_out_percent: None,
            ..link()
        };
        let near = HostInfo {
            host: 25_021,
            hops: 1,
            nodes: 2,
            ranges: 3,
            links: vec![quiet, link()],
            calls: Some(calls),
        };
        let far = HostInfo { host: 25_031, hops: 2, nodes: 1, ranges: 0, links: vec![], calls: None };
        let configured = ConfiguredHost {
            address: "a.test:54000".to_owned(),
            socket: "192.0.2.9:54000".parse().ok(),
            host: None,
            reached: false,
            trouble: Some("nobody has answered from there".to_owned()),
        };
        let well = ConfiguredHost { reached: true, trouble: None, ..configured.clone() };
        HostsInfo {
            host: 25_011,
            nodes: vec![own(0, Some(State::Ready)), own(1, None)],
            hosts: vec![near, far],
            configured: vec![configured, well],
        }
    }

    #[test]
    fn all_is_said_within_a_hundred_columns() {
        let lines = lines(&info());
        let expected = [
            "this host 25011",
            "  worker node     address",
            "  0      25011    udp 192.0.2.1:54000       ready",
            "  1      25012    udp 192.0.2.1:54000       -",
            "host 25021, 1 hop away, nodes: 2, talkgroup ranges wanted: 3",
            "  worker node     way                       heard rtt/jitter ms lost % out/in sent       received",
            "  0      25021001 udp 203.0.113.211:54000   no    -/-           -/-           1.2M 99MB  9999 1200B",
            "  63     25021001 udp 203.0.113.211:54000   yes   123/12.3      10.25/0.00    1.2M 99MB  9999 1200B",
            "  bursts 9, lost 2, concealed 1, late 0, doubled 0; held back 60.0 ms, jitter 0.00 ms",
            "host 25031, 2 hops away, nodes: 1, talkgroup ranges wanted: 0",
            "a.test:54000 (192.0.2.9:54000) NOT REACHED: nobody has answered from there",
        ];
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| line.len() <= 100), "{lines:#?}");
    }

    #[test]
    fn that_there_are_none_is_said() {
        let mut none = HostsInfo { hosts: vec![], ..info() };
        let said = lines(&none);
        assert!(said[4] == "no other host is reached" && said[5].contains("NOT REACHED"), "{said:?}");
        none.configured.clear();
        assert!(lines(&none)[4].contains("none is configured ([[hosts]])"));
    }

    #[test]
    fn numbers_are_short() {
        let short = [0, 9999, 10_000, 1_250_000, 999_999_999, u64::MAX].map(scaled);
        assert_eq!(short, ["0", "9999", "10k", "1.2M", "999M", "18E"]);
        assert_eq!([12, 9_999, 99_940, 123_456].map(milliseconds), ["0.01", "10.00", "99.9", "123"]);
    }
}
