//! Whether a call that was heard is well made: its bursts are the talker's, each once and in order, and
//! say who calls whom, in the colour code and with the sync of the device that hears them.

use dmr::{BurstKind, DataType, Emb, EmbeddedLc, FullLc, SlotType, Sync};
use stack::Slots;

use crate::expected::{Count, Hears, Parts};
use crate::heard::{Call, count_words};
use crate::model::{Device, Target};
use crate::play::{Content, Talk};
use crate::voice::{self, Voice};
use crate::world::Heard;

/// The sync that the bursts of a device have to have.
fn sync_for(device: &Device) -> Sync {
    if device.slots == Slots::Simplex { Sync::MsVoice } else { Sync::BsVoice }
}

/// Checks a voice call; `source` is who has to be named as its talker.
pub(crate) fn check_voice(
    call: &Call<'_>,
    talks: &[Talk],
    device: &Device,
    hears: &Hears,
    source: u32,
) -> Result<(), String> {
    check_order(call, hears.parts)?;
    let said = said_by(call, talks)?;
    let mut previous: Option<u32> = None;
    let mut lost = 0;
    for heard in &call.bursts {
        let BurstKind::Voice(letter) = heard.frame.kind else { continue };
        let Some((number, index)) = voice::read_payload(&heard.frame.burst) else {
            return Err("the speech in a burst is altered".into());
        };
        let Some(said) = said.filter(|said| said.number == number) else {
            return Err("bursts of two transmissions are mixed".into());
        };
        match previous {
            None if letter != 0 => {
                return Err(format!("the first voice burst is burst {}, not A", letter_name(letter)));
            }
            Some(last) if index <= last => {
                return Err(format!("voice burst {index} came after voice burst {last}"));
            }
            Some(last) => lost += index - last - 1,
            None => {}
        }
        if said.letter(index) != letter {
            return Err("a voice burst has another place in its superframe than it was sent with".into());
        }
        previous = Some(index);
        check_middle(heard, device, letter, said)?;
    }
    if !hears.parts.lost.admits(lost) {
        return Err(format!("{lost} voice bursts are missing, not {}", count_words(hears.parts.lost)));
    }
    let options = said.map_or(0, |said| said.lc.0[2]);
    check_lcs(call, device, said, lc_of(source, hears.target, call, options))
}

/// The LC that a call has to have. Where no voice burst says whose call it is, its service options are its own.
fn lc_of(source: u32, target: Target, call: &Call<'_>, options: u8) -> FullLc {
    let mut lc = voice::lc(source, target);
    let has_voice = call.count(|kind| matches!(kind, BurstKind::Voice(_))) > 0;
    lc.0[2] = if has_voice { options } else { call.header_lc().map_or(0, |lc| lc.0[2]) };
    lc
}

/// Headers first, then voice, then the terminator, and each as often as it is named.
fn check_order(call: &Call<'_>, parts: Parts) -> Result<(), String> {
    let header = BurstKind::Data(DataType::VOICE_HEADER);
    let pi_header = BurstKind::Data(DataType::PI_HEADER);
    let terminator = BurstKind::Data(DataType::TERMINATOR);
    let rank = |kind| match kind {
        kind if kind == header => 0,
        kind if kind == pi_header => 1,
        BurstKind::Voice(_) => 2,
        _ => 3,
    };
    if !call.bursts.is_sorted_by_key(|heard| rank(heard.frame.kind)) {
        return Err("its parts are out of order".into());
    }
    let once = |wanted| if wanted { Count::ONE } else { Count::NONE };
    for (kind, wanted, name) in [
        (header, once(parts.header), "header"),
        (pi_header, once(parts.pi_header), "PI header"),
        (terminator, parts.terminator, "terminator"),
    ] {
        let found = call.count(|other| other == kind);
        if !wanted.admits(found) {
            return Err(format!("{found} times \"{name}\", not {}", count_words(wanted)));
        }
    }
    Ok(())
}

/// The transmission that its first voice burst is of.
fn said_by<'a>(call: &Call<'_>, talks: &'a [Talk]) -> Result<Option<&'a Voice>, String> {
    let first = call.bursts.iter().find(|heard| matches!(heard.frame.kind, BurstKind::Voice(_)));
    let Some(first) = first else { return Ok(None) };
    let number = voice::read_payload(&first.frame.burst).map(|(number, _)| number);
    let talk = number.and_then(|number| talks.get(number as usize));
    match talk.map(|talk| &talk.content) {
        Some(Content::Voice(voice)) => Ok(Some(voice)),
        _ => Err("the speech in its first voice burst is nobody's".into()),
    }
}

/// Sync of burst A, EMB of the others.
fn check_middle(heard: &Heard, device: &Device, letter: u8, said: &Voice) -> Result<(), String> {
    let burst = &heard.frame.burst;
    if letter == 0 {
        let (found, wanted) = (Sync::of(burst), sync_for(device));
        return if found == Some(wanted) { Ok(()) } else { Err(format!("sync {found:?}, not {wanted:?}")) };
    }
    if said.is_bad(letter) {
        return Ok(());
    }
    let Some(emb) = Emb::read(burst) else {
        return Err(format!("the EMB of burst {} cannot be read", letter_name(letter)));
    };
    if emb.lcss != voice::lcss_of(letter) {
        return Err(format!("the EMB of burst {} says {:?}", letter_name(letter), emb.lcss));
    }
    check_colour(emb.colour_code, device)
}

fn check_colour(found: u8, device: &Device) -> Result<(), String> {
    let wanted = device.colour_code;
    if found == wanted { Ok(()) } else { Err(format!("colour code {found}, not {wanted}")) }
}

/// The LC of headers, terminators and whole superframes.
fn check_lcs(call: &Call<'_>, device: &Device, said: Option<&Voice>, lc: FullLc) -> Result<(), String> {
    let mut embedded = EmbeddedLc::new();
    let mut next = None;
    // How many of the superframe's bursts B to E have come without a gap.
    let mut fragments = 0;
    for heard in &call.bursts {
        let burst = &heard.frame.burst;
        match heard.frame.kind {
            BurstKind::Data(data_type) => {
                check_slot_type(burst, data_type, device)?;
                let found = FullLc::from_burst(burst, data_type);
                if data_type != DataType::PI_HEADER && found != Some(lc) {
                    let name = if data_type == DataType::TERMINATOR { "terminator" } else { "header" };
                    return Err(format!("the LC of the {name} is {}", words_of(found, lc)));
                }
            }
            BurstKind::Voice(letter) => {
                let index = voice::read_payload(burst).map(|(_, index)| index);
                if index != next || letter == 0 {
                    (embedded, fragments) = (EmbeddedLc::new(), 0);
                }
                next = index.map(|index| index + 1);
                let Some((said, index)) = said.zip(index).filter(|_| (1..=4).contains(&letter)) else {
                    continue;
                };
                fragments += 1;
                let done = embedded.push(voice::lcss_of(letter), dmr::embedded_fragment(burst));
                let wanted = said.superframe(index, lc);
                if fragments == 4 && done != Some(wanted) {
                    return Err(format!("the embedded LC is {}", words_of(done, wanted)));
                }
            }
        }
    }
    Ok(())
}

/// Slot type and sync of a burst that is not voice.
fn check_slot_type(burst: &[u8; dmr::BURST_LEN], data_type: DataType, device: &Device) -> Result<(), String> {
    let Some(slot_type) = SlotType::read(burst) else { return Err("a slot type cannot be read".into()) };
    if slot_type.data_type != data_type {
        return Err(format!("a slot type says data type {}", slot_type.data_type.bits()));
    }
    let (found, wanted) = (Sync::of(burst), sync_for(device).data());
    if found != Some(wanted) {
        return Err(format!("sync {found:?}, not {wanted:?}"));
    }
    check_colour(slot_type.colour_code, device)
}

fn words_of(found: Option<FullLc>, wanted: FullLc) -> String {
    let hex = |lc: FullLc| lc.0.map(|byte| format!("{byte:02X}")).join(" ");
    let found = found.map_or_else(|| "not to be read".to_owned(), hex);
    format!("{found}, not {}", hex(wanted))
}

fn letter_name(letter: u8) -> &'static str {
    &"ABCDEF"[usize::from(letter.min(5))..][..1]
}

/// Checks a data call: the information of its bursts is what some transmission sent, in order.
pub(crate) fn check_data(call: &Call<'_>, talks: &[Talk], device: &Device) -> Result<(), String> {
    for heard in &call.bursts {
        if let BurstKind::Data(data_type) = heard.frame.kind {
            check_slot_type(&heard.frame.burst, data_type, device)?;
        }
    }
    let info = |burst| dmr::bptc::read(burst);
    let heard: Vec<_> =
        call.bursts.iter().map(|heard| (heard.frame.kind, info(&heard.frame.burst))).collect();
    let is_sent = talks.iter().any(|talk| match &talk.content {
        Content::Data(bursts) => {
            let mut sent = bursts.iter().map(|(kind, burst)| (*kind, info(burst)));
            // Each is found behind the one before: what is missing is counted elsewhere.
            heard.iter().all(|burst| sent.any(|sent| sent == *burst))
        }
        Content::Voice(_) => false,
    });
    if is_sent { Ok(()) } else { Err("these are not the bursts of one data transmission, in order".into()) }
}
