//! The lines that say what happens.

use stack::{CallType, Slot};

use crate::model::{Action, Data, Device, How, Order, Scenario, Step, Talker, Target};
use crate::setup;
use crate::words::{BURST_TIME, Error, Words};

/// What a radio or device can do.
const VERBS: &str = "keys, unkeys, talks to, falls silent, loses, repeats its last burst, swaps two bursts, \
                     rushes, sends data, sends a late burst, leaves, returns, now has static, is subscribed, \
                     is not subscribed, hears, may hear or is refused";

/// A device by its name.
pub(crate) fn device(scenario: &Scenario, words: &mut Words) -> Result<usize, Error> {
    let found = scenario.devices.iter().position(|device| words.peek() == Some(&device.name));
    let names: Vec<_> = scenario.devices.iter().map(|device| device.name.as_str()).collect();
    let found =
        found.ok_or_else(|| words.unknown(&format!("a repeater or hotspot: {}", names.join(", "))))?;
    words.next();
    Ok(found)
}

/// A radio by its name.
pub(crate) fn radio(scenario: &Scenario, words: &mut Words) -> Result<usize, Error> {
    let found = scenario.radios.iter().position(|radio| words.peek() == Some(&radio.name));
    let names: Vec<_> = scenario.radios.iter().map(|radio| radio.name.as_str()).collect();
    let found = found.ok_or_else(|| words.unknown(&format!("who: {}", names.join(", "))))?;
    words.next();
    Ok(found)
}

/// A radio, and where it is: `P` or `P at B`.
pub(crate) fn talker(scenario: &Scenario, words: &mut Words) -> Result<Talker, Error> {
    let radio = radio(scenario, words)?;
    let home = scenario.radios[radio].home;
    let device = if words.eat("at") { device(scenario, words)? } else { home };
    Ok(Talker { radio, device })
}

/// `group 1`, `private P` or `private 2621370`.
pub(crate) fn target(scenario: &Scenario, words: &mut Words) -> Result<Target, Error> {
    let call = words.one_of(&[(CallType::Group, "group"), (CallType::Private, "private")])?;
    let id = match call {
        CallType::Group => words.talkgroup()?,
        CallType::Private => id(scenario, words)?,
    };
    Ok(Target { call, id })
}

/// A radio's ID: its name or a number.
pub(crate) fn id(scenario: &Scenario, words: &mut Words) -> Result<u32, Error> {
    if words.peek().is_some_and(|word| word.parse::<u32>().is_ok()) {
        return words.number("a radio", 1, 0xFF_FFFF);
    }
    radio(scenario, words).map(|radio| scenario.radios[radio].id)
}

/// Reads a line that says what happens; false where it is of another kind.
pub(crate) fn read(
    scenario: &mut Scenario,
    words: &mut Words,
    line: usize,
    text: &str,
) -> Result<bool, Error> {
    let first = words.peek().unwrap_or_default();
    let actions = if first.starts_with(|c: char| c.is_ascii_digit()) {
        let time = words.time()?;
        words.one_of(&[((), "passes"), ((), "pass")])?;
        vec![Action::Pass(time)]
    } else if words.eat("operator") {
        vec![Action::Order(order(scenario, words)?)]
    } else {
        match somebody(scenario, words)? {
            Some(actions) => actions,
            None => return Ok(false),
        }
    };
    words.end()?;
    let step = |action| Step { line, words: text.to_owned(), action };
    scenario.steps.extend(actions.into_iter().map(step));
    Ok(true)
}

/// `A keys ...` and the like; `None` for what is expected of somebody.
fn somebody(scenario: &Scenario, words: &mut Words) -> Result<Option<Vec<Action>>, Error> {
    let first = talker(scenario, words)?;
    let mut talkers = vec![first];
    while words.eat("and") {
        talkers.push(talker(scenario, words)?);
    }
    if words.eat("keys") || words.eat("key") {
        return key(scenario, words, talkers).map(|key| Some(vec![key]));
    }
    if words.eat("unkeys") || words.eat("unkey") {
        return Ok(Some(vec![Action::Unkey(talkers)]));
    }
    if words.eat("talks to") || words.eat("talk to") {
        return talk(scenario, words, talkers).map(Some);
    }
    if talkers.len() > 1 {
        return Err(words.unknown("\"key\", \"unkey\" or \"talk to\""));
    }
    let device = first.device;
    let action = if words.eat("falls silent") {
        Action::FallSilent(first)
    } else if words.eat("loses") {
        Action::Lose(first, bursts(words)?)
    } else if words.eat("repeats its last burst") {
        Action::Repeat(first)
    } else if words.eat("swaps two bursts") {
        Action::Swap(first)
    } else if words.eat("rushes") {
        Action::Rush(first, bursts(words)?)
    } else if words.eat("sends a late burst") {
        Action::Late(first)
    } else if words.eat("sends data to") {
        data(scenario, words, first)?
    } else if words.eat("leaves") {
        Action::Leave(device)
    } else if words.eat("returns on worker") {
        Action::Return(device, words.number("a worker", 0, 1)? as usize)
    } else if words.eat("now has static") {
        let mut changed = latest(scenario, device);
        setup::statics(words, &mut changed)?;
        Action::Statics(device, changed.statics)
    } else if words.eat("is subscribed to") {
        look(scenario, words, device, true)?
    } else if words.eat("is not subscribed to") {
        look(scenario, words, device, false)?
    } else if matches!(words.peek(), Some("hears" | "may" | "is" | "says" | "or")) {
        return Ok(None);
    } else {
        return Err(words.unknown(VERBS));
    };
    Ok(Some(vec![action]))
}

/// A device with the static talkgroups that it has by now.
fn latest(scenario: &Scenario, device: usize) -> Device {
    let mut latest = scenario.devices[device].clone();
    for step in &scenario.steps {
        match &step.action {
            Action::Statics(of, statics) if *of == device => latest.statics = statics.clone(),
            _ => {}
        }
    }
    latest
}

fn bursts(words: &mut Words) -> Result<u32, Error> {
    let number = words.number("how many bursts", 1, 1000)?;
    words.one_of(&[((), "bursts"), ((), "burst")])?;
    Ok(number)
}

fn look(scenario: &Scenario, words: &mut Words, device: usize, subscribed: bool) -> Result<Action, Error> {
    let talkgroup = words.talkgroup()?;
    let slot = on_slot(scenario, words, device)?;
    Ok(Action::Look { device, slot, talkgroup, subscribed })
}

/// `on TS1`, which need not be said of a device with one slot.
pub(crate) fn on_slot(scenario: &Scenario, words: &mut Words, device: usize) -> Result<Slot, Error> {
    let device = &scenario.devices[device];
    match words.eat("on") {
        true => setup::slot(words, device),
        false if device.slots == stack::Slots::Both => Err(words.unknown("\"on TS1\" or \"on TS2\"")),
        false => setup::slot(words, device),
    }
}

fn key(scenario: &Scenario, words: &mut Words, talkers: Vec<Talker>) -> Result<Action, Error> {
    let target = target(scenario, words)?;
    let slot = on_slot(scenario, words, talkers[0].device)?;
    let mut how = How::default();
    while words.comma_or_end()? {
        option(scenario, words, &mut how)?;
    }
    Ok(Action::Key { talkers, target, slot, how })
}

/// Keys, talks for a while, and unkeys; it is over when the terminator is, which takes a burst's time too.
fn talk(scenario: &Scenario, words: &mut Words, talkers: Vec<Talker>) -> Result<Vec<Action>, Error> {
    let target = target(scenario, words)?;
    let slot = on_slot(scenario, words, talkers[0].device)?;
    words.expect("for")?;
    let time = words.time()?;
    let mut how = How::default();
    while words.comma_or_end()? {
        option(scenario, words, &mut how)?;
    }
    let key = Action::Key { talkers: talkers.clone(), target, slot, how };
    Ok(vec![key, Action::Pass(time), Action::Unkey(talkers), Action::Pass(2 * BURST_TIME)])
}

fn option(scenario: &Scenario, words: &mut Words, how: &mut How) -> Result<(), Error> {
    const LETTERS: [(u8, &str); 6] = [(0, "A"), (1, "B"), (2, "C"), (3, "D"), (4, "E"), (5, "F")];
    if words.eat("emergency") {
        how.emergency = true;
    } else if words.eat("encrypted") {
        how.encrypted = true;
    } else if words.eat("PI header") {
        how.pi_header = true;
    } else if words.eat("alias") {
        how.alias = Some(words.text()?);
    } else if words.eat("no header") {
        how.no_header = true;
    } else if words.eat("from burst") {
        (how.no_header, how.first) = (true, words.one_of(&LETTERS)?);
    } else if words.eat("stream") {
        how.stream = Some(words.number("a stream ID", 0, u32::MAX)?);
    } else if words.eat("LC says") {
        let lc = target(scenario, words)?;
        words.expect("from")?;
        how.lc = Some((id(scenario, words)?, lc));
    } else if words.eat("bad EMB") {
        how.bad_emb = true;
    } else {
        return Err(words.unknown(
            "\"emergency\", \"encrypted\", \"PI header\", \"alias\", \"no header\", \"from burst\", \"stream\", \
             \"LC says\" or \"bad EMB\"",
        ));
    }
    Ok(())
}

fn data(scenario: &Scenario, words: &mut Words, talker: Talker) -> Result<Action, Error> {
    let target = target(scenario, words)?;
    let slot = on_slot(scenario, words, talker.device)?;
    let mut data = Data::default();
    words.expect(":")?;
    loop {
        if words.eat("header") {
            data.header = true;
        } else if words.eat("a stream ID each") {
            data.streams = true;
        } else {
            let number = words.number("how many", 1, 100)?;
            match words.one_of(&[(true, "CSBK"), (false, "blocks"), (false, "block")])? {
                true => data.csbks = number,
                false => data.blocks = number,
            }
        }
        if !words.comma_or_end()? {
            break;
        }
    }
    if data.blocks > 0 && !data.header {
        return Err(words.error("data blocks need a header: write e.g. \"2 CSBK, header, 4 blocks\""));
    }
    Ok(Action::Data { talker, target, slot, data })
}

fn order(scenario: &Scenario, words: &mut Words) -> Result<Order, Error> {
    if words.eat("bans") {
        let radio = id(scenario, words)?;
        let time = if words.eat("for") { Some(words.time()?) } else { None };
        return Ok(Order::Ban(radio, time));
    }
    if words.eat("unbans") {
        return Ok(Order::Unban(id(scenario, words)?));
    }
    if words.eat("kicks") {
        return Ok(Order::Kick(device(scenario, words)?));
    }
    let is_call = if words.eat("drops the calls at") {
        true
    } else if words.eat("drops the dynamic talkgroups of") {
        false
    } else {
        return Err(words.unknown(
            "\"bans\", \"unbans\", \"kicks\", \"drops the calls at\" or \"drops the dynamic talkgroups of\"",
        ));
    };
    let device = device(scenario, words)?;
    let slot = if words.eat("on") { Some(words.slot()?) } else { None };
    Ok(if is_call { Order::DropCall(device, slot) } else { Order::DropDynamic(device, slot) })
}
