//! May a device log in? By the registry's bans and passwords, with a limit on how often failures are told.

use std::time::Instant;

use config::Secret;
use registry::Embedded;
use registry::login::{FailureLimiter, check};
use stack::{DeviceSettings, Login, Verdict};

use crate::bans::{self, Bans};

/// Why a login was refused: its digest is not that of the password.
pub(crate) const WRONG_PASSWORD: &str = "wrong password";
/// Why a login was refused: there is nothing to compare with.
pub(crate) const NO_PASSWORD: &str = "no password is set for this device";

/// What is decided about a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// For the stack.
    pub(crate) verdict: Verdict,
    /// Why it was refused; `None` where that is not told.
    pub(crate) reason: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Logins {
    limiter: FailureLimiter,
    /// For devices that have no password of their own.
    default: Option<Secret>,
}

impl Logins {
    pub(crate) fn new(default: Option<Secret>) -> Self {
        Self { limiter: FailureLimiter::new(), default }
    }

    /// `wall_us` is microseconds since 1970, at the moment `now`.
    pub(crate) fn decide(
        &mut self,
        registry: &Embedded,
        bans: &Bans,
        login: &Login,
        now: Instant,
        wall_us: u64,
    ) -> Decision {
        match self.find(registry, bans, login, wall_us) {
            Ok(settings) => Decision { verdict: Verdict::Accepted { settings }, reason: None },
            Err(reason) => {
                let tell = self.limiter.failed(login.from.ip(), now);
                Decision { verdict: Verdict::Refused { tell }, reason: tell.then_some(reason) }
            }
        }
    }

    /// What the registry says of a device whose login is right; else why it is not.
    fn find(
        &self,
        registry: &Embedded,
        bans: &Bans,
        login: &Login,
        wall_us: u64,
    ) -> Result<DeviceSettings, String> {
        if let Some(ban) = bans.of_device(login.id, wall_us / 1000) {
            return Err(bans::words(ban));
        }
        let password = registry
            .password_for(login.id, self.default.as_ref())
            .map_err(|error| error.to_string())?
            .ok_or(NO_PASSWORD)?;
        if !check(login, &password) {
            return Err(WRONG_PASSWORD.to_owned());
        }
        let device = registry.device(login.id).map_err(|error| error.to_string())?;
        Ok(device.map(|device| device.settings(wall_us)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use registry::Device;
    use sha2::{Digest, Sha256};

    use super::*;

    fn login(id: u32, salt: [u8; 4], password: &str) -> Login {
        let digest = Sha256::new().chain_update(salt).chain_update(password).finalize().into();
        let from = "192.0.2.1:62031".parse().unwrap();
        Login { id, from, salts: [[1; 4], [2; 4]], text: false, digest }
    }

    fn secret(text: &str) -> Option<Secret> {
        Secret::new(text).ok()
    }

    fn registry() -> (tempfile::TempDir, Embedded) {
        let dir = tempfile::tempdir().unwrap();
        let registry = Embedded::open(dir.path(), false).unwrap();
        let device = |id, password, statics| Device { password, statics, ..Device::new(id) };
        registry.put_device(&device(2_621_370, secret("base"), [vec![91], vec![]])).unwrap();
        registry.put_device(&device(262_137_002, None, [vec![], vec![262]])).unwrap();
        (dir, registry)
    }

    #[test]
    fn right_logins_get_their_own_talkgroups() {
        let (_dir, registry) = registry();
        let mut logins = Logins::new(secret("default"));
        let now = Instant::now();
        let mut statics = |login| match logins.decide(&registry, &Bans::default(), &login, now, 0) {
            Decision { verdict: Verdict::Accepted { settings }, reason: None } => settings.statics,
            other => panic!("{other:?}"),
        };
        assert_eq!(statics(login(2_621_370, [1; 4], "base")), [vec![91], vec![]]);
        assert_eq!(statics(login(2_621_370, [2; 4], "base")), [vec![91], vec![]], "the salt before");
        let none: [Vec<u32>; 2] = [vec![], vec![]];
        assert_eq!(statics(login(262_137_001, [1; 4], "base")), none, "not those of the base");
        assert_eq!(statics(login(262_137_002, [1; 4], "base")), [vec![], vec![262]]);
        assert_eq!(statics(login(7, [1; 4], "default")), none);
        let digest = Sha256::digest(b"02020202base").into();
        let text = Login { text: true, digest, ..login(2_621_370, [1; 4], "") };
        assert_eq!(statics(text), [vec![91], vec![]], "the salt before, as text");
    }

    #[test]
    fn wrong_ones_are_told_a_few_times() {
        let (_dir, registry) = registry();
        let mut logins = Logins::new(None);
        let (now, none) = (Instant::now(), Bans::default());
        let cases = [
            (login(2_621_370, [1; 4], "default"), WRONG_PASSWORD),
            (login(2_621_370, [3; 4], "base"), WRONG_PASSWORD),
            (login(7, [1; 4], "default"), NO_PASSWORD),
        ];
        for (login, reason) in &cases {
            let expected =
                Decision { verdict: Verdict::Refused { tell: true }, reason: Some((*reason).to_owned()) };
            assert_eq!(logins.decide(&registry, &none, login, now, 0), expected);
        }
        let told =
            (0..10).filter(|_| logins.decide(&registry, &none, &cases[0].0, now, 0).reason.is_some()).count();
        assert_eq!(told, 2, "five in all");
        let right = login(2_621_370, [1; 4], "base");
        let verdict = logins.decide(&registry, &none, &right, now, 0).verdict;
        assert!(matches!(verdict, Verdict::Accepted { .. }));
    }

    #[test]
    fn who_is_banned_is_refused_whatever_his_password() {
        let (_dir, registry) = registry();
        let mut logins = Logins::new(None);
        let bans = Bans::new(vec![bans::tests::ban(2_621_370, Some(1_000))]);
        let mut reason = |id, wall_ms: u64| {
            let login = login(id, [1; 4], "base");
            logins.decide(&registry, &bans, &login, Instant::now(), wall_ms * 1000).reason
        };
        let expected = "banned until 1970-01-01T00:00:01Z: lift it with `bmctl unban 2621370`";
        assert_eq!(reason(2_621_370, 999).as_deref(), Some(expected));
        assert_eq!(reason(262_137_002, 999).as_deref(), Some(expected), "a hotspot of his");
        assert_eq!((reason(2_621_370, 1_000), reason(262_137_002, 1_000)), (None, None));
    }
}
