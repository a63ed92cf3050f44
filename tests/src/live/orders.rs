//! What an operator does, as requests to the services.

use scenario::{Device, Order};
use serde_json::{Value, json};
use stack::Slot;

use super::ask;
use crate::Cluster;

/// Carries out an order of a scenario.
pub(super) fn carry_out(cluster: &Cluster, devices: &[Device], order: Order) {
    let slot = |slot: Option<Slot>| slot.map_or(Value::Null, |slot| slot.number().into());
    ask(
        cluster,
        &match order {
            Order::Ban(radio, time) => {
                json!({"request": "ban", "id": radio, "seconds": time.map(|time| time.as_secs())})
            }
            Order::Unban(radio) => json!({"request": "unban", "id": radio}),
            Order::DropCall(device, on) => {
                json!({"request": "drop_call", "id": devices[device].id, "slot": slot(on)})
            }
            Order::DropDynamic(device, on) => {
                json!({"request": "drop_dynamic", "id": devices[device].id, "slot": slot(on)})
            }
            Order::Kick(device) => json!({"request": "kick", "id": devices[device].id}),
        },
    );
}

/// Blocks a talkgroup for a device.
pub(super) fn block(cluster: &Cluster, device: u32, talkgroup: u32) {
    ask(cluster, &json!({"request": "device_block", "id": device, "talkgroup": talkgroup}));
}
