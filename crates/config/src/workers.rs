//! How many workers there are, and which of them serve a stack.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most workers of one cluster.
pub const MAX_WORKERS: u16 = 127;

/// How many workers a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workers {
    /// One a core, as far as there are node IDs.
    Auto,
    /// So many: 1 to [`MAX_WORKERS`].
    Number(u16),
}

impl Workers {
    /// The number, if there can be so many workers.
    pub(crate) fn number(number: i64) -> Option<u16> {
        u16::try_from(number).ok().filter(|number| (1..=MAX_WORKERS).contains(number))
    }
}

impl FromStr for Workers {
    type Err = String;

    /// Reads `auto` or a number, as on a command line; the error says what would be valid.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = text.parse().ok().and_then(Self::number);
        number.map(Self::Number).ok_or_else(|| format!("write auto or a number from 1 to {MAX_WORKERS}"))
    }
}

/// Which workers serve a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// All that stacks share.
    All,
    /// So many of those; all where there are fewer.
    Number(u16),
    /// One beside those, which serves nothing else.
    Own,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_from_a_command_line() {
        assert_eq!("auto".parse(), Ok(Workers::Auto));
        assert_eq!("127".parse(), Ok(Workers::Number(127)));
        for bad in ["", "0", "129", "-1", "two"] {
            assert_eq!(
                bad.parse::<Workers>(),
                Err("write auto or a number from 1 to 127".to_owned()),
                "{bad}"
            );
        }
    }
}
