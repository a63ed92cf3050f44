//! The form of the datagrams.

use dmr::{BURST_LEN, BurstKind, DataType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stack::{CallType, Frame};

/// What a client says.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request {
    Hello(Hello),
    Burst(Burst),
}

/// A client is there, and goes on being there for 30 s.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    /// 1 to 32 letters, digits, `-`, `_` and `.`.
    pub(crate) name: String,
    /// At most 16, which it hears.
    pub(crate) talkgroups: Vec<u32>,
    pub(crate) token: String,
}

/// What a client is told.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// It is heard; its ID.
    Welcome(u32),
    /// It is not, and why.
    Refused(&'static str),
    /// It is there no longer.
    Bye(&'static str),
    Burst(Burst),
}

/// A burst of a call, either way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    source: u32,
    destination: u32,
    call: Call,
    kind: Kind,
    #[serde(default)]
    sequence: u8,
    /// The same for all bursts of a call, another one for the next call.
    pub(crate) stream: u32,
    /// 33 bytes, as 66 hexadecimal digits.
    burst: Hex,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Group,
    Private,
}

/// Voice by its place in the superframe, 0..=5; data by its data type, 0..=15: 1 begins a call, 2 ends it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Voice(u8),
    Data(u8),
}

#[derive(Clone)]
struct Hex([u8; BURST_LEN]);

impl Burst {
    pub(crate) fn new(stream: u32, frame: &Frame) -> Self {
        let call = if frame.call == CallType::Group { Call::Group } else { Call::Private };
        let kind = match frame.kind {
            BurstKind::Voice(place) => Kind::Voice(place),
            BurstKind::Data(data) => Kind::Data(data.bits()),
        };
        let Frame { source, destination, sequence, burst, .. } = *frame;
        Self { source, destination, call, kind, sequence, stream, burst: Hex(burst) }
    }

    /// `None` where an ID or the kind is none.
    pub(crate) fn frame(&self) -> Option<Frame> {
        let is_id = |id: u32| (1..=0xFF_FFFF).contains(&id);
        let kind = match self.kind {
            Kind::Voice(place @ 0..=5) => BurstKind::Voice(place),
            Kind::Data(data @ 0..=15) => BurstKind::Data(DataType::from_bits(data)),
            _ => return None,
        };
        let call = if matches!(self.call, Call::Group) { CallType::Group } else { CallType::Private };
        let Self { source, destination, sequence, burst: Hex(burst), .. } = *self;
        let frame = Frame { source, destination, call, kind, sequence, ber: 0, rssi: 0, burst };
        (is_id(source) && is_id(destination)).then_some(frame)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 2 * BURST_LEN];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
        }
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a burst has 66 hexadecimal digits");
        let digits: &[u8; 2 * BURST_LEN] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let mut burst = [0; BURST_LEN];
        for (byte, pair) in burst.iter_mut().zip(digits.chunks_exact(2)) {
            *byte =
                digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
        }
        Ok(Self(burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_the_same_there_and_back_and_fits_its_datagram() {
        let (call, kind) = (CallType::Private, BurstKind::Data(DataType::from_bits(15)));
        let (source, burst) = (0xFF_FFFF, std::array::from_fn(|n| n as u8 * 7));
        let frame = Frame { source, destination: source, call, kind, sequence: 255, ber: 0, rssi: 0, burst };
        let text = serde_json::to_string(&Reply::Burst(Burst::new(u32::MAX, &frame))).unwrap();
        assert!(
            text.len() <= crate::MAX_LEN && text.starts_with("{\"burst\":{\"source\":16777215,"),
            "{text}"
        );
        let Ok(Request::Burst(read)) = serde_json::from_str(&text) else { panic!("{text}") };
        assert_eq!((read.frame(), read.stream), (Some(frame), u32::MAX));
    }

    #[test]
    fn what_no_burst_can_be_is_none() {
        let text = |source: &str, kind: &str, burst: &str| {
            format!(
                "{{\"source\":{source},\"destination\":91,\"call\":\"group\",\"kind\":{kind},\"stream\":1,\"burst\":\"{burst}\"}}"
            )
        };
        let frame = |text: String| serde_json::from_str::<Burst>(&text).ok().and_then(|burst| burst.frame());
        let (good, voice) = ("0f".repeat(BURST_LEN), "{\"voice\":5}");
        assert!(frame(text("1", voice, &good)).is_some());
        for kind in ["{\"voice\":6}", "{\"data\":16}", "{\"data\":-1}", "\"voice\"", "{}"] {
            assert!(frame(text("1", kind, &good)).is_none(), "{kind}");
        }
        for source in ["0", "16777216", "\"1\"", "1.5"] {
            assert!(frame(text(source, voice, &good)).is_none(), "{source}");
        }
        for burst in [&good[1..], "", &format!("0{good}"), &good.replacen('0', "g", 1), &"é".repeat(33)] {
            assert!(frame(text("1", voice, burst)).is_none(), "{burst}");
        }
    }
}
