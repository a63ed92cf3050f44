//! What is done about each request.

use std::fmt::Display;

use channel::Order;
use control::{Reply, ServicesRequest};
use registry::Device;
use serde::Serialize;
use stack::{Gone, Slot, Time};
use sys::Clocks;

use crate::services::Services;
use crate::{Error, contexts, devices, records};

/// Does what is asked, and gives the line to answer with.
pub(crate) fn answer(services: &mut Services, request: ServicesRequest) -> Vec<u8> {
    use ServicesRequest as Request;
    let clocks = Clocks::now();
    match request {
        Request::DeviceAdd { id, password, call, ts1, ts2, blocked, single } => {
            let statics = [ts1, ts2];
            reply(services.device_add(Device { password, call, statics, blocked, single, ..Device::new(id) }))
        }
        Request::DeviceRemove { id } => reply(services.device_remove(id)),
        Request::DeviceList => reply(devices::list(&services.registry)),
        Request::DevicePassword { id, password } => reply(services.device_password(id, password)),
        Request::DeviceBlock { id, talkgroup } => reply(services.device_block(id, talkgroup)),
        Request::DeviceUnblock { id, talkgroup } => reply(services.device_unblock(id, talkgroup)),
        Request::DeviceSingle { id, on } => reply(services.device_single(id, on)),
        Request::Subscribe { id, talkgroup, slot, schedule } => {
            reply(slot_of(slot).and_then(|slot| services.subscribe(id, talkgroup, slot, schedule)))
        }
        Request::Unsubscribe { id, talkgroup, slot } => {
            reply(slot_of(slot).and_then(|slot| services.unsubscribe(id, talkgroup, slot)))
        }
        Request::Ban { id, seconds, reason } => reply(services.ban(id, seconds, reason)),
        Request::Unban { id } => reply(services.unban(id)),
        Request::Bans => reply(Ok::<_, Error>(services.bans.list(clocks.wall_us / 1000))),
        Request::RegistryStatus => reply(services.registry_status()),
        Request::RegistryConfirm { right } => reply(services.registry_confirm(right)),
        Request::Contexts => {
            reply(Ok::<_, Error>(contexts::list(services.host.shards(), Time(clocks.mono_us))))
        }
        Request::Calls => reply(Ok::<_, Error>(services.calls.list(clocks.wall_us))),
        Request::LastHeard { count } => reply(Ok::<_, Error>(services.last_heard(count, clocks.wall_us))),
        Request::Peers => reply(services.peer_list(Time(clocks.mono_us))),
        Request::Nodes => reply(services.hosts_info()),
        Request::Kick { id } => {
            reply(services.order_context(id, Order::Evict { id, keep: None, gone: Gone::Kicked }))
        }
        Request::DropCall { id, slot } => reply(slot.map(slot_of).transpose().and_then(|slot| {
            let shards = || services.host.shards();
            let linked = contexts::bridged_calls(shards()).get(&id).copied().unwrap_or(0);
            let count = contexts::calls_of(shards(), id, slot) + linked as usize;
            services.order_context(id, Order::DropCall { id, slot }).map(|()| count)
        })),
        Request::DropDynamic { id, slot } => reply(slot.map(slot_of).transpose().and_then(|slot| {
            let count = contexts::dynamics_of(services.host.shards(), id, slot, Time(clocks.mono_us));
            services.order_context(id, Order::DropDynamic { id, slot }).map(|()| count)
        })),
        Request::RegistryGet { space, key, secrets } => {
            reply(records::get(&services.registry, &space, &key, secrets))
        }
        Request::RegistryPage { space, after, most, secrets } => {
            reply(records::page(&services.registry, &space, after.as_ref(), most, secrets))
        }
        Request::RegistryWrite { puts, removes, keep } => reply(services.write(puts, &removes, &keep)),
        Request::NodeList => reply(services.nodes()),
        Request::NodeSet { id, transport, address, port, options } => {
            reply(services.node_set(id, &transport, address, port, options))
        }
        _ => reply(Err::<(), _>(Error::NoRequest("one that is not known here".to_owned()))),
    }
}

impl Services {
    /// Sends an order about the contexts of an ID to all workers, if there are any.
    fn order_context(&mut self, id: u32, order: Order) -> Result<(), Error> {
        if !contexts::any(self.host.shards(), id) && !self.peers.has(id) {
            return Err(Error::NoContext(id));
        }
        self.host.send_all(&order);
        Ok(())
    }
}

fn slot_of(number: u8) -> Result<Slot, Error> {
    Slot::ALL.into_iter().find(|slot| slot.number() == number).ok_or(Error::NoSlot(number))
}

/// The line of an answer.
pub(crate) fn reply<T: Serialize, E: Display>(result: Result<T, E>) -> Vec<u8> {
    control::to_line(&Reply::from(result)).unwrap_or_else(|_| b"{\"error\":\"no JSON form\"}\n".to_vec())
}
