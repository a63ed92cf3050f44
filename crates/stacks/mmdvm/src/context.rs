//! One login: what is known of the device, and how it is written down for a later owner of the shard.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use stack::{LinkType, Profile, Time};

use crate::path::Path;
use crate::statics::Statics;
use crate::{Config, Error};

/// First byte of a record: which encoding follows.
const VERSION: u8 = 1;

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
}

/// A context as it is written down: without the time, which is another one when it is read.
#[derive(Serialize, Deserialize)]
struct Record<C, S> {
    id: u32,
    ip: IpAddr,
    port: u16,
    /// Which network a link-local address is of; 0 for all others.
    scope: u32,
    listener: u8,
    local: Option<IpAddr>,
    config: Option<C>,
    statics: S,
}

impl Context {
    /// A device that has just logged in.
    pub(crate) fn new(now: Time, id: u32, path: Path, registry: &[Vec<u32>; 2]) -> Self {
        let mut statics = Statics::default();
        statics.set_registry(registry);
        Self { id, path, heard: now, config: None, statics }
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
            slots: config.slots,
            statics: self.statics.lists(config.slots).0,
            blocked: Vec::new(),
            single: false,
            dynamic_minutes: None,
            colour_code: config.colour_code,
        })
    }

    /// Writes it down: at most 421 bytes. `None` where `out` is too small.
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
            config: self.config.as_deref(),
            statics: &self.statics,
        };
        let len = postcard::to_slice(&record, rest).ok()?.len();
        *version = VERSION;
        Some(1 + len)
    }

    /// Reads what was written down; the device counts as just heard.
    pub(crate) fn decode(now: Time, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::Record { len: bytes.len(), version: VERSION };
        let rest = bytes.strip_prefix(&[VERSION]).ok_or_else(damaged)?;
        let record: Record<Box<Config>, Statics> = postcard::from_bytes(rest).map_err(|_| damaged())?;
        let remote = match record.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, record.port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, record.port, 0, record.scope).into(),
        };
        Ok(Self {
            id: record.id,
            path: Path { listener: record.listener, local: record.local, remote },
            heard: now,
            config: record.config,
            statics: record.statics,
        })
    }
}

#[cfg(test)]
mod tests {
    use stack::{Slot, Slots};

    use super::*;
    use crate::Position;

    fn largest() -> Context {
        let talkgroups = |first: u32| (first..first + 32).collect::<Vec<_>>();
        let remote = SocketAddrV6::new([0xFFFF; 8].into(), u16::MAX, 0, u32::MAX).into();
        let path = Path { listener: u8::MAX, local: Some(IpAddr::from([0xFFFF_u16; 8])), remote };
        let lists = [talkgroups(0xFF_FF00), talkgroups(0xFF_FE00)];
        let mut context = Context::new(Time(5), u32::MAX, path, &lists);
        context.statics.set_options(&lists);
        context.config = Some(Box::new(Config {
            call: "X".repeat(8),
            rx_frequency: 999_999_999,
            tx_frequency: 999_999_999,
            power: 99,
            colour_code: 15,
            position: Some(Position { latitude: -90_000_000, longitude: -180_000_000 }),
            height: i16::MIN,
            location: "ü".repeat(10),
            description: "ü".repeat(10),
            slots: Slots::Only(Slot::Two),
            software: "ü".repeat(20),
            package: "ü".repeat(20),
        }));
        context
    }

    #[test]
    fn the_largest_record_fits() {
        let context = largest();
        let mut out = [0; 448];
        let len = context.encode(&mut out).unwrap();
        assert!(len <= 421, "{len}");
        let back = Context::decode(Time(9), &out[..len]).unwrap();
        assert_eq!(back, Context { heard: Time(9), ..context });
    }

    #[test]
    fn a_waiting_context_comes_back_too() {
        let path = Path { listener: 1, local: None, remote: "192.0.2.1:5".parse().unwrap() };
        let context = Context::new(Time(1), 7, path, &[vec![91], vec![]]);
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
        out[0] = 2;
        let error = Context::decode(Time(0), &out[..len]).unwrap_err();
        assert_eq!(error, Error::Record { len, version: 1 });
    }
}
