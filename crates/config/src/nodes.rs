//! The node IDs of a cluster.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::quote;

/// The highest node ID: 24 bits, as all IDs on the air.
pub const MAX_NODE: u32 = 0x00ff_ffff;

/// Node IDs in the order in which workers get them: ranges, IDs or both with commas between, none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nodes(Vec<RangeInclusive<u32>>);

impl Nodes {
    /// How many there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| (range.end() - range.start()) as usize + 1).sum()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }
}

impl Default for Nodes {
    fn default() -> Self {
        Self(vec![25011..=25018])
    }
}

impl FromStr for Nodes {
    type Err = String;

    /// The error says what is wrong and what would be valid.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(ranges) = read_ranges(text, MAX_NODE) else {
            return Err(format!(
                "{}: not a node range; write e.g. \"25011-25018\" or \"25011,25013\" (IDs from 1 to {MAX_NODE})",
                quote(text)
            ));
        };
        match doubled(&ranges) {
            Some(node) => Err(format!("node {node} is there twice; name each ID once")),
            None => Ok(Self(ranges)),
        }
    }
}

/// Ranges, numbers or both with commas between, from 1 to `highest`; `None` where it is none.
pub(crate) fn read_ranges(text: &str, highest: u32) -> Option<Vec<RangeInclusive<u32>>> {
    text.split(',').map(|part| range(part.trim(), highest)).collect()
}

fn range(text: &str, highest: u32) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first.trim(), highest)?, number(last.trim(), highest)?);
    (first <= last).then_some(first..=last)
}

fn number(text: &str, highest: u32) -> Option<u32> {
    // `parse` alone would take "+5".
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (1..=highest).contains(number))
}

/// The first number that is in two ranges.
pub(crate) fn doubled(ranges: &[RangeInclusive<u32>]) -> Option<u32> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| *range.start());
    sorted.windows(2).find(|pair| pair[0].end() >= pair[1].start()).map(|pair| *pair[1].start())
}

/// Ranges as they are read.
pub(crate) fn write_ranges(ranges: &[RangeInclusive<u32>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, range) in ranges.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        match range.start() == range.end() {
            true => write!(f, "{comma}{}", range.start())?,
            false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
        }
    }
    Ok(())
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ranges(&self.0, f)
    }
}

impl TryFrom<String> for Nodes {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Nodes> for String {
    fn from(nodes: Nodes) -> Self {
        nodes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<u32> {
        text.parse::<Nodes>().unwrap().iter().collect()
    }

    #[test]
    fn ranges_ids_and_lists() {
        assert_eq!(all("25011"), [25011]);
        assert_eq!(all("25011-25013"), [25011, 25012, 25013]);
        assert_eq!(all("30, 10 - 12,20"), [30, 10, 11, 12, 20]);
        assert_eq!("1-16777215".parse::<Nodes>().unwrap().count(), 16_777_215);
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in ["", "25011-", "-25011", "0", "5-4", "1-2-3", "1,,2", "+5", "16777216", "a", "4294967297"]
        {
            let error = bad.parse::<Nodes>().unwrap_err();
            assert!(error.contains("not a node range; write e.g."), "{bad}: {error}");
        }
        assert_eq!("7-9,1,8".parse::<Nodes>().unwrap_err(), "node 8 is there twice; name each ID once");
        assert!("9".repeat(100_000).parse::<Nodes>().unwrap_err().len() < 200);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_back_as_written(text in "[0-9, -]{0,20}") {
            if let Ok(nodes) = text.parse::<Nodes>() {
                proptest::prop_assert_eq!(nodes.to_string().parse::<Nodes>().unwrap(), nodes);
            }
        }
    }
}
