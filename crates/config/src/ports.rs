//! The ports of a cluster's workers.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::quote;
use crate::nodes::{doubled, read_ranges, write_ranges};

/// Ports in the order in which workers get them: written as [`crate::Nodes`] are, none 0, none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports(Vec<RangeInclusive<u32>>);

impl Ports {
    /// How many there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| (range.end() - range.start()) as usize + 1).sum()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().cloned().flatten().filter_map(|port| u16::try_from(port).ok())
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self(vec![54000..=54007])
    }
}

impl FromStr for Ports {
    type Err = String;

    /// The error says what is wrong and what would be valid.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(ranges) = read_ranges(text, u16::MAX.into()) else {
            return Err(format!(
                "{}: no range of ports; write e.g. \"54000-54007\" or \"54000,54010\" (ports from 1 to {})",
                quote(text),
                u16::MAX
            ));
        };
        match doubled(&ranges) {
            Some(port) => Err(format!("port {port} is there twice; name each port once")),
            None => Ok(Self(ranges)),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ranges(&self.0, f)
    }
}

impl TryFrom<String> for Ports {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> Self {
        ports.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_node_ids_are() {
        let all = |text: &str| text.parse::<Ports>().unwrap().iter().collect::<Vec<u16>>();
        assert_eq!(all("54010, 1-2,65535"), [54010, 1, 2, 65535]);
        assert_eq!(Ports::default().to_string(), "54000-54007");
        assert_eq!("1-65535".parse::<Ports>().unwrap().count(), 65535);
        assert_eq!(
            "0-5".parse::<Ports>().unwrap_err(),
            "\"0-5\": no range of ports; write e.g. \"54000-54007\" or \"54000,54010\" (ports from 1 to 65535)"
        );
        assert!("65536".parse::<Ports>().is_err() && "".parse::<Ports>().is_err());
        assert_eq!("7-9,8".parse::<Ports>().unwrap_err(), "port 8 is there twice; name each port once");
    }
}
