//! What goes out in place of a lost voice burst: one of the right place in the superframe, with the EMB and the fragment of
//! embedded LC that belong there (ETSI TS 102 361-1 sections 5.1.2, 9.1.2 and B.2.1).

use dmr::{AMBE_SILENCE, BurstKind, Emb, FullLc, ServiceOptions, Sync, ambe, voice_burst};
use stack::CallType;
use switch::Forward;

/// Bursts of a superframe.
const SUPERFRAME: i64 = 6;

/// The burst after `before`, where that has just gone out and `after` is `ahead` places behind it. The first of a row says
/// again what was said last, the others are silent.
///
/// `None` where its place cannot be told: one of the two is no voice, or their places in the superframe do not fit. An
/// encrypted call gets none either: neither what was said nor silence means anything under the next key.
pub(crate) fn conceal(before: &Forward, after: &Forward, ahead: i64, is_first: bool) -> Option<Forward> {
    let (BurstKind::Voice(from @ 0..=5), BurstKind::Voice(to @ 0..=5)) =
        (before.frame.kind, after.frame.kind)
    else {
        return None;
    };
    if (i64::from(from) + ahead) % SUPERFRAME != i64::from(to) {
        return None;
    }
    // Burst A has no EMB.
    let emb = |forward: &Forward, place| Emb::read(&forward.frame.burst).filter(|_| place > 0);
    let emb = emb(before, from).or_else(|| emb(after, to));
    if ServiceOptions(before.options).privacy() || emb.is_some_and(|emb| emb.pi) {
        return None;
    }
    let frame = &before.frame;
    let lc = match frame.call {
        CallType::Group => FullLc::group(frame.source, frame.destination),
        CallType::Private => FullLc::private(frame.source, frame.destination),
    };
    let fragments = lc.with_service_options(ServiceOptions(before.options)).to_embedded();
    let payload = if is_first { ambe(&frame.burst) } else { AMBE_SILENCE };
    let place = (from + 1) % 6;
    let mut forward = *before;
    forward.frame.kind = BurstKind::Voice(place);
    // Receivers get their own colour code and sync.
    let colour_code = emb.map_or(0, |emb| emb.colour_code);
    forward.frame.burst = voice_burst(place, &payload, colour_code, &fragments, Sync::BsVoice);
    (forward.frame.ber, forward.frame.rssi) = (0, 0);
    Some(forward)
}
