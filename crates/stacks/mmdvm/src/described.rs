//! A context's record as others may read it: for showing who is logged in, not for serving it.

use std::net::SocketAddr;

use stack::{Slots, Time};

use crate::Config;
use crate::context::Context;

/// A login as its record tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The device's ID.
    pub id: u32,
    /// Whence it speaks.
    pub address: SocketAddr,
    /// What it says of itself; `None` while it has not said so.
    pub config: Option<Config>,
    /// Its static talkgroups of TS1 and TS2, those of the registry and its own.
    pub statics: [Vec<u32>; 2],
    /// Talkgroups that neither reach it nor can be keyed at it.
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot at most.
    pub single: bool,
    /// How long it wants its dynamic talkgroups to stay, minutes; `None` for the cluster's default.
    pub dynamic_minutes: Option<u16>,
}

/// Reads what [`stack::Stack::encode_record`] wrote; `None` for a record of another version or a damaged one.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<Described> {
    let context = Context::decode(Time::default(), bytes).ok()?;
    let slots = context.config.as_ref().map_or(Slots::Both, |config| config.slots);
    Some(Described {
        id: context.id,
        address: context.path.remote,
        statics: context.statics.lists(slots).0,
        blocked: context.rules.blocked().to_vec(),
        single: context.rules.single(),
        dynamic_minutes: context.rules.dynamic_minutes(),
        config: context.config.map(|config| *config),
    })
}

#[cfg(test)]
mod tests {
    use stack::DeviceSettings;

    use super::*;
    use crate::options::Options;
    use crate::path::{Dialect, Path};

    #[test]
    fn tells_of_a_context_what_others_may_see() {
        let address = "[2001:db8::1]:62032".parse().unwrap();
        let path = Path { listener: 0, local: None, remote: address, dialect: Dialect::Binary };
        let statics = [vec![91], vec![262, 9]];
        let settings = DeviceSettings { statics: statics.clone(), blocked: vec![4], single: false };
        let mut context = Context::new(Time(7), 262_137_001, path, &settings);
        let dynamic_minutes = Some(30);
        context.set_options(&Options { single: true, dynamic_minutes, ..Options::default() });
        let mut out = [0; 448];
        let len = context.encode(&mut out).unwrap();
        let (id, blocked, single) = (262_137_001, vec![4], true);
        let expected = Described { id, address, config: None, statics, blocked, single, dynamic_minutes };
        assert_eq!(read_record(&out[..len]), Some(expected));
        assert_eq!(read_record(&[]), None);
        assert_eq!(read_record(&[1, 0, 0]), None);
    }
}
