//! The talkgroups of a peer, from text: ranges and renamed ones, as the configuration file and the registry have them.

use stack::{MAX_ENTRIES, Talkgroups};

use crate::error::quote;
use crate::rules;

/// The highest talkgroup: 24 bits.
const MAX_TALKGROUP: u32 = 0x00ff_ffff;

/// A talkgroup or a range of them: `91`, `3100-3199`.
///
/// # Errors
/// In words: what was written and what would be valid.
pub fn range(text: &str) -> Result<(u32, u32), String> {
    rules::range(text, MAX_TALKGROUP).ok_or_else(|| {
        format!("{}: write talkgroups from 1 to {MAX_TALKGROUP}, e.g. 91 or \"3100-3199\"", quote(text))
    })
}

/// A talkgroup that has another number there: `91=3191` is 91 here and 3191 there.
///
/// # Errors
/// In words: what was written and what would be valid.
pub fn rename(text: &str) -> Result<(u32, u32), String> {
    let one = |text: &str| rules::range(text, MAX_TALKGROUP).filter(|(first, last)| first == last);
    let (here, there) = text.split_once('=').unwrap_or_default();
    match (one(here), one(there)) {
        (Some((here, _)), Some((there, _))) => Ok((here, there)),
        _ => Err(format!("{}: write two talkgroups, e.g. \"91=3191\": 91 here is 3191 there", quote(text))),
    }
}

/// All that a peer has: ranges merged and in order, what cannot be refused.
///
/// # Errors
/// In words: a talkgroup that is renamed twice, two that would become one, one that is in no list, too many entries.
pub fn of(
    r#in: Vec<(u32, u32)>,
    out: Vec<(u32, u32)>,
    mut renamed: Vec<(u32, u32)>,
) -> Result<Talkgroups, String> {
    let (r#in, out) = (merge(r#in), merge(out));
    renamed.sort_unstable();
    let has = |ranges: &[(u32, u32)], talkgroup| {
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&talkgroup))
    };
    if let Some((here, _)) = renamed.iter().find(|(here, _)| !has(&r#in, *here) && !has(&out, *here)) {
        return Err(format!("rewrite: {here} is in none of its lists of talkgroups; add it there"));
    }
    if let Some(pair) = renamed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("rewrite: {} has two numbers there; name each talkgroup once", pair[0].0));
    }
    let mut there: Vec<u32> = renamed.iter().map(|(_, there)| *there).collect();
    there.sort_unstable();
    if let Some(pair) = there.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("rewrite: two talkgroups would be {} there; name each number once", pair[0]));
    }
    let talkgroups = Talkgroups { out, r#in, renamed };
    match talkgroups.entries() {
        0..=MAX_ENTRIES => Ok(talkgroups),
        count => Err(format!(
            "{count} ranges and rewrites; at most {MAX_ENTRIES}: put neighbours into ranges (the same both ways \
             count once)"
        )),
    }
}

/// In order, what overlaps or adjoins as one.
fn merge(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_renames_are_text() {
        assert_eq!(range("91"), Ok((91, 91)));
        assert_eq!(range(" 3100 - 3199"), Ok((3100, 3199)));
        assert_eq!(rename("91=3191"), Ok((91, 3191)));
        assert_eq!(rename("91 = 3191"), Ok((91, 3191)));
        for bad in ["", "0", "9-1", "16777216", "+5", "a", "1-2-3"] {
            assert!(range(bad).unwrap_err().contains("write talkgroups from 1 to 16777215"), "{bad}");
        }
        for bad in ["", "91", "=", "91=", "1-2=3", "91=0", "91=16777216", "1=2=3"] {
            assert!(rename(bad).unwrap_err().contains("write two talkgroups"), "{bad}");
        }
    }

    #[test]
    fn what_overlaps_or_adjoins_is_one() {
        assert_eq!(merge(vec![(5, 9), (1, 2), (3, 4), (7, 20), (22, 22)]), [(1, 20), (22, 22)]);
        assert_eq!(merge(vec![(1, u32::MAX), (2, 3)]), [(1, u32::MAX)]);
        assert_eq!(merge(vec![]), []);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let wrong = |renamed: &[(u32, u32)]| of(vec![(1, 9)], vec![], renamed.to_vec()).unwrap_err();
        assert_eq!(wrong(&[(91, 5)]), "rewrite: 91 is in none of its lists of talkgroups; add it there");
        assert_eq!(wrong(&[(2, 5), (2, 6)]), "rewrite: 2 has two numbers there; name each talkgroup once");
        assert_eq!(
            wrong(&[(2, 5), (3, 5)]),
            "rewrite: two talkgroups would be 5 there; name each number once"
        );
        let many: Vec<_> = (1..=33).map(|n| (n * 2, n * 2)).collect();
        assert!(
            of(many.clone(), many, vec![]).unwrap_err().starts_with("33 ranges and rewrites; at most 32")
        );
        // A number that is another's here: both are renamed, so nothing is two.
        assert_eq!(of(vec![(1, 9)], vec![], vec![(2, 3), (3, 2)]).unwrap().renamed, [(2, 3), (3, 2)]);
    }
}
