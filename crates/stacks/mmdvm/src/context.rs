//! One login: what is known of the device, and how it is written down for a later owner of the shard.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use stack::{DeviceSettings, Line, LinkType, Profile, Time};

use crate::options::Options;
use crate::path::{Dialect, Path};
use crate::rules::Rules;
use crate::statics::Statics;
use crate::{Config, Error};

/// First byte of a record: which encoding follows.
const VERSION: u8 = 2;

/// One login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The device's ID.
    pub(crate) id: u32,
    /// How it is reached.
    pub(crate) path: Path,
    /// When it last showed that it is alive.
    pub(crate) heard: Time,
    /// What it is; `None` until it has said so: only then is it running.
    pub(crate) config: Option<Box<Config>>,
    /// Its static talkgroups.
    pub(crate) statics: Statics,
    /// How it is served besides.
    pub(crate) rules: Rules,
}

/// A context as it is written down: without the time, which is another one when it is read.
#[derive(Serialize, Deserialize)]
struct Record<C, S, R> {
    id: u32,
    ip: IpAddr,
    port: u16,
    /// Which network a link-local address is of; 0 for all others.
    scope: u32,
    listener: u8,
    local: Option<IpAddr>,
    dialect: Dialect,
    config: Option<C>,
    statics: S,
    rules: R,
}

impl Context {
    /// A device that has just logged in.
    pub(crate) fn new(now: Time, id: u32, path: Path, registry: &DeviceSettings) -> Self {
        let (statics, rules) = (Statics::default(), Rules::default());
        let mut context = Self { id, path, heard: now, config: None, statics, rules };
        context.set_registry(registry);
        context
    }

    /// Replaces what the registry says.
    pub(crate) fn set_registry(&mut self, settings: &DeviceSettings) {
        self.statics.set_registry(&settings.statics);
        self.rules.set_registry(settings);
    }

    /// Replaces what the device asked for. Returns how many talkgroups found no room.
    pub(crate) fn set_options(&mut self, options: &Options) -> usize {
        self.rules.set_options(options);
        self.statics.set_options(&options.statics)
    }

    /// Whether it has said what it is, and so takes part in calls.
    pub(crate) const fn is_running(&self) -> bool {
        self.config.is_some()
    }

    /// What the switch has to know of it, once it is running.
    pub(crate) fn profile(&self) -> Option<Profile> {
        let config = self.config.as_ref()?;
        Some(Profile {
            id: self.id,
            link: LinkType::Repeater,
            line: Line::Channel,
            slots: config.slots,
            statics: self.statics.lists(config.slots).0,
            blocked: self.rules.blocked().to_vec(),
            single: self.rules.single(),
            dynamic_minutes: self.rules.dynamic_minutes(),
            colour_code: config.colour_code,
        })
    }

    /// Writes it down: at most 436 bytes. `None` where `out` is too small.
    pub(crate) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let (version, rest) = out.split_first_mut()?;
        let remote = self.path.remote;
        let record = Record {
            id: self.id,
            ip: remote.ip(),
            port: remote.port(),
            scope: if let SocketAddr::V6(v6) = remote { v6.scope_id() } else { 0 },
            listener: self.path.listener,
            local: self.path.local,
            dialect: self.path.dialect,
            config: self.config.as_deref(),
            statics: &self.statics,
            rules: &self.rules,
        };
        let len = postcard::to_slice(&record, rest).ok()?.len();
        *version = VERSION;
        Some(1 + len)
    }

    /// Reads what was written down; the device counts as just heard.
    pub(crate) fn decode(now: Time, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::Record { len: bytes.len(), version: VERSION };
        let rest = bytes.strip_prefix(&[VERSION]).ok_or_else(damaged)?;
        let record: Record<Box<Config>, Statics, Rules> =
            postcard::from_bytes(rest).map_err(|_| damaged())?;
        let remote = match record.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, record.port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, record.port, 0, record.scope).into(),
        };
        // Numbers that no device can have said.
        if record.config.as_ref().is_some_and(|config| config.colour_code > 15)
            || record.rules.dynamic_minutes() == Some(0)
        {
            return Err(damaged());
        }
        Ok(Self {
            id: record.id,
            path: Path { listener: record.listener, local: record.local, remote, dialect: record.dialect },
            heard: now,
            config: record.config,
            statics: record.statics,
            rules: record.rules,
        })
    }
}

#[cfg(test)]
mod tests {
    use arrayvec::ArrayString;
    use stack::{MAX_BLOCKED, Slot, Slots};

    use super::*;
    use crate::Position;

    fn largest() -> Context {
        let talkgroups = |first: u32| (first..first + 32).collect::<Vec<_>>();
        let remote = SocketAddrV6::new([0xFFFF; 8].into(), u16::MAX, 0, u32::MAX).into();
        let local = Some(IpAddr::from([0xFFFF_u16; 8]));
        let path = Path { listener: u8::MAX, local, remote, dialect: Dialect::Text };
        let statics = [talkgroups(0xFF_FF00), talkgroups(0xFF_FE00)];
        let blocked = (0xFF_FFF0..).take(MAX_BLOCKED).collect();
        let settings = DeviceSettings { statics: statics.clone(), blocked, single: true };
        let mut context = Context::new(Time(5), u32::MAX, path, &settings);
        context.set_options(&Options { statics, single: true, dynamic_minutes: Some(1440) });
        context.config = Some(Box::new(Config {
            call: ArrayString::from("XXXXXXXX").unwrap(),
            rx_frequency: 999_999_999,
            tx_frequency: 999_999_999,
            power: 99,
            colour_code: 15,
            position: Some(Position { latitude: -90_000_000, longitude: -180_000_000 }),
            height: i16::MIN,
            location: ArrayString::from(&"ü".repeat(10)).unwrap(),
            description: ArrayString::from(&"ü".repeat(10)).unwrap(),
            slots: Slots::Only(Slot::Two),
            software: ArrayString::from(&"ü".repeat(16)).unwrap(),
            package: ArrayString::from(&"ü".repeat(16)).unwrap(),
        }));
        context
    }

    #[test]
    fn the_largest_record_fits() {
        let context = largest();
        let mut out = [0; 448];
        let len = context.encode(&mut out).unwrap();
        assert!(len <= 436, "{len}");
        let back = Context::decode(Time(9), &out[..len]).unwrap();
        assert_eq!(back, Context { heard: Time(9), ..context });
    }

    #[test]
    fn a_waiting_context_comes_back_too() {
        let remote = "192.0.2.1:5".parse().unwrap();
        let path = Path { listener: 1, local: None, remote, dialect: Dialect::Text };
        let settings = DeviceSettings { statics: [vec![91], vec![]], blocked: vec![9], single: true };
        let context = Context::new(Time(1), 7, path, &settings);
        let mut out = [0; 448];
        let len = context.encode(&mut out).unwrap();
        assert_eq!(Context::decode(Time(1), &out[..len]).unwrap(), context);
        // A segment hands out whole records: what follows is no matter.
        assert_eq!(Context::decode(Time(1), &out).unwrap(), context);
    }

    #[test]
    fn damaged_records_are_refused() {
        let mut out = [0; 448];
        let len = largest().encode(&mut out).unwrap();
        for cut in 0..len {
            assert!(Context::decode(Time(0), &out[..cut]).is_err(), "{cut}");
            assert!(largest().encode(&mut [0; 448][..cut]).is_none());
        }
        out[0] = 1;
        let error = Context::decode(Time(0), &out[..len]).unwrap_err();
        assert_eq!(error, Error::Record { len, version: 2 });
    }
}
