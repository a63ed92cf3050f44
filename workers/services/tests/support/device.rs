//! A logged-in device, as the real stack and switch write it down.

use fabric::{CELL_LEN, Cell, StateWriter};
use mmdvm::{Mmdvm, Settings};
use stack::{
    Access, Answer, CallAccess, CallType, ContextKey, Frame, Input, Now, Output, Slot, Stack, Time, Verdict,
};
use switch::{SessionReport, Switch};
use sys::Clocks;

/// Logs a device in on a shard of its own, lets it begin a call to `talkgroup` on TS2, and writes down what a
/// worker would. Returns the call.
pub(crate) fn with_a_call(state: &mut StateWriter, node: u32, id: u32, talkgroup: u32) -> SessionReport {
    let clocks = Clocks::now();
    let now = Now { mono: Time(clocks.mono_us), wall_us: clocks.wall_us };
    let mut switch = Switch::new(node, switch::Settings::default());
    let context = ContextKey { shard: 0, index: 0 };
    let mut stack = Mmdvm::new(Settings {
        salt_key: [0; 32],
        capacity: 8,
        devices: Access::default(),
        call_signs: CallAccess::default(),
    });
    let from = "192.0.2.7:62032".parse().unwrap();
    let mut key = b"RPTK".to_vec();
    key.extend(id.to_be_bytes());
    key.extend([0; 32]);
    let mut config = b"RPTC".to_vec();
    config.extend(id.to_be_bytes());
    config.extend(body());
    let settings = stack::DeviceSettings { statics: [vec![], vec![262]], ..Default::default() };
    let verdict = Verdict::Accepted { settings };
    for input in [
        Input::Datagram { listener: 0, from, local: None, bytes: &key },
        Input::Answer(Answer::Login { id, from, verdict }),
        Input::Datagram { listener: 0, from, local: None, bytes: &config },
    ] {
        stack.handle_input(now, input);
    }
    while let Some(output) = stack.poll_output() {
        if let Output::Up { profile, .. } = output {
            switch.handle_input(now, switch::Input::Up { context, profile: *profile });
        }
    }
    let frame = Frame {
        source: 2_621_370,
        destination: talkgroup,
        call: CallType::Group,
        kind: dmr::BurstKind::Voice(0),
        sequence: 0,
        ber: 0,
        rssi: 0,
        burst: [0; dmr::BURST_LEN],
    };
    switch.handle_input(now, switch::Input::Frame { context, slot: Slot::Two, stream: 1, frame: &frame });
    let mut cell = [0; CELL_LEN];
    let len = stack.encode_record(0, &mut cell).unwrap();
    assert!(state.write(0, Cell::Stack, &cell[..len]));
    let len = switch.encode_record(context, &mut cell).unwrap();
    assert!(state.write(0, Cell::Switch, &cell[..len]));
    let started = std::iter::from_fn(|| switch.poll_output()).find_map(|output| match output {
        switch::Output::Started { report, .. } => Some(report),
        _ => None,
    });
    started.expect("a call began")
}

/// What a device says of itself.
fn body() -> Vec<u8> {
    let text = format!(
        "{:<8}{:09}{:09}{:02}{:02}{:>8}{:>9}{:03}{:<20}{:<19}{}{:<124}{:<40}{:<40}",
        "N0CALL",
        435_000_000,
        431_000_000,
        10,
        1,
        "50.12345",
        "008.67890",
        75,
        "Here",
        "A hill",
        3,
        "www",
        "v1",
        "MMDVM",
    );
    text.into_bytes()
}
