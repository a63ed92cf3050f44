//! What follows from changed records of the registry, whoever changed them: an operator here, or another cluster. It
//! changes none itself.

use std::collections::{BTreeMap, BTreeSet};

use registry::{Change, Key, Record, Space};

use crate::log;
use crate::services::Services;

impl Services {
    /// Does what follows from changes that are in the embedded store already: workers are told of devices, peers and
    /// hosts, bans hold or are lifted, and who is banned is thrown out.
    pub(crate) fn changed(&mut self, changes: &[Change]) {
        let (mut devices, mut bans) = (BTreeSet::new(), BTreeMap::new());
        let (mut peers, mut hosts) = (false, false);
        for Change { space, key, record } in changes {
            let Key::Id(id) = key else { continue };
            match space {
                Space::Devices | Space::Subscriptions => drop(devices.insert(*id)),
                Space::Bans => drop(bans.insert(*id, record.as_ref().and_then(Record::row))),
                Space::LastHeard => {
                    let heard = record.as_ref().and_then(|record| serde_json::from_str(record.json()).ok());
                    heard.into_iter().for_each(|info| self.heard.learn(info));
                }
                Space::Peers => peers = true,
                Space::Nodes | Space::OverriddenNodes => hosts = true,
                Space::GlobalProfiles | Space::Talkgroups | Space::StoredValues => {}
            }
        }
        devices.into_iter().for_each(|id| self.device_changed(id));
        self.bans_changed(bans.into_iter().collect());
        if peers {
            self.peers_changed();
        }
        if hosts {
            self.hosts_changed();
        }
    }

    fn device_changed(&mut self, id: u32) {
        match self.registry.device(id) {
            Ok(Some(device)) => drop(self.tell(device)),
            Ok(None) => self.tell_gone(id),
            Err(error) => log::line(format_args!("services: device {id} keeps its talkgroups: {error}")),
        }
    }
}
