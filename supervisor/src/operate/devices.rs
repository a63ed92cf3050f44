//! The verbs about devices of the registry and their talkgroups.

use std::io::{self, BufRead, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use control::{DeviceInfo, DeviceList, Paths, Secret, ServicesRequest, request};
use schedule::Timed;

use super::{TIMEOUT, print_json, talkgroups};
use crate::cli::{Device, Subscribe};
use crate::say;

pub(crate) fn device(paths: &Paths, device: Device) -> Result<()> {
    match device {
        Device::Add { id, call, ts1, ts2, block, single, password_stdin, no_password } => {
            let made_up = if password_stdin || no_password { None } else { Some(make_up_password()?) };
            let password = if password_stdin { Some(read_password()?) } else { made_up.clone() };
            let blocked = block;
            let add = ServicesRequest::DeviceAdd { id, password, call, ts1, ts2, blocked, single };
            ask(paths, &add)?;
            let shown = made_up.map(|password| format!(" with password {}", password.expose()));
            say::line(&format!("device {id} added{}", shown.unwrap_or_default()));
        }
        Device::List(args) => list_devices(paths, args.json)?,
        Device::Remove { id } => {
            request::<(), _>(paths, &ServicesRequest::DeviceRemove { id }, TIMEOUT)?;
            say::line(&format!("device {id} removed"));
        }
        Device::Block { id, talkgroup } => {
            ask(paths, &ServicesRequest::DeviceBlock { id, talkgroup })?;
            say::line(&format!("talkgroup {talkgroup} is blocked for {id}"));
        }
        Device::Unblock { id, talkgroup } => {
            ask(paths, &ServicesRequest::DeviceUnblock { id, talkgroup })?;
            say::line(&format!("talkgroup {talkgroup} is no longer blocked for {id}"));
        }
        Device::Single { id, on } => {
            ask(paths, &ServicesRequest::DeviceSingle { id, on })?;
            let most = if on { "one dynamic talkgroup" } else { "several dynamic talkgroups" };
            say::line(&format!("{id} may have {most} a slot"));
        }
        Device::Password { id } => {
            let password = read_password()?;
            ask(paths, &ServicesRequest::DevicePassword { id, password })?;
            say::line(&format!("device {id} has a new password"));
        }
    }
    Ok(())
}

/// A request about a device.
fn ask(paths: &Paths, asked: &ServicesRequest) -> Result<DeviceInfo> {
    Ok(request(paths, asked, TIMEOUT)?)
}

pub(crate) fn subscribe(paths: &Paths, args: &Subscribe) -> Result<()> {
    let (id, talkgroup, slot, schedule) = (args.id, args.talkgroup, args.slot.slot, args.schedule());
    let when = schedule.as_ref().map(|schedule| format!(": {schedule} (now it is {})", utc_now()));
    ask(paths, &ServicesRequest::Subscribe { id, talkgroup, slot, schedule })?;
    let when = when.unwrap_or_else(|| " from now on".to_owned());
    say::line(&format!("{id} has talkgroup {talkgroup} on TS{slot}{when}"));
    Ok(())
}

/// Whoever gives times is to see which clock they are of.
fn utc_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    events::utc(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn unsubscribe(paths: &Paths, id: u32, talkgroup: u32, slot: u8) -> Result<()> {
    ask(paths, &ServicesRequest::Unsubscribe { id, talkgroup, slot })?;
    say::line(&format!("{id} has talkgroup {talkgroup} on TS{slot} no longer"));
    Ok(())
}

fn list_devices(paths: &Paths, json: bool) -> Result<()> {
    let list: DeviceList = request(paths, &ServicesRequest::DeviceList, TIMEOUT)?;
    if json {
        return print_json(&list);
    }
    say::line("id         call      password  dynamic  ts1 / ts2 (blocked)");
    for device in list.devices {
        let call = device.call.unwrap_or_else(|| "-".to_owned());
        let password = if device.has_password { "own" } else { "-" };
        let (ts1, ts2) = (talkgroups(&device.ts1), talkgroups(&device.ts2));
        let dynamic = if device.single { "one" } else { "several" };
        let blocked = talkgroups(&device.blocked);
        say::line(&format!(
            "{:<10} {call:<9} {password:<9} {dynamic:<8} {ts1} / {ts2} ({blocked})",
            device.id
        ));
        for Timed { talkgroup, slot, schedule } in device.timed {
            say::line(&format!("           {talkgroup} on TS{slot} {schedule}"));
        }
    }
    list.unreadable.iter().for_each(|reason| say::warning(reason));
    Ok(())
}

/// One line of standard input: a password as an argument would be seen in the process list.
fn read_password() -> Result<Secret> {
    if io::stdin().is_terminal() {
        say::log("type the password and press Enter");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']))?)
}

/// Sixteen letters and digits: 80 random bits.
fn make_up_password() -> Result<Secret> {
    // No 0, o, 1, l: passwords are typed off screens. 32 letters make each byte count five bits, evenly.
    const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
    let mut random = [0; 16];
    getrandom::fill(&mut random).context("the kernel gives no random bytes")?;
    Ok(Secret::new(
        random.map(|byte| char::from(LETTERS[usize::from(byte % 32)])).iter().collect::<String>(),
    )?)
}
