//! The first proof for a user: one call from one worker to another, and one to the parrot, told in words.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use dmr::AMBE_LEN;
use serde::Serialize;
use sys::Clocks;

use crate::Error;
use crate::client::{Client, options};
use crate::fleet::{Fleet, allow_files};
use crate::judge::{Judge, Listener};
use crate::run::talk;
use crate::traffic::{AT_FLAGS, Call, Part, Plan, Seed, bursts_in, payload_of};

/// ID of the first repeater; the others follow.
const FIRST_ID: u32 = 2_501_001;
/// Radio ID of the talker.
const SOURCE: u32 = 2_590_001;
const TALKGROUP: u32 = 91;
const PARROT: u32 = 9_990;
const CALL_SECONDS: u32 = 3;
/// How many repeaters are tried until two are at different workers.
const MAX_ATTEMPTS: usize = 64;
/// How long it may take until it is known which worker serves a repeater.
const PLACE_PATIENCE_US: u64 = 5_000_000;
/// Time between two questions for that.
const PLACE_PAUSE_US: u64 = 20_000;
const DRAIN_US: u64 = 500_000;
/// When the parrot has to begin, after the end of the call.
const PARROT_STARTS_US: u64 = 1_500_000;
/// The longest pause between two bursts of the parrot.
const PARROT_PAUSE_US: u64 = 1_000_000;

/// Where a repeater is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The worker's number.
    pub worker: usize,
    /// Its node ID.
    pub node: u32,
}

/// What happened, in sentences.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Story {
    /// One after another.
    pub sentences: Vec<String>,
    /// Whether all was as it should be.
    pub success: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (node {})", self.worker, self.node)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))
    }
}

/// Says which worker serves the repeater with this ID; `None` where it is not known yet.
pub type WhereIs<'a> = &'a mut dyn FnMut(u32) -> Result<Option<Place>, String>;

/// Logs in two repeaters, at different workers where there are `workers` > 1, calls from one to the other,
/// and calls the parrot.
///
/// # Errors Where there is no story: no server, a login refused, nobody who knows where a repeater is, a
/// system call that failed. A call that goes wrong is a story without success.
pub fn demo(
    server: SocketAddr,
    password: &str,
    workers: usize,
    where_is: WhereIs<'_>,
) -> Result<Story, Error> {
    allow_files(2 * MAX_ATTEMPTS)?;
    let mut demo = Demo {
        fleet: Fleet::new(server)?,
        password: password.into(),
        where_is,
        story: Story { sentences: Vec::new(), success: true },
    };
    let (first, from) = demo.find(|place| place.worker == 0 || workers < 2)?;
    demo.say(true, format!("Repeater {} logged in at {from}.", demo.id(first)));
    let (second, to) = demo.find(|place| place.worker != from.worker || workers < 2)?;
    demo.say(true, format!("Repeater {} logged in at {to}.", demo.id(second)));
    demo.call(first, second)?;
    match (workers, from.worker == to.worker) {
        (_, false) => {
            let sentence = format!("The call crossed from worker {} to worker {}.", from.worker, to.worker);
            demo.say(true, sentence);
        }
        (0 | 1, true) => demo.say(true, "There is one worker, so the call stayed within it.".into()),
        (_, true) => {
            let tried = demo.fleet.clients().count();
            demo.say(false, format!("{tried} repeaters all came to worker {}.", to.worker));
        }
    }
    demo.parrot(first)?;
    demo.fleet.close();
    Ok(demo.story)
}

struct Demo<'a> {
    fleet: Fleet,
    password: Arc<str>,
    where_is: WhereIs<'a>,
    story: Story,
}

impl Demo<'_> {
    fn say(&mut self, good: bool, sentence: String) {
        self.story.sentences.push(sentence);
        self.story.success &= good;
    }

    /// Logs in one more repeater, from a port of its own, and learns where it is.
    fn log_in(&mut self, id: u32) -> Result<Place, Error> {
        let client = Client::new(id, self.password.clone(), options(&[], &[TALKGROUP]));
        let index = self.fleet.add(client)?;
        self.fleet.log_in(index, &mut |_, _, _| {})?;
        let patience_us = Clocks::now().mono_us + PLACE_PATIENCE_US;
        loop {
            let found = (self.where_is)(id).map_err(|reason| Error::Place { id, reason })?;
            if let Some(place) = found {
                return Ok(place);
            }
            let now_us = Clocks::now().mono_us;
            if now_us >= patience_us {
                return Err(Error::Place { id, reason: "nobody has heard of it".into() });
            }
            self.fleet.serve(now_us + PLACE_PAUSE_US, &mut |_, _, _| {})?;
        }
    }

    fn id(&self, index: usize) -> u32 {
        self.fleet.client(index).id()
    }

    /// Logs in repeaters until one is where it is wanted; those before it say goodbye. Which worker a repeater
    /// comes to depends on its port. Returns the last one's number and place.
    fn find(&mut self, wanted: impl Fn(&Place) -> bool) -> Result<(usize, Place), Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let index = self.fleet.clients().count();
            // A new ID each time: nobody can be told where the one before was.
            let place = self.log_in(FIRST_ID + u32::try_from(index).unwrap_or(0))?;
            if wanted(&place) || attempt == MAX_ATTEMPTS {
                return Ok((index, place));
            }
            self.fleet.close_one(index);
        }
    }

    fn call(&mut self, first: usize, second: usize) -> Result<(), Error> {
        let calls = [plan(0, self.id(first), TALKGROUP, true)];
        let listeners: Vec<Listener> = self.fleet.clients().map(listener).collect();
        let mut judge = Judge::new(&calls, &listeners);
        let pace = talk(&mut self.fleet, &mut judge, &[first], &calls)?;
        let until_us = Clocks::now().mono_us + DRAIN_US;
        self.fleet.serve(until_us, &mut |i, bytes, at_us| judge.received(i, bytes, at_us))?;
        let (counts, latency) = (judge.counts(), judge.latency());
        let id = listeners[second].id;
        let mut sentence = format!(
            "Called talkgroup {TALKGROUP}: {} bursts sent, {} heard by {id}, {} lost, p50 {} us, \
             p99 {} us.",
            pace.sent, counts.delivered, counts.lost, latency.p50_us, latency.p99_us
        );
        let wrong = [
            (counts.reordered, "came out of order"),
            (counts.duplicated, "came twice"),
            (counts.stray, "came where they should not"),
            (counts.altered, "came altered"),
        ];
        for (count, what) in wrong.into_iter().filter(|(count, _)| *count > 0) {
            sentence.push_str(&format!(" {count} {what}."));
        }
        self.say(pace.unsent == 0 && counts.is_clean(), sentence);
        Ok(())
    }

    /// A repeater calls the parrot, on the slot on which nobody has spoken yet.
    fn parrot(&mut self, caller: usize) -> Result<(), Error> {
        let calls = [plan(1, self.id(caller), PARROT, false)];
        let mut judge = Judge::new(&calls, &[]);
        talk(&mut self.fleet, &mut judge, &[caller], &calls)?;
        let end = Clocks::now();
        let mut answer = Answer::default();
        while !answer.is_over(end.mono_us, Clocks::now().mono_us) {
            let until_us = Clocks::now().mono_us + PLACE_PAUSE_US;
            self.fleet.serve(until_us, &mut |i, bytes, at_us| {
                if i == caller && at_us >= end.wall_us {
                    answer.take(bytes, at_us - end.wall_us);
                }
            })?;
        }
        let (good, sentence) = answer.judge(&calls[0]);
        self.say(good, sentence);
        Ok(())
    }
}

fn plan(number: u32, repeater: u32, talkgroup: u32, ts2: bool) -> Call {
    let bursts = bursts_in(CALL_SECONDS);
    Call::new(
        Plan { number, repeater, source: SOURCE, talkgroup, ts2, bursts },
        &mut Seed(Clocks::now().wall_us),
    )
}

/// A repeater that said goodbye listens to nothing.
fn listener(client: &Client) -> Listener {
    Listener { id: client.id(), talkgroup: if client.is_running() { TALKGROUP } else { 0 } }
}

/// What the parrot says. Times are microseconds since the end of the call.
#[derive(Default)]
struct Answer {
    payloads: Vec<[u8; AMBE_LEN]>,
    first_us: Option<u64>,
    last_us: u64,
    ended: bool,
}

impl Answer {
    fn take(&mut self, bytes: &[u8], at_us: u64) {
        self.first_us.get_or_insert(at_us);
        self.last_us = at_us;
        match bytes.get(AT_FLAGS).and_then(|flags| Part::of(*flags)) {
            Some(Part::Voice) => self.payloads.extend(payload_of(bytes)),
            Some(Part::Terminator) => self.ended = true,
            _ => {}
        }
    }

    fn is_over(&self, end_us: u64, now_us: u64) -> bool {
        let since_us = now_us.saturating_sub(end_us);
        let patience_us = self.first_us.map_or(PARROT_STARTS_US, |_| self.last_us + PARROT_PAUSE_US);
        self.ended || since_us > patience_us.min(u64::from(CALL_SECONDS) * 3_000_000)
    }

    fn judge(&self, call: &Call) -> (bool, String) {
        let Some(first_us) = self.first_us else {
            return (
                false,
                format!("The parrot ({PARROT}) did not answer within {} s.", seconds(PARROT_STARTS_US)),
            );
        };
        let said = call.payloads().count();
        let same = call.payloads().zip(&self.payloads).filter(|(said, heard)| said == *heard).count();
        let after = seconds(first_us);
        if same == said && self.payloads.len() == said && first_us <= PARROT_STARTS_US {
            return (
                true,
                format!("The parrot ({PARROT}) answered after {after} s with all {said} voice bursts."),
            );
        }
        let heard = self.payloads.len();
        let text = format!(
            "The parrot ({PARROT}) answered after {after} s with {heard} voice bursts, of which {same} are the \
             {said} that were said."
        );
        (false, text)
    }
}

fn seconds(us: u64) -> String {
    format!("{:.1}", us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(datagrams: impl Iterator<Item = [u8; 55]>, first_us: u64) -> (bool, String) {
        let mut answer = Answer::default();
        for (datagram, index) in datagrams.zip(0..) {
            assert!(!answer.is_over(0, first_us + index * 60_000));
            answer.take(&datagram, first_us + index * 60_000);
        }
        assert!(answer.is_over(0, first_us + 10_000_000));
        answer.judge(&plan(1, FIRST_ID, PARROT, false))
    }

    #[test]
    fn a_good_parrot_is_praised() {
        let call = plan(1, FIRST_ID, PARROT, false);
        let (good, text) = answered(call.datagrams().iter().copied(), 1_000_000);
        assert_eq!(
            (good, text.as_str()),
            (true, "The parrot (9990) answered after 1.0 s with all 48 voice bursts.")
        );
    }

    #[test]
    fn a_bad_parrot_is_told() {
        let call = plan(1, FIRST_ID, PARROT, false);
        let all = || call.datagrams().iter().copied();
        assert_eq!(
            answered(std::iter::empty(), 0),
            (false, "The parrot (9990) did not answer within 1.5 s.".into())
        );
        let (good, text) = answered(all().skip(10), 500_000);
        assert!(!good && text.contains("39 voice bursts, of which 0 are the 48"), "{text}");
        let (good, text) = answered(all().take(20), 500_000);
        assert!(!good && text.contains("19 voice bursts, of which 19 are the 48"), "{text}");
        let mut answer = Answer::default();
        all().for_each(|datagram| answer.take(&datagram, 1_600_000));
        assert!(!answer.judge(&call).0, "too late");
    }
}
