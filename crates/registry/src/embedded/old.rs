//! What earlier versions have stored: tables by number, a device and its talkgroups in one record.

use redb::{ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::table;
use crate::{Change, Device, Key, Record, Space};

type Old = TableDefinition<'static, u32, &'static [u8]>;
const DEVICES: Old = TableDefinition::new("devices");
const BANS: Old = TableDefinition::new("bans");
const HEARD: Old = TableDefinition::new("last_heard");

/// Puts what lies in old tables into those of today. What cannot be read is kept as it is, under its key.
pub(super) fn convert(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let there: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    for (old, space) in [(DEVICES, Space::Devices), (BANS, Space::Bans), (HEARD, Space::LastHeard)] {
        if !there.iter().any(|name| name == old.name()) {
            continue;
        }
        for entry in transaction.open_table(old)?.iter()? {
            let (id, json) = entry?;
            let (key, json) = (Key::Id(id.value()), json.value());
            match device(space, json) {
                Some(changes) => super::make(transaction, &changes)?,
                None => drop(transaction.open_table(table(space))?.insert(key.to_bytes().as_slice(), json)?),
            }
        }
        transaction.delete_table(old)?;
    }
    Ok(())
}

fn device(space: Space, json: &[u8]) -> Option<Vec<Change>> {
    let device: Device = (space == Space::Devices).then(|| serde_json::from_slice(json).ok())??;
    let (row, subscriptions): (Record, _) = device.records().ok()?;
    Some(std::iter::once(row).chain(subscriptions).map(Change::put).collect())
}
