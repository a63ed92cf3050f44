//! What the receivers of the simulation hear, and what they must never hear.

use std::collections::BTreeMap;

use dmr::{BurstKind, DataType, Emb, FullLc, SlotType, Sync};
use stack::{CallType, ContextKey, Frame, Profile, Slot, Slots};

use crate::tests::bench::{HEADER, TERMINATOR};

/// A call as a slot hears it.
struct Hearing {
    stream: u32,
    /// The number that the last burst was marked with; each burst of the simulation has its own.
    mark: u64,
}

/// All ears, by context and slot.
#[derive(Default)]
pub(super) struct Ears {
    hearing: BTreeMap<(ContextKey, Slot), Hearing>,
    pub(super) heard: u64,
}

/// The number that is hidden in a burst's payload; 0 where none is.
pub(super) fn mark_of(frame: &Frame) -> u64 {
    match frame.kind {
        // What mad siblings say is not marked.
        BurstKind::Voice(_) if frame.burst[..8] == [0x55; 8] => 0,
        BurstKind::Voice(_) => frame.burst.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        BurstKind::Data(_) => 0,
    }
}

impl Ears {
    pub(super) fn hear(
        &mut self,
        profile: &Profile,
        (context, slot): (ContextKey, Slot),
        stream: u32,
        frame: &Frame,
        is_taken_over: bool,
    ) {
        self.heard += 1;
        check_air(profile, frame);
        let is_voice = matches!(frame.kind, BurstKind::Voice(_) | HEADER | TERMINATOR);
        if !is_voice {
            return;
        }
        check_lc(frame);
        let hearing = self.hearing.remove(&(context, slot));
        let mark = mark_of(frame);
        match (frame.kind, hearing) {
            (HEADER, Some(hearing)) => assert_eq!(hearing.stream, stream, "two talkers on one slot"),
            (HEADER, None) => {}
            (BurstKind::Voice(_), Some(hearing)) => {
                assert_eq!(hearing.stream, stream, "two talkers on one slot");
                assert!(mark == 0 || hearing.mark < mark, "{mark} after {}", hearing.mark);
            }
            (BurstKind::Voice(_), None) => assert!(is_taken_over, "a call without a header: {frame:?}"),
            (TERMINATOR, Some(hearing)) => return assert_eq!(hearing.stream, stream),
            (TERMINATOR, None) => return assert!(is_taken_over, "the end of nothing"),
            (BurstKind::Data(_), _) => {}
        }
        self.hearing.insert((context, slot), Hearing { stream, mark });
    }

    /// A context is gone, or is served by another worker from now on.
    pub(super) fn forget(&mut self, context: ContextKey) {
        self.hearing.retain(|&(other, _), _| other != context);
    }

    /// Everything that was begun has been ended.
    pub(super) fn end(&self) {
        assert!(self.hearing.is_empty(), "{} calls without an end", self.hearing.len());
    }
}

fn check_air(profile: &Profile, frame: &Frame) {
    let simplex = profile.slots == Slots::Simplex;
    let voice = if simplex { Sync::MsVoice } else { Sync::BsVoice };
    match frame.kind {
        BurstKind::Voice(0) => assert_eq!(Sync::of(&frame.burst), Some(voice)),
        BurstKind::Voice(place) => {
            let emb = Emb::read(&frame.burst).expect("an EMB");
            assert_eq!((emb.colour_code, Some(emb.lcss)), (profile.colour_code, dmr::Lcss::at(place)));
        }
        BurstKind::Data(data_type) => {
            let slot_type = SlotType { colour_code: profile.colour_code, data_type };
            assert_eq!(SlotType::read(&frame.burst), Some(slot_type));
            assert_eq!(Sync::of(&frame.burst), Some(voice.data()));
        }
    }
}

fn check_lc(frame: &Frame) {
    let BurstKind::Data(data_type @ (DataType::VOICE_HEADER | DataType::TERMINATOR)) = frame.kind else {
        return;
    };
    let lc = FullLc::from_burst(&frame.burst, data_type).expect("an LC");
    let private = lc.flco() == dmr::Flco::Private;
    assert_eq!((lc.source(), lc.destination()), (frame.source, frame.destination));
    assert_eq!(private, frame.call == CallType::Private);
}
