//! The lines on standard error. One has a fixed shape, which the fail2ban filter in `deploy/fail2ban` reads:
//!
//! ```text
//! mmdvm: refused id=2501001 address=192.0.2.7 port=54321 reason="wrong password"
//! ```
//!
//! `address` is an IP address without brackets, an IPv4 one always in its own form; `reason` is quoted, with
//! quotes and backslashes in it escaped, and nothing that a device sends can end the line.

use std::fmt::Display;
use std::net::SocketAddr;

/// Writes a line, where somebody reads it.
pub(crate) fn line(text: impl Display) {
    sys::write_line(std::io::stderr(), &text.to_string());
}

/// The line about a device that was refused.
pub(crate) fn refused(id: u32, from: SocketAddr, reason: &str) -> String {
    let (address, port) = (from.ip().to_canonical(), from.port());
    format!("mmdvm: refused id={id} address={address} port={port} reason={reason:?}")
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::login::{NO_PASSWORD, WRONG_PASSWORD};

    const FILTER: &str = include_str!("../../../deploy/fail2ban/filter.d/bmctl-mmdvm.conf");

    /// The filter's expression; fail2ban puts about this in the place of `<HOST>`.
    fn filter() -> Regex {
        let expression = FILTER.lines().find_map(|line| line.strip_prefix("failregex = ")).unwrap();
        let host = r"(?P<host>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9a-fA-F:]+\]?)";
        Regex::new(&expression.replace("<HOST>", host)).unwrap()
    }

    #[test]
    fn one_shape_for_every_refusal() {
        let line = refused(2_501_001, "192.0.2.7:54321".parse().unwrap(), WRONG_PASSWORD);
        assert_eq!(line, r#"mmdvm: refused id=2501001 address=192.0.2.7 port=54321 reason="wrong password""#);
        let line = refused(1, "[::ffff:192.0.2.7]:1".parse().unwrap(), "a\n\"b\\");
        assert_eq!(line, r#"mmdvm: refused id=1 address=192.0.2.7 port=1 reason="a\n\"b\\""#);
    }

    #[test]
    fn the_filter_finds_the_address_of_failed_logins() {
        let filter = filter();
        let of = |line: &str| filter.captures(line).map(|found| found["host"].to_owned());
        let bad = mmdvm::Error::Field { field: "call sign", value: "\" x=\"".to_owned(), valid: "letters" };
        for reason in [WRONG_PASSWORD, NO_PASSWORD, &bad.to_string()] {
            let line = refused(7, "192.0.2.7:1".parse().unwrap(), reason);
            assert_eq!(of(&line).as_deref(), Some("192.0.2.7"), "{line}");
            let line = refused(7, "[2001:db8::7]:1".parse().unwrap(), reason);
            assert_eq!(of(&line).as_deref(), Some("2001:db8::7"), "{line}");
            assert_eq!(of(&format!("host bmctl[7]: {line}")).as_deref(), Some("2001:db8::7"));
        }
    }

    #[test]
    fn the_filter_finds_nothing_else() {
        let filter = filter();
        let from = "192.0.2.7:1".parse().unwrap();
        let forged = "mmdvm: refused id=1 address=198.51.100.1 port=1 reason=\"wrong password\"";
        for line in [
            refused(7, from, "no room for one more context in this shard: raise its capacity"),
            refused(7, from, "3 static talkgroups of the options are ignored: a slot has at most 32"),
            refused(7, from, forged),
            format!("services: {forged}"),
        ] {
            assert!(!filter.is_match(&line), "{line}");
        }
    }
}
