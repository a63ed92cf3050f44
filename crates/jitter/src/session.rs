//! The jitter buffer of one session.

use std::collections::VecDeque;

use dmr::{BurstKind, DataType};
use stack::Time;
use switch::{Forward, SessionId};

use crate::conceal::conceal;
use crate::order::{Order, Places};
use crate::origins::Origin;
use crate::transit::{Legacy, Transit};
use crate::{BURST_TIME, Burst, FIRST_SEQUENCE, LINGER, MAX_CONCEALED, MAX_JUMP, MAX_WAIT, Output, micros};

/// How many bursts are held. Where there would be more, the first one goes at once: only who sends many at a time comes
/// to this.
const CAPACITY: usize = 16;
const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);

/// A burst that came and has not gone.
#[derive(Clone, Copy, Debug)]
struct Held {
    place: i64,
    sequence: u16,
    came: Time,
    /// When it was sent, by the clock here and less the base: see [`Transit::take`].
    sent: i64,
    forward: Forward,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// Its place among the nodes.
    pub(crate) origin: u16,
    number: u16,
    places: Places,
    transit: Transit,
    /// The place that goes out next.
    next: i64,
    /// By place, none before `next`.
    held: VecDeque<Held>,
    /// What went out last, came or made up.
    last: Option<Held>,
    /// How many were made up since one came.
    made_up: u8,
    /// What goes out is voice, which has a rhythm. Until it is known, it is not.
    is_voice: bool,
    heard: Time,
}

impl Session {
    /// Room for one, with this number.
    pub(crate) fn new(number: u16) -> Self {
        Self { held: VecDeque::with_capacity(CAPACITY), ..Self::without_room(number) }
    }

    /// Another session begins in its place.
    pub(crate) fn begin(&mut self, now: Time, id: SessionId, origin: u16, legacy: Option<Legacy>) {
        let mut held = std::mem::take(&mut self.held);
        held.clear();
        let transit = Transit::following(legacy, now);
        *self = Self { id, origin, transit, held, heard: now, ..Self::without_room(self.number) };
    }

    fn without_room(number: u16) -> Self {
        Self {
            id: SessionId { key: 0, node: 0 },
            origin: 0,
            number,
            places: Places::default(),
            transit: Transit::default(),
            next: FIRST_SEQUENCE.into(),
            held: VecDeque::new(),
            last: None,
            made_up: 0,
            is_voice: false,
            heard: Time(0),
        }
    }

    /// Takes in a burst. Returns it where it goes on at once, which it does only if it `may_pass`.
    pub(crate) fn take(
        &mut self,
        now: Time,
        burst: Burst,
        origin: &mut Origin,
        may_pass: bool,
    ) -> Option<Output> {
        let is_over =
            self.held.is_empty() && self.last.is_some_and(|last| last.forward.frame.kind == TERMINATOR);
        let order = self.places.take(burst.sequence, self.next, is_over);
        if order == Order::Duplicate {
            origin.health.duplicates += 1;
            return None;
        }
        let (sent, step) = self.transit.take(now, burst.sent_ms);
        let Order::New(place) = order else {
            origin.health.late += 1;
            return None;
        };
        if self.held.len() >= CAPACITY {
            // Whoever takes all outputs after each burst does not come here.
            origin.health.late += 1;
            return None;
        }
        origin.note(now, &self.transit, step);
        self.heard = now;
        self.note_kind(burst.forward.frame.kind);
        let held = Held { place, sequence: burst.sequence, came: now, sent, forward: burst.forward };
        let goes_at = self.transit.expected(sent) + self.delay();
        if may_pass && self.held.is_empty() && self.is_in_order(place) && goes_at <= now.0.cast_signed() {
            return Some(self.let_go(held, false));
        }
        let at = self.held.partition_point(|other| other.place < place);
        self.held.insert(at, held);
        None
    }

    /// What goes out now, if anything does.
    pub(crate) fn step(&mut self, now: Time, origin: &mut Origin) -> Option<Output> {
        while self.due().is_some_and(|at| at <= now) {
            let head = *self.held.front()?;
            if self.is_in_order(head.place) {
                self.held.pop_front();
                return Some(self.let_go(head, false));
            }
            origin.health.lost += 1;
            match self.in_place_of_the_next(&head) {
                Some(made_up) => {
                    origin.health.concealed += 1;
                    return Some(self.let_go(made_up, true));
                }
                None => self.next += 1,
            }
        }
        None
    }

    /// When it wants to be looked at again: for a burst that goes out or is given up, or for its end.
    pub(crate) fn wakes(&self) -> Time {
        self.due().unwrap_or(self.heard + LINGER)
    }

    /// Nothing more is to come of it.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.held.is_empty() && self.heard + LINGER <= now
    }

    fn due(&self) -> Option<Time> {
        let head = self.held.front()?;
        if self.held.len() >= CAPACITY {
            return Some(Time(0));
        }
        let at = if self.is_in_order(head.place) {
            self.transit.expected(head.sent) + self.delay()
        } else {
            self.transit.expected(self.sent_next(head)) + self.transit.patience()
        };
        // Whatever a sender says of its clock, nothing is held for longer.
        let longest = self.held.iter().map(|held| held.came).min()? + MAX_WAIT;
        Some(Time(at.max(0).unsigned_abs()).min(longest))
    }

    /// Nothing is waited for before this place.
    fn is_in_order(&self, place: i64) -> bool {
        let missing = place - self.next;
        missing <= 0 || missing >= i64::from(MAX_JUMP)
    }

    /// When the missing next one was sent, where `head` came after it. Voice has a rhythm; of all else it is only known that
    /// it was no later.
    fn sent_next(&self, head: &Held) -> i64 {
        if !self.is_voice {
            return head.sent;
        }
        let by_rhythm = head.sent - (head.place - self.next) * micros(BURST_TIME);
        self.last.map_or(by_rhythm, |last| by_rhythm.max(last.sent).min(head.sent))
    }

    /// Made up, where it is known what the missing next one was.
    fn in_place_of_the_next(&self, head: &Held) -> Option<Held> {
        let last = self.last.filter(|last| last.place + 1 == self.next)?;
        let in_a_row = i64::from(self.made_up) + head.place - self.next;
        if in_a_row > i64::from(MAX_CONCEALED) {
            return None;
        }
        let ahead = head.place - last.place;
        let forward = conceal(&last.forward, &head.forward, ahead, self.made_up == 0)?;
        let sequence = last.sequence.wrapping_add(1);
        Some(Held { place: self.next, sequence, came: last.came, sent: self.sent_next(head), forward })
    }

    fn let_go(&mut self, held: Held, is_concealed: bool) -> Output {
        self.next = held.place + 1;
        self.made_up = if is_concealed { self.made_up + 1 } else { 0 };
        self.last = Some(held);
        let mut forward = held.forward;
        forward.index = self.number;
        forward.frame.sequence = held.sequence.to_le_bytes()[0];
        Output { node: self.id.node, forward, is_concealed }
    }

    /// How long bursts are delayed: data goes on as soon as it is in order.
    fn delay(&self) -> i64 {
        if self.is_voice { self.transit.delay() } else { 0 }
    }

    fn note_kind(&mut self, kind: BurstKind) {
        match kind {
            BurstKind::Voice(_) | BurstKind::Data(DataType::VOICE_HEADER | DataType::PI_HEADER) => {
                self.is_voice = true;
            }
            // It ends voice and data.
            TERMINATOR => {}
            BurstKind::Data(_) => self.is_voice = false,
        }
    }
}
