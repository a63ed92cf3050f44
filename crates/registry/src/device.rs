//! A device: what the registry knows of one repeater or hotspot.

use config::Secret;
use serde::{Deserialize, Serialize};
use stack::DeviceSettings;

use crate::Error;

/// The highest ID: nine digits, a hotspot's.
pub const MAX_ID: u32 = 999_999_999;

/// The highest talkgroup: 24 bits.
pub const MAX_TALKGROUP: u32 = 0x00ff_ffff;

/// How many static talkgroups one slot can have.
pub const MAX_STATICS: usize = 32;

/// The longest call sign, in characters.
pub const MAX_CALL: usize = 10;

/// A repeater or hotspot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// 1 to [`MAX_ID`].
    pub id: u32,
    /// Its own password, if it has one.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Its call sign: 1 to [`MAX_CALL`] printable ASCII characters.
    #[serde(default)]
    pub call: Option<String>,
    /// Static talkgroups of TS1 and TS2: each at most [`MAX_STATICS`], none twice, 1 to [`MAX_TALKGROUP`].
    #[serde(default)]
    pub statics: [Vec<u32>; 2],
}

impl Device {
    /// What the stack that serves it has to know.
    #[must_use]
    pub fn settings(&self) -> DeviceSettings {
        DeviceSettings { statics: self.statics.clone(), ..DeviceSettings::default() }
    }

    /// Checks all its fields.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first that cannot be.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::Invalid { id: self.id, reason });
        if !(1..=MAX_ID).contains(&self.id) {
            return invalid(format!("an ID is a number from 1 to {MAX_ID}"));
        }
        if let Some(call) = &self.call {
            let printable = call.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            if call.is_empty() || call.len() > MAX_CALL || !printable {
                return invalid(format!("a call sign has 1 to {MAX_CALL} printable ASCII characters"));
            }
        }
        for (talkgroups, slot) in self.statics.iter().zip(["TS1", "TS2"]) {
            if talkgroups.len() > MAX_STATICS {
                let count = talkgroups.len();
                return invalid(format!("{count} static talkgroups on {slot}; at most {MAX_STATICS}"));
            }
            for (index, talkgroup) in talkgroups.iter().enumerate() {
                if !(1..=MAX_TALKGROUP).contains(talkgroup) {
                    return invalid(format!(
                        "static talkgroup {talkgroup} on {slot}; write one from 1 to {MAX_TALKGROUP}"
                    ));
                }
                if talkgroups[..index].contains(talkgroup) {
                    return invalid(format!("static talkgroup {talkgroup} on {slot} is there twice"));
                }
            }
        }
        Ok(())
    }
}

/// The ID that a hotspot's ID is made from: of nine digits the first seven; `None` for others.
pub(crate) fn base_id(id: u32) -> Option<u32> {
    (100_000_000..=MAX_ID).contains(&id).then_some(id / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device { id: 2_621_370, password: None, call: None, statics: [vec![], vec![]] }
    }

    #[test]
    fn takes_what_can_be() {
        let full = Device {
            id: MAX_ID,
            password: Secret::new("p").ok(),
            call: Some("DB0ABC-10 ".to_owned()),
            statics: [(1..=32).collect(), vec![MAX_TALKGROUP]],
        };
        assert!(full.validate().is_ok() && device().validate().is_ok());
    }

    #[test]
    fn says_what_cannot_be() {
        let mut cases = Vec::new();
        for id in [0, MAX_ID + 1] {
            cases.push((Device { id, ..device() }, "an ID is a number from 1 to 999999999"));
        }
        for call in ["", "12345678901", "a\nb", "ä"] {
            let call = Some(call.to_owned());
            cases.push((Device { call, ..device() }, "a call sign has 1 to 10 printable ASCII characters"));
        }
        let statics = |ts1: Vec<u32>, ts2: Vec<u32>| Device { statics: [ts1, ts2], ..device() };
        cases.push((statics((1..=33).collect(), vec![]), "33 static talkgroups on TS1; at most 32"));
        cases.push((statics(vec![], vec![0]), "static talkgroup 0 on TS2; write one from 1 to 16777215"));
        cases.push((statics(vec![], vec![7, 8, 7]), "static talkgroup 7 on TS2 is there twice"));
        for (device, reason) in cases {
            let expected = format!("device {}: {reason}", device.id);
            assert_eq!(device.validate().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn hotspots_have_a_base() {
        assert_eq!(base_id(262_137_001), Some(2_621_370));
        assert_eq!(base_id(2_621_370), None);
        assert_eq!(base_id(99_999_999), None);
        assert_eq!(base_id(1_000_000_000), None);
    }
}
