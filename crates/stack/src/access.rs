//! Who may: lists of IDs and of call signs that are let in or kept out.

use serde::{Deserialize, Serialize};

/// Which IDs are let in. What is denied stays out; where something is allowed, all else stays out too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Ranges, first and last ID; empty for all.
    pub allow: Vec<(u32, u32)>,
    /// Ranges, first and last ID.
    pub deny: Vec<(u32, u32)>,
}

impl Access {
    /// Whether the ID is let in.
    #[must_use]
    pub fn permits(&self, id: u32) -> bool {
        let within = |ranges: &[(u32, u32)]| ranges.iter().any(|&(first, last)| (first..=last).contains(&id));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

/// Which call signs are let in, by the rule of [`Access`]. A pattern is a call sign, or the beginning of one with
/// `*` behind it; case is of no matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAccess {
    /// Patterns; empty for all.
    pub allow: Vec<String>,
    /// Patterns.
    pub deny: Vec<String>,
}

impl CallAccess {
    /// Whether the call sign is let in.
    #[must_use]
    pub fn permits(&self, call: &str) -> bool {
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| is_like(call, pattern));
        !matches(&self.deny) && (self.allow.is_empty() || matches(&self.allow))
    }
}

fn is_like(call: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => {
            call.get(..begin.len()).is_some_and(|call_begin| call_begin.eq_ignore_ascii_case(begin))
        }
        None => call.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_stays_out_and_all_else_where_something_is_allowed() {
        assert!(Access::default().permits(7));
        let access = Access { allow: vec![(1, 99), (262_000, 262_999)], deny: vec![(9, 9)] };
        assert!(access.permits(1) && access.permits(99) && access.permits(262_500));
        assert!(!access.permits(9) && !access.permits(100));
        assert!(!Access { allow: vec![], deny: vec![(5, 7)] }.permits(6));
    }

    #[test]
    fn call_signs_by_pattern() {
        let of = |allow: &[&str], deny: &[&str]| CallAccess {
            allow: allow.iter().map(|&pattern| pattern.to_owned()).collect(),
            deny: deny.iter().map(|&pattern| pattern.to_owned()).collect(),
        };
        assert!(CallAccess::default().permits("N0CALL"));
        let access = of(&["DL*", "db0abc"], &["DL1XYZ"]);
        assert!(access.permits("dl9a") && access.permits("DB0ABC") && access.permits("DL1XYZ9"));
        assert!(!access.permits("DL1xyz") && !access.permits("DB0ABCD") && !access.permits("D"));
        assert!(!of(&[], &["*"]).permits("Ü"));
    }
}
