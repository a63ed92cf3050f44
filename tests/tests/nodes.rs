//! Hosts that are joined, as `bmctl nodes`, the metrics and the events of each tell of the other, with real processes.

use std::process::Command;

use control::{HostsInfo, LinkInfo, State};
use events::{Event, Record};
use nix::sys::signal::Signal;
use tests::site::Site;
use tests::{Cluster, get, run, signal, text, wait_for};

/// A cluster with nodes from `first` on, that looks for other hosts at these addresses.
fn cluster(site: &Site, first: u32, workers: usize, hosts: &[String]) -> Cluster {
    let hosts = hosts.iter().map(|address| format!("[[hosts]]\naddress = \"{address}\"\n"));
    let cluster = format!("[cluster]\nnodes = \"{first}-{}\"\n", first + 3);
    Cluster::start(workers, &[cluster, site.table("54000-54003"), hosts.collect()].concat())
}

fn nodes(cluster: &Cluster) -> HostsInfo {
    let output = cluster.bmctl(&["nodes", "--json"], "");
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How a worker speaks with a node, once that was measured.
fn link(info: &HostsInfo, worker: u16, node: u32) -> Option<LinkInfo> {
    let mut links = info.hosts.iter().flat_map(|host| &host.links);
    let link = links.find(|link| (link.worker, link.node) == (worker, node))?;
    (link.heard && link.rtt_us.is_some_and(|us| us > 0)).then(|| link.clone())
}

/// The next event of these.
fn next(events: &mut control::Lines, is: impl Fn(&Event) -> bool) -> Event {
    let records = events.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Record>(&line).ok());
    records.map(|record| record.event).find(is).expect("the services are there")
}

#[test]
fn hosts_that_are_joined_list_each_other_until_one_is_gone() {
    let (here, there) = (Site::new(), Site::new());
    let far = cluster(&there, 25_021, 2, &[]);
    let mut events = control::events(&far.paths(), tests::HANG).unwrap();
    let near = cluster(&here, 25_011, 2, &[there.address(0).to_string()]);
    let all_links = |cluster: &Cluster, first: u32| {
        let info = nodes(cluster);
        let mut links = (0..2).flat_map(|worker| [(worker, first), (worker, first + 1)]);
        links.all(|(worker, node)| link(&info, worker, node).is_some()).then_some(info)
    };
    let info = wait_for("the one that was looked for", || all_links(&near, 25_021));
    let [host] = &info.hosts[..] else { panic!("one host: {info:?}") };
    assert_eq!((info.host, host.host, host.hops, host.nodes), (25_011, 25_021, 1, 2));
    let own: Vec<_> = info.nodes.iter().map(|own| (own.node, own.address, own.state)).collect();
    let ready = Some(State::Ready);
    assert_eq!(own, [(25_011, Some(here.address(0)), ready), (25_012, Some(here.address(1)), ready)]);
    let [configured] = &info.configured[..] else { panic!("{info:?}") };
    assert_eq!(
        (configured.socket, configured.host, configured.reached, configured.trouble.as_deref()),
        (Some(there.address(0)), Some(25_021), true, None)
    );
    assert_eq!(link(&info, 1, 25_022).unwrap().address, there.address(1));
    let info = wait_for("the one that was found", || all_links(&far, 25_011));
    assert_eq!((info.host, info.hosts[0].host, info.configured.len()), (25_021, 25_011, 0));
    let is_of_host = |event: &Event| matches!(event, Event::HostReached { .. } | Event::HostGone { .. });
    assert_eq!(next(&mut events, is_of_host), Event::HostReached { host_id: 25_011, hops: 1 });

    let said = text(&near.bmctl(&["nodes"], ""));
    assert!(said.starts_with("this host 25011\n") && said.contains("\nhost 25021, 1 hop away, "), "{said}");
    assert!(said.lines().all(|line| line.len() <= 100) && !said.contains("NOT REACHED"), "{said}");
    let metrics = get(&near.status().metrics.unwrap(), "/metrics").unwrap();
    let checked = run(Command::new("promtool").args(["check", "metrics"]), &metrics);
    assert!(checked.status.success() && text(&checked).is_empty(), "{}", text(&checked));
    let rtt = |worker| format!("bm_host_rtt_seconds{{worker=\"{worker}\",host=\"25021\"}} 0.");
    assert!(metrics.contains(&rtt(0)) && metrics.contains(&rtt(1)), "{metrics}");

    // Another process in the place of a worker counts what it sends from its own start.
    let before = wait_for("some talk", || {
        link(&nodes(&near), 0, 25_021).map(|link| link.datagrams_out).filter(|sent| *sent > 15)
    });
    signal(i32::try_from(near.status().workers[0].pid.unwrap()).unwrap(), Signal::SIGKILL);
    near.wait_until("the replacement", |status| {
        (status.workers[0].restarts, status.workers[0].state) == (1, State::Ready)
    });
    wait_for("it to be listed", || link(&nodes(&near), 0, 25_021).filter(|link| link.datagrams_out < before));
    assert_eq!(nodes(&far).hosts.len(), 1, "its sibling was there all the time");

    drop(near);
    let info = wait_for("its end", || Some(nodes(&far)).filter(|info| info.hosts.is_empty()));
    assert_eq!(info.nodes.len(), 2);
    assert_eq!(next(&mut events, is_of_host), Event::HostGone { host_id: 25_011 });
    let said = text(&far.bmctl(&["nodes"], ""));
    assert!(said.ends_with(
        "no other host is reached: none is configured ([[hosts]]), and none has found this one\n"
    ));
}

#[test]
fn a_host_that_is_not_reached_is_listed_with_why() {
    let (here, there) = (Site::new(), Site::new());
    let hosts = [here.address(0), there.address(0)].map(|address| address.to_string());
    let lost = "nowhere.invalid:54000".to_owned();
    let cluster = cluster(&here, 25_011, 1, &[&hosts[..], &[lost]].concat());
    let info = wait_for("the name to be looked up", || {
        let info = nodes(&cluster);
        info.configured[2].trouble.as_ref().is_some_and(|why| why.starts_with("the name ")).then_some(info)
    });
    let reached: Vec<_> = info.configured.iter().map(|host| (host.host, host.reached)).collect();
    assert_eq!(
        reached,
        [(Some(25_011), true), (None, false), (None, false)],
        "the first is this host itself"
    );
    let said = text(&cluster.bmctl(&["nodes"], ""));
    let expected = format!(
        "no other host is reached\n{} NOT REACHED: nobody has answered from there: is the host up,",
        there.address(0)
    );
    assert!(
        said.contains(&expected) && said.contains("\nnowhere.invalid:54000 NOT REACHED: the name "),
        "{said}"
    );
}

#[test]
fn a_host_on_its_own_says_so_and_what_to_do() {
    let cluster = Cluster::start(1, "");
    for args in [&["nodes"][..], &["nodes", "--json"]] {
        let output = cluster.bmctl(args, "");
        let expected = "the configuration file has no [stacks.fastforward]; add it, with a key_file";
        assert!(output.status.code() == Some(1) && text(&output).contains(expected), "{}", text(&output));
    }
}
