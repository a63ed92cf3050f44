//! What a cluster says of its calls: events and counters.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use scenario::{Reason, Refusal, Told};
use serde_json::Value;
use sys::Clocks;

use crate::{Cluster, HANG};

/// Of each reason for a drop, as [`Told::dropped`] has them.
const DROPPED: [&str; 4] =
    ["bm_frames_late_total", "bm_frames_duplicate_total", "bm_frames_too_fast_total", "bm_data_busy_total"];

/// Events since the cluster started, and what was counted before the scenario.
pub(super) struct Watch {
    events: Receiver<(Clocks, String)>,
    metrics: String,
    before: [u32; 4],
}

impl Watch {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let (sender, events) = mpsc::channel();
        let lines = control::events(&cluster.paths(), HANG).unwrap();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send((Clocks::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self { events, metrics: cluster.status().metrics.unwrap(), before: [0; 4] }
    }

    /// What was before is of no interest.
    pub(super) fn begin(&mut self) {
        while self.events.try_recv().is_ok() {}
        self.before = self.dropped();
    }

    /// What was said and counted since.
    pub(super) fn end(&self, began: Clocks) -> Told {
        let mut told = Told::default();
        for (at, event) in self.events.try_iter() {
            let event: Value = serde_json::from_str(&event).unwrap();
            let radio = event["SourceID"].as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            match event["Event"].as_str() {
                Some("Session-Refused") => {
                    let word = text("Reason");
                    let reason = Reason::ALL.iter().find(|(_, _, name)| *name == word);
                    let (reason, ..) = reason.unwrap_or_else(|| panic!("an unknown reason: {event}"));
                    let at = Duration::from_micros(at.mono_us.saturating_sub(began.mono_us));
                    told.refused.push(Refusal { at, session: text("SessionID"), radio, reason: *reason });
                }
                Some("Talker-Alias") => told.aliases.push((radio, text("TalkerAlias"))),
                _ => {}
            }
        }
        let after = self.dropped();
        told.dropped = std::array::from_fn(|i| after[i] - self.before[i]);
        told
    }

    /// The counters of all workers.
    fn dropped(&self) -> [u32; 4] {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.metrics).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        DROPPED.map(|name| {
            let of_name = answer.lines().filter(|line| line.split('{').next() == Some(name));
            of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u32
        })
    }
}
