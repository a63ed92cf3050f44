//! An event with its time and place: one flat JSON object on one line.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::Event;

/// RFC 3339 in UTC, always with microseconds, so that lines sort by time.
const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The same to the second.
const SECONDS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A time in milliseconds since 1970 as RFC 3339 in UTC, to the second: `2026-03-01T12:00:00Z`.
#[must_use]
pub fn utc(time_ms: u64) -> String {
    let time = i64::try_from(time_ms / 1000).map(OffsetDateTime::from_unix_timestamp);
    let text = time.ok().and_then(Result::ok).and_then(|time| time.format(SECONDS).ok());
    text.unwrap_or_else(|| "after the year 9999".to_owned())
}

/// An event as it is printed and published:
/// `{"Time":"2026-03-01T12:00:00.250000Z","Node":25011,"Worker":0,"Event":"Worker-Started","Pid":7}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// When, in microseconds since 1970 (UTC); RFC 3339 in JSON.
    #[serde(rename = "Time", serialize_with = "write_time", deserialize_with = "read_time")]
    pub time_us: u64,
    /// The node it happened on; for what concerns the whole cluster, that of worker 0.
    pub node: u32,
    /// The slot of the worker; left out for what concerns the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u16>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The MQTT topic it is published on.
    #[must_use]
    pub fn topic(&self) -> String {
        self.event.topic(self.node)
    }

    /// The JSON text, one line without its end.
    ///
    /// # Errors
    /// When the time is beyond the year 9999.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

fn write_time<S: Serializer>(time_us: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(*time_us) * 1000);
    let time = time.map_err(|_| ser::Error::custom(format!("time {time_us} us is beyond the year 9999")))?;
    serializer.serialize_str(&time.format(FORMAT).map_err(ser::Error::custom)?)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)?;
    let us = time.unix_timestamp_nanos() / 1000;
    u64::try_from(us).map_err(|_| de::Error::custom("a time before 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time_us: u64, worker: Option<u16>) -> Record {
        Record { time_us, node: 25011, worker, event: Event::WorkerStarted { pid: 7 } }
    }

    #[test]
    fn one_flat_object_a_line() {
        let json = record(1_772_366_400_250_000, Some(0)).to_json().unwrap();
        assert_eq!(
            json,
            r#"{"Time":"2026-03-01T12:00:00.250000Z","Node":25011,"Worker":0,"Event":"Worker-Started","Pid":7}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record(1_772_366_400_250_000, Some(0)));
        let json = record(0, None).to_json().unwrap();
        assert_eq!(
            json,
            r#"{"Time":"1970-01-01T00:00:00.000000Z","Node":25011,"Event":"Worker-Started","Pid":7}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record(0, None));
        assert_eq!(record(0, None).topic(), "Master/25011/System");
    }

    #[test]
    fn nothing_breaks_the_line() {
        let address = "192.0.2.1:1".parse().unwrap();
        let reason = "a\r\nb\u{2028}\0".to_owned();
        let event = Event::RepeaterRefused { context_id: 1, address, reason };
        let record = Record { time_us: 1, node: 1, worker: Some(1), event };
        let json = record.to_json().unwrap();
        assert!(!json.contains(['\n', '\r', '\0']));
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn times_to_the_second() {
        assert_eq!(utc(1_772_366_400_999), "2026-03-01T12:00:00Z");
        assert_eq!(utc(u64::MAX), "after the year 9999");
    }

    #[test]
    fn times_that_cannot_be_are_errors() {
        assert!(record(253_402_300_799_999_999, None).to_json().is_ok());
        assert!(record(u64::MAX, None).to_json().is_err());
        let json = r#"{"Time":"9999-12-31T23:59:59-23:59","Node":1,"Event":"Worker-Started","Pid":7}"#;
        assert!(serde_json::from_str::<Record>(json).is_ok());
        for time in ["", "1969-12-31T23:59:59Z", "2026-03-01"] {
            let json = format!(r#"{{"Time":"{time}","Node":1,"Event":"Worker-Started","Pid":7}}"#);
            assert!(serde_json::from_str::<Record>(&json).is_err(), "{time}");
        }
    }
}
