//! A stack under observation: each output is held against what was promised of it, and each record against what was announced.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dmr::BurstKind;
use stack::{Answer, Datagram, Frame, Input, MAX_BLOCKED, MAX_DATAGRAM, MAX_RECORD, MAX_TALKGROUPS};
use stack::{Now, Output, Profile, Stack, Time};

use crate::{Subject, Talk};

/// A stack wakes no more often than this in an hour in which nobody says anything, a hundred times a second.
const MAX_WAKES: usize = 360_000;

/// So many bytes of an input are shown.
const SHOWN: usize = 96;

/// Whence an input came, and how long it was, where it is a datagram.
#[derive(Clone, Copy, Default)]
struct Cause {
    from: Option<SocketAddr>,
    len: Option<usize>,
}

pub(crate) struct Witness {
    pub(crate) now: Now,
    pub(crate) capacity: u16,
    /// What is up.
    pub(crate) up: BTreeMap<u16, Profile>,
    /// As they would be written down now.
    pub(crate) records: Vec<Option<Vec<u8>>>,
    /// All outputs as text, where that is asked for.
    pub(crate) transcript: Option<Vec<String>>,
    pub(crate) converse: fn(&mut Talk<'_>),
    pub(crate) longest: usize,
    make: fn(u16, &[SocketAddr]) -> Box<dyn Stack>,
    amplifies_by: usize,
    stack: Box<dyn Stack>,
    listen: Vec<SocketAddr>,
    /// Where contexts are reached, as far as that has shown.
    reached: BTreeMap<u16, SocketAddr>,
    /// The last input, in words.
    last: String,
    /// What is tested.
    of: String,
}

impl Witness {
    /// A new stack.
    pub(crate) fn new(subject: &Subject, capacity: u16, of: impl Into<String>) -> Self {
        let listen = vec![SocketAddr::from(([0; 4], 4711)), SocketAddr::from(([0u16; 8], 4711))];
        let Subject { longest, amplifies_by, make, converse } = *subject;
        Self {
            now: Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 },
            capacity,
            up: BTreeMap::new(),
            records: vec![None; capacity.into()],
            transcript: None,
            converse,
            longest,
            make,
            amplifies_by,
            stack: make(capacity, &listen),
            listen,
            reached: BTreeMap::new(),
            last: "nothing yet".to_owned(),
            of: of.into(),
        }
    }

    /// Another one of the same kind, at the same moment.
    pub(crate) fn another(&self, of: impl Into<String>) -> Self {
        let Self { longest, amplifies_by, make, converse, .. } = *self;
        Self {
            now: self.now,
            ..Self::new(&Subject { longest, amplifies_by, make, converse }, self.capacity, of)
        }
    }

    /// A promise is broken.
    pub(crate) fn fail(&self, promise: &str, came: impl AsRef<str>) -> ! {
        let Self { last, of, now, .. } = self;
        panic!("promised: {promise}\n  came: {}\n  after: {last}\n  at {now:?}, in: {of}", came.as_ref())
    }

    /// Something of the stack is called, and does not panic.
    pub(crate) fn call<R>(&mut self, call: impl FnOnce(&mut dyn Stack) -> R) -> R {
        match catch_unwind(AssertUnwindSafe(|| call(&mut *self.stack))) {
            Ok(result) => result,
            Err(_) => self.fail("a stack never panics", "a panic, whose words are above"),
        }
    }

    /// Something goes in; returns what comes out.
    pub(crate) fn input(&mut self, input: Input<'_>) -> Vec<Output> {
        self.last = describe(&input);
        let cause = match &input {
            Input::Datagram { from, bytes, .. } => Cause { from: Some(*from), len: Some(bytes.len()) },
            Input::Answer(Answer::Login { from, .. }) => Cause { from: Some(*from), len: None },
            _ => Cause::default(),
        };
        let now = self.now;
        self.call(|stack| stack.handle_input(now, input));
        self.take(cause)
    }

    /// A record is restored. True where it was taken; else it is refused.
    pub(crate) fn restore(&mut self, context: u16, bytes: &[u8]) -> bool {
        let now = self.now;
        self.last = format!("restoring context {context} from {}", hex(bytes));
        self.call(|stack| stack.handle_input(now, Input::Restore { context, bytes }));
        let read = self.read_records();
        let row = usize::from(context);
        let is_new =
            self.records.get(row).is_some_and(Option::is_none) && read.get(row).is_some_and(Option::is_some);
        if is_new {
            // It is written down already. One that was damaged may be written in another way now.
            self.records[row].clone_from(&read[row]);
        }
        let outputs = self.take(Cause::default());
        if !is_new && !outputs.iter().any(|output| matches!(output, Output::Refused(_))) {
            self.fail("a record that cannot be restored is refused", format!("no context, and {outputs:?}"));
        }
        if let Some(other) =
            outputs.iter().find(|output| matches!(output, Output::Frame { .. } | Output::Down(_)))
        {
            self.fail("a record that is restored sends no bursts, and ends nothing", format!("{other:?}"));
        }
        is_new
    }

    /// An input of which nothing comes: no context changes, goes or comes, and nobody is sent anything.
    pub(crate) fn must_change_nothing(&mut self, input: Input<'_>, promise: &str) {
        let before = self.records.clone();
        let outputs = self.input(input);
        let is_change = |output: &&Output| !matches!(output, Output::Refused(_) | Output::Notice(_));
        if let Some(output) = outputs.iter().find(is_change) {
            self.fail(promise, format!("{output:?}"));
        }
        if self.records != before {
            self.fail(promise, "another record");
        }
    }

    /// [`Stack::handle_timeout`] is called, due or not.
    pub(crate) fn timeout(&mut self) -> Vec<Output> {
        let now = self.now;
        let due = self.due();
        let before = self.records.clone();
        self.last = format!("handle_timeout, with {due:?} as what poll_timeout gave");
        self.call(|stack| stack.handle_timeout(now));
        let outputs = self.take(Cause::default());
        if due.is_none_or(|at| at > now.mono) && (!outputs.is_empty() || self.records != before) {
            self.fail("nothing is done before it is due", format!("{outputs:?}"));
        }
        match self.due() {
            Some(at) if at <= now.mono => self.fail(
                "after handle_timeout nothing is due at that moment",
                format!("poll_timeout gives {at:?}"),
            ),
            _ => outputs,
        }
    }

    /// Time passes, and what is due is done when it is.
    pub(crate) fn pass(&mut self, by: Duration) -> Vec<Output> {
        let end = self.now.after(by);
        let (mut outputs, mut wakes) = (Vec::new(), 0);
        while let Some(at) = self.due().filter(|at| *at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            outputs.append(&mut self.timeout());
            wakes += 1;
            if wakes > MAX_WAKES {
                self.fail("a stack wakes only when something is due", format!("{wakes} wakes within {by:?}"));
            }
        }
        self.now = end;
        outputs
    }

    /// Time passes in which the worker stands still; what was due is done at its end.
    pub(crate) fn jump(&mut self, by: Duration) -> Vec<Output> {
        self.now = self.now.after(by);
        self.timeout()
    }

    pub(crate) fn due(&mut self) -> Option<Time> {
        self.call(|stack| stack.poll_timeout())
    }

    /// All records as they are, each of which fits the room for it, and into less is not written.
    pub(crate) fn read_records(&mut self) -> Vec<Option<Vec<u8>>> {
        (0..self.capacity)
            .map(|context| {
                let mut out = [0; MAX_RECORD];
                let len = self.call(|stack| stack.encode_record(context, &mut out))?;
                if len == 0 || len > MAX_RECORD {
                    self.fail("a record has 1 to MAX_RECORD bytes", format!("{len}"));
                }
                Some(out[..len].to_vec())
            })
            .collect()
    }

    /// Takes all outputs and holds them against what was promised.
    fn take(&mut self, cause: Cause) -> Vec<Output> {
        let after = self.read_records();
        let rows = (0..).zip(self.records.iter().zip(&after));
        let mut changed: BTreeSet<u16> = rows.filter(|(_, (a, b))| a != b).map(|(row, _)| row).collect();
        let seen = changed.clone();
        let (mut outputs, mut sent) = (Vec::new(), 0);
        // All contexts gone at once, with a few outputs each, and a little more.
        let most = 4 * usize::from(self.capacity) + 16;
        while let Some(output) = self.call(|stack| stack.poll_output()) {
            self.look_at(&output, &mut changed, cause);
            if let Output::Send(datagram) = &output {
                sent += datagram.bytes().len();
            }
            outputs.push(output);
            if outputs.len() > most {
                self.fail("an input has a bounded number of outputs", format!("more than {most}"));
            }
        }
        if let Some(row) = changed.first() {
            self.fail(
                "a record that is another one is announced by Changed",
                format!("none for context {row}"),
            );
        }
        if let Some(row) = self.up.keys().find(|&&row| after[usize::from(row)].is_none()) {
            self.fail("a context that is up has a record", format!("none of context {row}"));
        }
        if let Some(len) = cause.len
            && sent > len + self.amplifies_by
        {
            let Self { amplifies_by, .. } = self;
            let promise = format!("a datagram is answered by at most {amplifies_by} bytes more than it has");
            self.fail(&promise, format!("{sent} bytes to {len}"));
        }
        self.records = after;
        if !outputs.is_empty() && self.read_records() != self.records {
            self.fail("taking outputs changes nothing", "another record");
        }
        seen.into_iter().for_each(|row| self.note_address(row));
        if let Some(transcript) = &mut self.transcript {
            transcript.push(format!("{outputs:?}"));
        }
        outputs
    }

    /// One output, where the records of `changed` are not announced yet.
    fn look_at(&mut self, output: &Output, changed: &mut BTreeSet<u16>, cause: Cause) {
        let first =
            |what: &str| format!("a record is announced by Changed before {what} that follows from it");
        match output {
            Output::Changed(context) => {
                self.is_within(*context);
                changed.remove(context);
            }
            Output::Up { context, profile } => {
                self.is_within(*context);
                if changed.contains(context) {
                    self.fail(&first("the Up"), format!("Up of context {context}, and no Changed before it"));
                }
                self.is_sound_profile(profile);
                self.up.insert(*context, (**profile).clone());
            }
            Output::Down(context) => {
                if self.up.remove(context).is_none() {
                    self.fail("only a context that is up goes down", format!("Down of context {context}"));
                }
            }
            Output::Frame { context, frame, .. } => {
                self.is_within(*context);
                if !self.up.contains_key(context) {
                    let came = format!("a Frame of context {context}, which is not up");
                    self.fail("a context is up before its first Frame, and has none after its Down", came);
                }
                if changed.contains(context) {
                    self.fail(
                        &first("the Frame"),
                        format!("Frame of context {context}, and no Changed before it"),
                    );
                }
                self.is_sound_frame(frame);
            }
            Output::Send(datagram) => {
                self.is_sound_datagram(datagram);
                let to = datagram.envelope.to;
                let is_to = |row: &&u16| cause.from == Some(to) || self.reached.get(*row) == Some(&to);
                if let Some(row) = changed.iter().find(is_to) {
                    self.fail(&first("the Send"), format!("a Send to {to}, and no Changed({row}) before it"));
                }
            }
            Output::Ask(_) | Output::Interrupt { .. } | Output::Refused(_) | Output::Notice(_) => {}
        }
    }

    fn is_within(&self, context: u16) {
        let Self { capacity, .. } = self;
        if context >= *capacity {
            self.fail(
                &format!("contexts count up to the capacity, {capacity}"),
                format!("context {context}"),
            );
        }
    }

    fn is_sound_profile(&self, profile: &Profile) {
        let is_sound = profile.statics.iter().all(|list| list.len() <= MAX_TALKGROUPS)
            && profile.blocked.len() <= MAX_BLOCKED
            && profile.colour_code <= 15
            && profile.dynamic_minutes != Some(0);
        if !is_sound {
            self.fail("a profile keeps to the limits that its fields name", format!("{profile:?}"));
        }
    }

    fn is_sound_frame(&self, frame: &Frame) {
        let is_id = |id: u32| (1..=0xFF_FFFF).contains(&id);
        let is_kind = !matches!(frame.kind, BurstKind::Voice(6..));
        if !(is_id(frame.source) && is_id(frame.destination) && frame.ber <= 141 && is_kind) {
            self.fail("a Frame keeps to the limits that its fields name", format!("{frame:?}"));
        }
    }

    pub(crate) fn is_sound_datagram(&self, datagram: &Datagram) {
        let (len, listener) = (datagram.bytes().len(), datagram.envelope.listener);
        let longest = self.longest.min(MAX_DATAGRAM);
        if len == 0 || len > longest {
            self.fail(
                &format!("a datagram has 1 to {longest} bytes, the longest that is named"),
                format!("{len}"),
            );
        }
        if usize::from(listener) >= self.listen.len() {
            self.fail("datagrams leave from a listen address", format!("listener {listener}"));
        }
    }
}

impl Witness {
    /// Where a burst for this context would go.
    fn note_address(&mut self, context: u16) {
        let now = self.now;
        let frame = crate::deliver::frame(0);
        let datagram = self.call(|stack| {
            stack::delivered(stack, now, context, stack::Slot::Two, crate::deliver::STREAM, &frame)
        });
        match datagram {
            Some(datagram) => self.reached.insert(context, datagram.envelope.to),
            None => self.reached.remove(&context),
        };
        if self.read_records() != self.records {
            self.fail(
                "deliver changes no record and no time-out",
                format!("another record, with context {context}"),
            );
        }
    }
}

fn describe(input: &Input<'_>) -> String {
    match input {
        Input::Datagram { listener, from, bytes, .. } => {
            format!("a datagram of {} bytes from {from} to listener {listener}: {}", bytes.len(), hex(bytes))
        }
        other => format!("{other:?}"),
    }
}

/// The beginning is enough: the same seed gives the rest.
fn hex(bytes: &[u8]) -> String {
    let begin = bytes.get(..SHOWN).unwrap_or(bytes);
    let digits: String = begin.iter().map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN { digits + "..." } else { digits }
}
