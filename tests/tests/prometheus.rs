//! A real Prometheus finds the workers by itself, and what it reads is well formed.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{Cluster, PASSWORD, Repeater, get, run, text, wait_for};

#[test]
fn metrics_are_well_formed() {
    let cluster = Cluster::start(2, "");
    assert!(Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "").log_in());
    let address = cluster.status().metrics.unwrap();
    let metrics = get(&address, "/metrics").unwrap();
    let checked = run(Command::new("promtool").args(["check", "metrics"]), &metrics);
    assert!(checked.status.success() && text(&checked).is_empty(), "{}", text(&checked));
    let lines: Vec<&str> = metrics.lines().filter(|line| line.starts_with("bm_contexts{")).collect();
    assert_eq!(lines.len(), 2, "{metrics}");
    let one = get(&address, "/metrics/worker/1").unwrap();
    assert!(one.contains("worker=\"1\"") && !one.contains("worker=\"0\""), "{one}");
}

#[test]
fn prometheus_scrapes_each_worker() {
    let cluster = Cluster::start(2, "");
    let metrics = cluster.status().metrics.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "scrape_configs:\n- job_name: bmctl\n  honor_labels: true\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
             http_sd_configs:\n  - url: http://{metrics}/sd\n    refresh_interval: 200ms\n"
        ),
    )
    .unwrap();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={listen}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let query = "/api/v1/query?query=bm_worker_up";
    let answer = wait_for("both workers in Prometheus", || {
        let answer: Value = serde_json::from_str(&get(&listen.to_string(), query)?).ok()?;
        let found = answer["data"]["result"].as_array()?.clone();
        (found.len() == 2).then_some(found)
    });
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    for result in answer {
        assert_eq!(result["value"][1], "1", "{result}");
        assert!(["0", "1"].contains(&result["metric"]["worker"].as_str().unwrap()), "{result}");
    }
}
