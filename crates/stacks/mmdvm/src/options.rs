//! The talkgroups that a device asks for in `RPTO`, in the dialects of DMR+ (`TS1_1=262;...`) and of FreeDMR,
//! ADN and HBlink4 (`TS1=91,92;TS2=3100`).
//!
//! A text stands for itself: what it does not name is not asked for. Reflectors, timers, voices and ranges are
//! not understood and passed over, as are numbers that are no talkgroup.

use stack::Slot;

/// The talkgroups of TS1 and TS2 that `text` names, in its order, doubles included.
pub(crate) fn parse(text: &[u8]) -> [Vec<u32>; 2] {
    let mut lists = [Vec::new(), Vec::new()];
    let text = String::from_utf8_lossy(text);
    for option in text.split(';') {
        let Some((key, value)) = option.split_once('=') else { continue };
        let Some(slot) = slot_of(key.trim_matches(padding)) else { continue };
        lists[slot.index()].extend(value.split([',', ' ']).filter_map(talkgroup));
    }
    lists
}

/// The slot that a key speaks of: `TS1`, `TS2`, or `TS1_1` to `TS2_9`.
fn slot_of(key: &str) -> Option<Slot> {
    let (slot, place) = key.split_once('_').unwrap_or((key, "1"));
    if !matches!(place.as_bytes(), [b'1'..=b'9']) {
        return None;
    }
    Slot::ALL
        .into_iter()
        .zip(["TS1", "TS2"])
        .find_map(|(s, name)| name.eq_ignore_ascii_case(slot).then_some(s))
}

fn talkgroup(text: &str) -> Option<u32> {
    let number = text.trim_matches(padding).parse().ok()?;
    (1..=0xFF_FFFF).contains(&number).then_some(number)
}

fn padding(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '"'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_the_dialects() {
        let cases: [(&[u8], [&[u32]; 2]); 14] = [
            (b"TS1=91;TS2=3100;", [&[91], &[3100]]),
            (b"TS2=91;", [&[], &[91]]),
            (b"Type=HBlink;TS1=91;TS2=3100", [&[91], &[3100]]),
            (b"TS1=1,2,3;TS2=3100", [&[1, 2, 3], &[3100]]),
            (b"TS1 = 1, 2 ,3 ; TS2 = 4 ;\0\0", [&[1, 2, 3], &[4]]),
            (b"\"TS1=1;TS2=2;\"\r\n", [&[1], &[2]]),
            (b"ts1=1;Ts2=2", [&[1], &[2]]),
            (
                b"StartRef=4013;RelinkTime=15;UserLink=1;TS1_1=262;TS1_2=263;TS1_3=;TS2_1=91;TS2_9=8",
                [&[262, 263], &[91, 8]],
            ),
            (b"TS1_0=1;TS1_10=2;TS3=3;TS1_=4;TS=5", [&[], &[]]),
            (b"TS1=0,16777215,16777216,-5,99999999999,x,9x", [&[16_777_215], &[]]),
            (b"DIAL=4400;TIMER=10;VOICE=0;LANG=en_GB;SINGLE=1;PASS=a=b;TS2=235", [&[], &[235]]),
            (b"TS2=3000-3200:2:*,3100", [&[], &[3100]]),
            (b"", [&[], &[]]),
            (b"\xff\xfe=;;==;TS1;TS1=;", [&[], &[]]),
        ];
        for (text, [one, two]) in cases {
            let [got_one, got_two] = parse(text);
            assert_eq!((got_one.as_slice(), got_two.as_slice()), (one, two), "{}", text.escape_ascii());
        }
    }
}
