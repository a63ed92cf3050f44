//! A scenario as it was read: who is there and what happens.

use std::time::Duration;

use stack::{CallType, Slot, Slots};

use crate::expected::Expect;

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its file without directory and ending, after its topic: `slots/hang-time`.
    pub name: String,
    /// The rule that it shows: its first comment.
    pub rule: String,
    /// Why it can only be simulated, if so.
    pub only_simulated: Option<String>,
    /// The settings of the cluster.
    pub rules: Rules,
    /// Repeaters and hotspots.
    pub devices: Vec<Device>,
    /// Radios: first one for each device, of the same name, then others.
    pub radios: Vec<Radio>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must be heard and told, in order.
    pub expects: Vec<Expect>,
}

/// Settings that differ from the built-in ones; `None` for those that do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How long a slot is kept after a call.
    pub hang_time: Option<Duration>,
    /// How long a dynamic talkgroup stays.
    pub dynamic_time: Option<Duration>,
    /// The longest call.
    pub call_timeout: Option<Duration>,
    /// Bursts a second that a stream may have in the long run.
    pub max_burst_rate: Option<u16>,
    /// Whether encrypted calls are carried.
    pub encrypted: Option<bool>,
    /// Who may call.
    pub radios: Lists,
    /// Which talkgroups may be called.
    pub talkgroups: Lists,
}

/// Ranges that are let in, and ranges that are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// First and last of each; empty for all.
    pub allow: Vec<(u32, u32)>,
    /// First and last of each.
    pub deny: Vec<(u32, u32)>,
}

/// A repeater or hotspot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// As the scenario calls it.
    pub name: String,
    /// Its ID.
    pub id: u32,
    /// The worker that it is logged in at: 0 or 1.
    pub worker: usize,
    /// The slots that it has.
    pub slots: Slots,
    /// Its colour code.
    pub colour_code: u8,
    /// Static talkgroups of TS1 and TS2.
    pub statics: [Vec<u32>; 2],
    /// Talkgroups that are blocked for it.
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot.
    pub single: bool,
}

/// A radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Radio {
    /// As the scenario calls it.
    pub name: String,
    /// Its ID.
    pub id: u32,
    /// Where it talks, unless the scenario says otherwise.
    pub home: usize,
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// A talkgroup or one radio.
    pub call: CallType,
    /// Its number.
    pub id: u32,
}

/// A radio at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Its place in [`Scenario::radios`].
    pub radio: usize,
    /// The device's place in [`Scenario::devices`].
    pub device: usize,
}

/// Something that happens, and the line that says so.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line in the file.
    pub line: usize,
    /// The words of that line.
    pub words: String,
    /// What happens.
    pub action: Action,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Action {
    /// Time passes.
    Pass(Duration),
    /// Radios press their keys at the same moment.
    Key {
        /// Who.
        talkers: Vec<Talker>,
        /// Whom they call.
        target: Target,
        /// On which slot.
        slot: Slot,
        /// What is special about the call.
        how: How,
    },
    /// Radios let their keys go: each sends a terminator as its next burst.
    Unkey(Vec<Talker>),
    /// A radio is heard no more, without a terminator.
    FallSilent(Talker),
    /// The next bursts of a radio are not heard by its repeater.
    Lose(Talker, u32),
    /// The last burst of a radio comes once more.
    Repeat(Talker),
    /// The next two bursts of a radio come in the wrong order.
    Swap(Talker),
    /// The next bursts of a radio come all at once.
    Rush(Talker, u32),
    /// A burst of a call comes that has ended already.
    Late(Talker),
    /// A radio sends data, a burst each 60 ms.
    Data {
        /// Who.
        talker: Talker,
        /// To whom.
        target: Target,
        /// On which slot.
        slot: Slot,
        /// What it is made of.
        data: Data,
    },
    /// A device says goodbye.
    Leave(usize),
    /// A device logs in again, at this worker.
    Return(usize, usize),
    /// A device asks for other static talkgroups.
    Statics(usize, [Vec<u32>; 2]),
    /// An operator steps in.
    Order(Order),
    /// A look at the subscriptions of a device.
    Look {
        /// Which.
        device: usize,
        /// The slot.
        slot: Slot,
        /// The talkgroup.
        talkgroup: u32,
        /// Whether it must be subscribed to.
        subscribed: bool,
    },
}

/// What is special about a voice call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// The emergency bit of the service options.
    pub emergency: bool,
    /// The privacy bit of the service options.
    pub encrypted: bool,
    /// A PI header follows the voice LC header.
    pub pi_header: bool,
    /// What the radio says of itself, in embedded signalling.
    pub alias: Option<String>,
    /// The voice LC header is not heard.
    pub no_header: bool,
    /// The place in the superframe of the first voice burst that is heard.
    pub first: u8,
    /// The stream ID; a new one where none is given.
    pub stream: Option<u32>,
    /// What the LC says in place of the truth: source and target.
    pub lc: Option<(u32, Target)>,
    /// Every burst C has an EMB with too many wrong bits.
    pub bad_emb: bool,
}

/// What a data transmission is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// CSBKs: preambles, where a header follows.
    pub csbks: u32,
    /// A data header.
    pub header: bool,
    /// Blocks that follow it.
    pub blocks: u32,
    /// Each burst has a stream ID of its own.
    pub streams: bool,
}

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Calls of this radio are refused for so long; `None` for ever.
    Ban(u32, Option<Duration>),
    /// They are not any longer.
    Unban(u32),
    /// The calls at a device end, on one slot or both.
    DropCall(usize, Option<Slot>),
    /// The dynamic talkgroups of a device end, on one slot or both.
    DropDynamic(usize, Option<Slot>),
    /// A device is thrown out.
    Kick(usize),
}
