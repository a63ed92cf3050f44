//! What a device asks for in `RPTO`, in the dialects of DMR+ (`TS1_1=262;RelinkTime=15`) and of FreeDMR, ADN and
//! HBlink4 (`TS1=91,92;TS2=3100;SINGLE=1;TIMER=10`).
//!
//! A text stands for itself: what it does not name is not asked for. Reflectors, voices and ranges are not
//! understood and passed over, as are values that are none.

use stack::Slot;

/// The longest time for dynamic talkgroups that a device can ask for, in minutes: a day.
pub(crate) const MAX_MINUTES: u16 = 1440;

/// What a text asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The talkgroups of TS1 and TS2, in its order, doubles included.
    pub(crate) statics: [Vec<u32>; 2],
    /// One dynamic talkgroup a slot.
    pub(crate) single: bool,
    /// How long dynamic talkgroups stay, 1..=1440 minutes; `None` where it does not say.
    pub(crate) dynamic_minutes: Option<u16>,
}

/// What `text` asks for. Of two values for one key the later one holds.
pub(crate) fn parse(text: &[u8]) -> Options {
    let mut options = Options::default();
    let text = String::from_utf8_lossy(text);
    for option in text.split(';') {
        let Some((key, value)) = option.split_once('=') else { continue };
        let (key, trimmed) = (key.trim_matches(padding), value.trim_matches(padding));
        if let Some(slot) = slot_of(key) {
            options.statics[slot.index()].extend(value.split([',', ' ']).filter_map(talkgroup));
        } else if key.eq_ignore_ascii_case("SINGLE") {
            options.single = trimmed == "1";
        } else if key.eq_ignore_ascii_case("TIMER") || key.eq_ignore_ascii_case("RelinkTime") {
            options.dynamic_minutes = minutes(trimmed);
        }
    }
    options
}

/// 0 is how clients say that they leave it to the master.
fn minutes(text: &str) -> Option<u16> {
    let minutes: u64 = text.parse().ok()?;
    u16::try_from(minutes.min(MAX_MINUTES.into())).ok().filter(|minutes| *minutes > 0)
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
            let [got_one, got_two] = parse(text).statics;
            assert_eq!((got_one.as_slice(), got_two.as_slice()), (one, two), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn single_mode_and_the_time_of_dynamic_talkgroups() {
        let cases: [(&[u8], bool, Option<u16>); 12] = [
            (b"TS1=91;TS2=3100", false, None),
            (b"DIAL=0;TIMER=10;SINGLE=1;", true, Some(10)),
            (b"single = 1 ;timer = 15 \0", true, Some(15)),
            (b"StartRef=4013;RelinkTime=60;UserLink=1", false, Some(60)),
            (b"SINGLE=0;TIMER=0", false, None),
            (b"SINGLE=1;SINGLE=0;TIMER=5;RelinkTime=7", false, Some(7)),
            (b"TIMER=1440", false, Some(1440)),
            (b"TIMER=1441", false, Some(1440)),
            (b"TIMER=99999999999", false, Some(1440)),
            (b"TIMER=99999999999999999999999", false, None),
            (b"TIMER=-5;SINGLE=yes", false, None),
            (b"TIMER=ten;SINGLE=;xSINGLE=1;TIMERS=9", false, None),
        ];
        for (text, single, dynamic_minutes) in cases {
            let options = parse(text);
            let got = (options.single, options.dynamic_minutes);
            assert_eq!(got, (single, dynamic_minutes), "{}", text.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let options = parse(&text);
            proptest::prop_assert!(options.dynamic_minutes.is_none_or(|m| (1..=MAX_MINUTES).contains(&m)));
        }
    }
}
