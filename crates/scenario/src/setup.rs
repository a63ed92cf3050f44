//! The lines that say how things are before anything happens: settings, devices, radios.

use stack::{Slot, Slots};

use crate::model::{Device, Radio, Scenario};
use crate::words::{Error, Words};

/// IDs of the devices that are given none.
const FIRST_DEVICE: u32 = 250_001;
/// IDs of the radios that are given none.
const FIRST_RADIO: u32 = 2_500_001;

/// What begins a line of this kind.
pub(crate) const VALID: &str = "a setting (hang time, dynamic time, call timeout, max burst rate, encrypted \
                                calls, only or no radios or talkgroups), repeater, hotspot or radio";

/// Reads a line that says how things are; false where it is of another kind.
pub(crate) fn read(scenario: &mut Scenario, words: &mut Words) -> Result<bool, Error> {
    let rules = &mut scenario.rules;
    if words.eat("hang time") {
        rules.hang_time = Some(words.time()?);
    } else if words.eat("dynamic time") {
        rules.dynamic_time = Some(words.time()?);
    } else if words.eat("call timeout") {
        rules.call_timeout = Some(words.time()?);
    } else if words.eat("max burst rate") {
        rules.max_burst_rate = Some(words.number("bursts a second", 0, 1000)? as u16);
    } else if words.eat("encrypted calls are") {
        rules.encrypted = Some(words.one_of(&[(true, "carried"), (false, "refused")])?);
    } else if words.eat("only radios") {
        rules.radios.allow = words.ranges()?;
    } else if words.eat("no radios") {
        rules.radios.deny = words.ranges()?;
    } else if words.eat("only talkgroups") {
        rules.talkgroups.allow = words.ranges()?;
    } else if words.eat("no talkgroups") {
        rules.talkgroups.deny = words.ranges()?;
    } else if words.eat("only simulated") {
        words.expect(":")?;
        let mut reason = Vec::new();
        while let Some(word) = words.next() {
            reason.push(word);
        }
        scenario.only_simulated = Some(reason.join(" "));
    } else if words.eat("repeater") {
        device(scenario, words, Slots::Both)?;
    } else if words.eat("hotspot") {
        device(scenario, words, Slots::Simplex)?;
    } else if words.eat("radio") {
        radio(scenario, words)?;
    } else {
        return Ok(false);
    }
    words.end()?;
    Ok(true)
}

/// A name that nobody has yet: a capital letter, then letters and digits.
fn new_name(scenario: &Scenario, words: &mut Words) -> Result<String, Error> {
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric)
    };
    let name = words.peek().filter(is_name).map(str::to_owned);
    let name = name.ok_or_else(|| words.unknown("a name: a capital letter, then letters and digits"))?;
    if scenario.radios.iter().any(|radio| radio.name == name) {
        return Err(words.error(format!("{name} is there already: choose another name")));
    }
    words.next();
    Ok(name)
}

fn device(scenario: &mut Scenario, words: &mut Words, slots: Slots) -> Result<(), Error> {
    let name = new_name(scenario, words)?;
    words.expect("on worker")?;
    let worker = words.number("a worker", 0, 1)? as usize;
    let number = scenario.devices.len() as u32;
    let mut device = Device {
        name: name.clone(),
        id: FIRST_DEVICE + number,
        worker,
        slots,
        colour_code: 1,
        statics: [vec![], vec![]],
        blocked: vec![],
        single: false,
    };
    while words.comma_or_end()? {
        if words.eat("TS1 only") {
            device.slots = Slots::Only(Slot::One);
        } else if words.eat("TS2 only") {
            device.slots = Slots::Only(Slot::Two);
        } else if words.eat("colour code") {
            device.colour_code = words.number("a colour code", 0, 15)? as u8;
        } else if words.eat("ID") {
            device.id = words.number("an ID", 1, 999_999_999)?;
        } else if words.eat("blocks") {
            device.blocked = words.talkgroups()?;
        } else if words.eat("single mode") {
            device.single = true;
        } else if words.eat("static") {
            statics(words, &mut device)?;
        } else {
            return Err(words.unknown(
                "\"static\", \"TS1 only\", \"TS2 only\", \"colour code\", \"ID\", \"blocks\" or \"single mode\"",
            ));
        }
    }
    if scenario.devices.iter().any(|other| other.id == device.id) {
        return Err(words.error(format!("ID {} is there already: choose another one", device.id)));
    }
    scenario.radios.push(Radio { name, id: FIRST_RADIO + number, home: scenario.devices.len() });
    scenario.devices.push(device);
    Ok(())
}

/// `TS1: 1 2`, or `: 1 2` where there is but one slot.
pub(crate) fn statics(words: &mut Words, device: &mut Device) -> Result<(), Error> {
    let slot = slot(words, device)?;
    words.expect(":")?;
    device.statics[slot.index()] = if words.eat("none") { vec![] } else { words.talkgroups()? };
    Ok(())
}

/// A slot that a device has; it need not be said where there is but one.
pub(crate) fn slot(words: &mut Words, device: &Device) -> Result<Slot, Error> {
    let own = match device.slots {
        Slots::Both => return words.slot(),
        Slots::Simplex => Slot::Two,
        Slots::Only(slot) => slot,
    };
    if !matches!(words.peek(), Some("TS1" | "TS2")) {
        return Ok(own);
    }
    let slot = words.slot()?;
    if slot != own {
        let reason = format!("{} has no TS{}: write TS{}", device.name, slot.number(), own.number());
        return Err(words.error(reason));
    }
    Ok(slot)
}

fn radio(scenario: &mut Scenario, words: &mut Words) -> Result<(), Error> {
    let name = new_name(scenario, words)?;
    words.expect("at")?;
    let home = crate::steps::device(scenario, words)?;
    let mut id = FIRST_RADIO + 100 + scenario.radios.len() as u32;
    if words.comma_or_end()? {
        words.expect("ID")?;
        id = words.number("an ID", 1, 0xFF_FFFF)?;
    }
    if scenario.radios.iter().any(|other| other.id == id) {
        return Err(words.error(format!("radio {id} is there already: choose another ID")));
    }
    scenario.radios.push(Radio { name, id, home });
    Ok(())
}
