//! Loop lag between two counts of a worker's stats page, in words.

use fabric::LAG_BUCKETS_US;

/// What 99 of 100 rounds between two counts did not exceed, as far as the buckets tell; `None` where there were none, or
/// the counts have begun anew.
pub(super) fn p99(before: &[u64], now: &[u64]) -> Option<String> {
    let rounds: Option<Vec<u64>> = now
        .iter()
        .enumerate()
        .map(|(bucket, now)| now.checked_sub(before.get(bucket).copied().unwrap_or(0)))
        .collect();
    let rounds = rounds?;
    let sum = |rounds: &[u64]| rounds.iter().map(|&count| u128::from(count)).sum::<u128>();
    let all = sum(&rounds);
    let bucket = (0..rounds.len()).find(|&bucket| all > 0 && sum(&rounds[..=bucket]) * 100 >= all * 99)?;
    Some(match (LAG_BUCKETS_US.get(bucket), LAG_BUCKETS_US.last()) {
        (Some(&bound), _) => time(bound),
        (None, last) => format!(">{}", time(last.copied().unwrap_or(0))),
    })
}

fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        _ if us.is_multiple_of(1_000) => format!("{} ms", us / 1_000),
        _ => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_that_holds_99_of_100() {
        let p99 = |rounds: &[u64]| p99(&[], rounds).unwrap();
        assert_eq!(p99(&[99, 1]), "50 us");
        assert_eq!(p99(&[98, 2]), "100 us");
        assert_eq!(p99(&[0, 0, 0, 0, 0, 1]), "2.5 ms");
        assert_eq!(p99(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), ">50 ms");
        assert_eq!(p99(&[u64::MAX; 12]), ">50 ms", "a longer list of another version");
        assert_eq!(super::p99(&[1], &[1]), None);
        assert_eq!(super::p99(&[], &[]), None);
    }
}
