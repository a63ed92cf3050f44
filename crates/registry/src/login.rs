//! The rules of a login: is the password right, and is a wrong one told? Pure: time is handed in.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use config::Secret;
use sha2::{Digest, Sha256};
use stack::Login;
use subtle::ConstantTimeEq;

/// How many failed logins of one address are told within [`WINDOW`].
pub const TOLD: u32 = 5;

/// How long failed logins are counted, from the first one.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are remembered; beyond it the one counted longest is forgotten.
pub const MAX_ADDRESSES: usize = 65_536;

/// Whether a login was answered with `password`: both salts are tried, each in constant time.
#[must_use]
pub fn check(login: &Login, password: &Secret) -> bool {
    let [present, before] = login.salts.map(|salt| {
        let text = format!("{:08X}", u32::from_be_bytes(salt));
        let salt: &[u8] = if login.text { text.as_bytes() } else { &salt };
        let right = Sha256::new().chain_update(salt).chain_update(password.expose()).finalize();
        right.as_slice().ct_eq(&login.digest)
    });
    (present | before).into()
}

/// Counts failed logins by address (IPv6: by /64, which one user has whole), so that whoever guesses or has
/// forgotten its password is not answered for ever. Right logins are never asked about: thousands may share
/// one address.
#[derive(Debug, Default)]
pub struct FailureLimiter {
    /// Failures by address; each is in `order` too.
    failures: BTreeMap<IpAddr, u32>,
    /// When each address was first counted, oldest first: all windows are of one length, so they end in
    /// this order.
    order: VecDeque<(Instant, IpAddr)>,
}

impl FailureLimiter {
    /// Without a failure.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a failed login. Says whether it is to be told: yes for the first [`TOLD`] within [`WINDOW`].
    /// `now` must not go back.
    #[must_use]
    pub fn failed(&mut self, from: IpAddr, now: Instant) -> bool {
        while let Some((first, _)) = self.order.front()
            && now.saturating_duration_since(*first) >= WINDOW
        {
            self.forget_oldest();
        }
        let from = group(from);
        if let Some(count) = self.failures.get_mut(&from) {
            *count = count.saturating_add(1);
            return *count <= TOLD;
        }
        if self.failures.len() >= MAX_ADDRESSES {
            self.forget_oldest();
        }
        self.failures.insert(from, 1);
        self.order.push_back((now, from));
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((_, address)) = self.order.pop_front() {
            self.failures.remove(&address);
        }
    }
}

/// What counts as one address.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn login(salts: [[u8; 4]; 2], text: bool, digest: [u8; 32]) -> Login {
        Login { id: 1, from: "192.0.2.1:62030".parse().unwrap(), salts, text, digest }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told(limiter: &mut FailureLimiter, from: IpAddr, now: Instant) -> usize {
        (0..20).filter(|_| limiter.failed(from, now)).count()
    }

    #[test]
    fn digest_of_salt_and_password() {
        // printf '\x0a\x7e\xd4\x98passw0rd' | sha256sum
        let digest = [
            0x83, 0x18, 0x78, 0xed, 0x07, 0x30, 0x09, 0x9e, 0xe0, 0x0f, 0x41, 0x93, 0x62, 0xc2, 0xc7, 0xa5,
            0xb8, 0x3d, 0x73, 0x8e, 0xbb, 0xc2, 0x85, 0xe5, 0x25, 0x24, 0x93, 0x3b, 0xb2, 0x0e, 0x0a, 0xff,
        ];
        let password = Secret::new("passw0rd").unwrap();
        let (salt, other) = ([0x0a, 0x7e, 0xd4, 0x98], [0x0a, 0x7e, 0xd4, 0x99]);
        assert!(check(&login([salt, other], false, digest), &password));
        assert!(check(&login([other, salt], false, digest), &password), "the salt before");
        assert!(!check(&login([salt, other], false, digest), &Secret::new("passw0rD").unwrap()));
        assert!(!check(&login([other, other], false, digest), &password));
        assert!(!check(&login([salt, other], true, digest), &password), "hashed as bytes");
        for bit in 0..256 {
            let mut wrong = digest;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(&login([salt, other], false, wrong), &password));
        }
    }

    #[test]
    fn digest_of_salt_as_text_and_password() {
        // The example in the specification of 2015: SHA-256 of "0A7ED498DL5DI".
        let digest = [
            0xcb, 0xf0, 0xe2, 0x9a, 0xbb, 0xd1, 0x1c, 0x65, 0x73, 0x82, 0x5d, 0x36, 0xa6, 0x64, 0xe3, 0x06,
            0x44, 0x41, 0xf9, 0x1f, 0xc8, 0x15, 0xac, 0x5d, 0xc5, 0xca, 0x57, 0x0d, 0x4c, 0x4a, 0x5f, 0x85,
        ];
        let password = Secret::new("DL5DI").unwrap();
        let (salt, other) = ([0x0a, 0x7e, 0xd4, 0x98], [0; 4]);
        assert!(check(&login([salt, other], true, digest), &password));
        assert!(check(&login([other, salt], true, digest), &password), "the salt before");
        assert!(!check(&login([salt, other], false, digest), &password), "hashed as text");
        assert!(!check(&login([other, other], true, digest), &password));
    }

    #[test]
    fn the_first_failures_are_told() {
        let (mut limiter, start) = (FailureLimiter::new(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(told(&mut limiter, ip("192.0.2.1"), at(0)), 5);
        assert_eq!(told(&mut limiter, ip("192.0.2.1"), at(59)), 0);
        assert_eq!(told(&mut limiter, ip("192.0.2.2"), at(59)), 5);
        assert_eq!(told(&mut limiter, ip("192.0.2.1"), at(60)), 5);
        assert_eq!(told(&mut limiter, ip("192.0.2.2"), at(60)), 0);
        // Time that goes back is no harm.
        assert_eq!(told(&mut limiter, ip("192.0.2.1"), at(1)), 0);
    }

    #[test]
    fn one_user_is_one_address() {
        let (mut limiter, now) = (FailureLimiter::new(), Instant::now());
        assert_eq!(told(&mut limiter, ip("2001:db8:1:2::1"), now), 5);
        assert_eq!(told(&mut limiter, ip("2001:db8:1:2:ffff::9"), now), 0);
        assert_eq!(told(&mut limiter, ip("2001:db8:1:3::1"), now), 5);
        assert_eq!(told(&mut limiter, ip("192.0.2.1"), now), 5);
        assert_eq!(told(&mut limiter, ip("::ffff:192.0.2.1"), now), 0);
    }

    #[test]
    fn remembers_no_more_than_it_may() {
        let (mut limiter, now) = (FailureLimiter::new(), Instant::now());
        let address = |n: usize| Ipv4Addr::from_bits(u32::try_from(n).unwrap()).into();
        for n in 0..MAX_ADDRESSES {
            assert_eq!(told(&mut limiter, address(n), now), 5);
        }
        assert!(!limiter.failed(address(0), now));
        for n in 0..1000 {
            let prefix = Ipv6Addr::from_bits((u128::try_from(n).unwrap() + 1) << 64);
            assert!(limiter.failed(prefix.into(), now));
        }
        assert_eq!((limiter.failures.len(), limiter.order.len()), (MAX_ADDRESSES, MAX_ADDRESSES));
        assert!(limiter.failed(address(0), now), "the oldest were forgotten");
        assert!(!limiter.failed(address(2000), now));
        assert!(limiter.failed(address(2000), now + WINDOW));
        assert_eq!((limiter.failures.len(), limiter.order.len()), (1, 1));
    }
}
