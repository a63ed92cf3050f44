//! The ports of FastForward, with real processes: bound for each worker there is, handed from one process of a slot to the next
//! with all that waits in them, freed with the slot, and refused where they cannot be had.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use control::State;
use nix::sys::signal::Signal;
use tests::site::{KEY, Site};
use tests::{Cluster, bmctl, install, installed, run, signal, text, wait_for};

fn pid(cluster: &Cluster, slot: usize) -> u32 {
    cluster.status().workers[slot].pid.unwrap()
}

/// Each worker has the socket of its slot, and none of another.
fn each_has_its_own(cluster: &Cluster, site: &Site, workers: u16) {
    let status = cluster.status();
    assert_eq!(status.workers.len(), usize::from(workers));
    for (slot, worker) in (0..workers).zip(&status.workers) {
        let held: Vec<u16> =
            (0..workers).filter(|other| site.is_held_by(*other, worker.pid.unwrap())).collect();
        assert_eq!(held, [slot]);
    }
}

fn done(cluster: &Cluster, args: &[&str]) -> String {
    let output = cluster.bmctl(args, "");
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

#[test]
fn each_worker_has_a_port_which_outlives_it_with_what_waits_there() {
    let site = Site::new();
    let cluster = Cluster::start(2, &site.table("54000-54003"));
    let said = format!("  fastforward on udp {} ports 54000, 54001", site.ip);
    assert!(cluster.said.contains(&said), "{:?}", cluster.said);
    assert_eq!(site.bound(), [0, 1]);
    each_has_its_own(&cluster, &site, 2);
    let (inode, _) = site.socket(1);
    let victim = pid(&cluster, 1);
    // One that stands still reads nothing: what comes then is there for whoever comes after it.
    signal(i32::try_from(victim).unwrap(), Signal::SIGSTOP);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (before, _) = (site.socket(1).1, sender.send_to(b"a datagram", site.address(1)).unwrap());
    assert!(site.socket(1).1 > before);
    signal(i32::try_from(victim).unwrap(), Signal::SIGKILL);
    cluster.wait_until("the replacement", |status| {
        (status.workers[1].restarts, status.workers[1].state) == (1, State::Ready)
    });
    assert_eq!(site.socket(1).0, inode, "the same socket");
    each_has_its_own(&cluster, &site, 2);
    done(&cluster, &["restart", "0"]);
    each_has_its_own(&cluster, &site, 2);
}

#[test]
fn a_port_comes_and_goes_with_its_worker() {
    let site = Site::new();
    let cluster = Cluster::start(1, &site.table("54000-54002"));
    done(&cluster, &["scale", "3"]);
    assert_eq!(site.bound(), [0, 1, 2]);
    each_has_its_own(&cluster, &site, 3);
    let refused = text(&cluster.bmctl(&["scale", "4"], ""));
    let expected = "4 workers need 4 ports, stacks.fastforward.ports has 3: start fewer workers, or add ports there and start \
                    the cluster anew";
    assert!(refused.contains(expected), "{refused}");
    done(&cluster, &["drain", "1"]);
    assert_eq!(site.bound(), [0, 1, 2], "one that is drained comes back");
    done(&cluster, &["restart", "1"]);
    done(&cluster, &["scale", "1"]);
    assert_eq!(site.bound(), [0]);
    // Somebody else has the last one: nothing is changed.
    let other = UdpSocket::bind(site.address(2)).unwrap();
    let children = cluster.children();
    let output = cluster.bmctl(&["scale", "3"], "");
    let expected =
        format!("stacks.fastforward.ports: cannot listen on {}: Address already in use", site.address(2));
    assert!(output.status.code() == Some(1) && text(&output).contains(&expected), "{}", text(&output));
    assert_eq!((site.bound(), cluster.children()), (vec![0, 2], children));
    drop(other);
    done(&cluster, &["scale", "3"]);
    each_has_its_own(&cluster, &site, 3);
}

#[test]
fn a_stacks_own_worker_has_a_port_too() {
    let site = Site::new();
    let cluster = Cluster::start(1, &format!("workers = \"own\"\n{}", site.table("54000-54001")));
    each_has_its_own(&cluster, &site, 2);
    let file = cluster.config_file();
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, before.replace("workers = \"own\"", "workers = \"all\"")).unwrap();
    done(&cluster, &["reload"]);
    assert_eq!(site.bound(), [0]);
    let other = UdpSocket::bind(site.address(1)).unwrap();
    fs::write(&file, &before).unwrap();
    let output = cluster.bmctl(&["reload"], "");
    assert!(
        output.status.code() == Some(1) && text(&output).contains("cannot listen on"),
        "{}",
        text(&output)
    );
    assert_eq!((cluster.status().workers.len(), site.bound()), (1, vec![0, 1]));
    drop(other);
    done(&cluster, &["reload"]);
    each_has_its_own(&cluster, &site, 2);
}

#[test]
fn a_third_partys_worker_has_a_port_too() {
    let (site, program) = (Site::new(), env!("CARGO_BIN_EXE_echo-worker"));
    let echo =
        format!("[stacks.echo]\nprogram = \"{program}\"\nlisten = \"127.0.0.1:0\"\noptions.prefix = \"\"\n");
    let cluster = Cluster::start(1, &[echo, site.table("54000-54001")].concat());
    each_has_its_own(&cluster, &site, 2);
    done(&cluster, &["restart", "1"]);
    each_has_its_own(&cluster, &site, 2);
}

#[test]
fn an_upgrade_keeps_the_ports() {
    let (site, programs) = (Site::new(), installed());
    let program = programs.path().join("bmctl");
    let cluster = Cluster::start_program(&program, 2, &site.table("54000-54003"), |command| command);
    let sockets = [site.socket(0).0, site.socket(1).0];
    let first = pid(&cluster, 0);
    for name in ["bmctl", "bm-worker", "bm-services"] {
        install(&bmctl().with_file_name(name), &programs.path().join(name));
    }
    done(&cluster, &["upgrade"]);
    assert_ne!(pid(&cluster, 0), first);
    assert_eq!([site.socket(0).0, site.socket(1).0], sockets);
    each_has_its_own(&cluster, &site, 2);
    // One that is undone leaves them with those that were there before.
    install(Path::new("/bin/false"), &programs.path().join("bm-worker"));
    let output = cluster.bmctl(&["upgrade"], "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    cluster.wait_until("all to be well", |status| status.workers.iter().all(|it| it.state == State::Ready));
    assert_eq!([site.socket(0).0, site.socket(1).0], sockets);
    each_has_its_own(&cluster, &site, 2);
    done(&cluster, &["scale", "3"]);
    each_has_its_own(&cluster, &site, 3);
}

#[test]
fn keys_and_hosts_change_while_the_cluster_runs_and_ports_do_not() {
    let site = Site::new();
    let cluster = Cluster::start(2, &site.table("54000-54003"));
    let (file, inode) = (cluster.config_file(), site.socket(1).0);
    let before = fs::read_to_string(&file).unwrap();
    let other = KEY.replace("00", "31");
    site.write_keys(&format!("{other}\n{KEY}\n"));
    fs::write(&file, format!("{before}\n[[hosts]]\naddress = \"192.0.2.7:54000\"\n")).unwrap();
    let said = done(&cluster, &["reload"]);
    assert!(said.contains("stacks.fastforward.keys: others"), "{said}");
    assert!(said.contains("hosts: [] -> [\"192.0.2.7:54000\"]") && !said.contains("3111"), "{said}");
    assert!(said.ends_with("all processes replaced\n"), "{said}");
    assert_eq!(site.socket(1).0, inode);
    each_has_its_own(&cluster, &site, 2);
    site.write_keys("none\n");
    let said = text(&cluster.bmctl(&["reload"], ""));
    assert!(said.contains("fastforward.key: line 1: no key; a key is a line of 64 hex digits"), "{said}");
    site.write_keys(KEY);
    fs::write(&file, before.replace("54000-54003", "54000-54004")).unwrap();
    let said = text(&cluster.bmctl(&["reload"], ""));
    assert!(said.contains("stacks.fastforward.ports cannot change while the cluster runs"), "{said}");
}

/// What a start, or a check, says that fails.
fn refused(args: &[&str], file: &Path, dir: &Path) -> String {
    let mut command = std::process::Command::new(bmctl());
    command.args(args).arg("--config").arg(file).arg("--runtime-dir").arg(dir.join("run"));
    let output = run(&mut command, "");
    assert!(!output.status.success(), "{}", text(&output));
    text(&output)
}

#[test]
fn a_port_that_another_has_is_refused_before_anything_runs() {
    let site = Site::new();
    let (dir, file) = (site.dir(), site.dir().join("bmctl.toml"));
    let write = |mmdvm: &str, more: &str| {
        let listen = format!("[metrics]\nlisten = \"127.0.0.1:0\"\n[stacks.mmdvm]\nlisten = \"{mmdvm}\"\n");
        fs::write(&file, [&listen, more].concat()).unwrap();
    };
    write("0.0.0.0:54001", &site.table("54000-54003"));
    for args in [&["check"][..], &["start"]] {
        let said = refused(args, &file, dir);
        let expected = "line 7: stacks.fastforward.ports: stacks.mmdvm listens on 0.0.0.0:54001: give each stack ports of its own";
        assert!(said.contains(expected), "{said}");
    }
    write("127.0.0.1:0", &site.table("54000-54003"));
    let other = UdpSocket::bind(site.address(0)).unwrap();
    let said = refused(&["start", "--workers", "2"], &file, dir);
    let expected =
        format!("stacks.fastforward.ports: cannot listen on {}: Address already in use", site.address(0));
    assert!(said.contains(&expected), "{said}");
    drop(other);
    let said = refused(&["start", "--workers", "5"], &file, dir);
    assert!(said.contains("5 workers need 5 ports, stacks.fastforward.ports has 4"), "{said}");
    fs::set_permissions(site.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused(&["check"], &file, dir);
    assert!(said.contains("everybody can read it (mode 644); make it `chmod 600`"), "{said}");
    wait_for("all to be free", || site.bound().is_empty().then_some(()));
}
