//! What hostile clients send: nothing panics, and nothing grows without bound.

use super::*;
use crate::fuzz_driver;

/// Numbers without end, always the same ones (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

fn honest() -> Vec<Vec<u8>> {
    let id = ID;
    vec![
        packet("RPTL", id, &[]),
        packet("RPTK", id, &[0; 32]),
        rptc(id),
        rptc_simplex(id),
        packet("RPTO", id, b"TS1=1,2,3;TS2=4,5,6;"),
        packet("RPTO", id, b"StartRef=4013;TS1_1=262;TS2_1=91"),
        packet("RPTPING", id, &[]),
        packet("RPTCL", id, &[]),
        dmrd(id, 0x90),
        dmrd(id, 0xA1)[..53].to_vec(),
        packet("DMRA", id, &[1; 11]),
        packet("DMRG", id, &[2; 10]),
        packet("RPTG", id, b"+50.1234+008.5678"),
    ]
}

fn honest_text() -> Vec<Vec<u8>> {
    let text = |tag: &str, rest: &str| format!("{tag}{ID:08x}{rest}").into_bytes();
    let fields = rptc(ID)[16..].to_vec();
    vec![
        text("RPTL", ""),
        text("RPTK", &"0f".repeat(32)),
        [&text("RPTCN0CALL  ", "")[..], &fields].concat(),
        [&text("RPTC", "N0CALL  ")[..], &fields].concat(),
        text("RPTO", "TS1=1,2,3;TS2=4,5,6;SINGLE=1;TIMER=15"),
        text("RPTPING", ""),
        text("MSTPING", ""),
        text("RPTCL", ""),
        text("RPTRSSI", ":1-120.0"),
        text("RPTINTR", ":2"),
        dmrd(ID, 0x90)[..53].to_vec(),
        dmrd(ID, 0xA2)[..53].to_vec(),
    ]
}

/// A datagram: an honest one with a few bytes wrong, cut, or made longer; or mere noise.
fn datagram(numbers: &mut Numbers, honest: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = honest[numbers.below(honest.len())].clone();
    match numbers.below(8) {
        0 => {
            let len = numbers.below(400);
            bytes = numbers.bytes(len);
        }
        1 => bytes.truncate(numbers.below(bytes.len() + 1)),
        2 => {
            let more = numbers.below(40);
            let more = numbers.bytes(more);
            bytes.extend(more);
        }
        3 => {
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(bytes.len());
                bytes[at] = numbers.next().to_le_bytes()[0];
            }
        }
        _ => {}
    }
    bytes
}

#[test]
fn a_hundred_thousand_datagrams() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut bench = Bench::new(8);
    let honest = [honest(), honest_text()];
    let (mut frames, mut interrupts) = (0, 0);
    for round in 0..100_000 {
        // Most of what comes from an address is of one dialect.
        let port = numbers.below(4);
        let dialect = if numbers.below(10) == 0 { 1 - port % 2 } else { port % 2 };
        let from = addr(1 + u16::try_from(port).unwrap());
        let bytes = datagram(&mut numbers, &honest[dialect]);
        let mut outputs = bench.send(from, &bytes);
        let answers = sent(&outputs);
        // A salt as text comes with the ID.
        let more = |answer: &[u8]| if answer.len() == 22 && answer.starts_with(b"MSTACK") { 10 } else { 2 };
        assert!(answers.len() <= 1);
        assert!(answers.iter().all(|answer| answer.len() <= bytes.len() + more(answer)));
        // Two logins in three are right.
        if let Some(Answer::Login { id, from, verdict }) = services(&outputs, &[vec![], vec![]]) {
            let accept = Verdict::Accepted { settings: registered([vec![round], vec![]]) };
            let verdict = if round % 3 != 0 { accept } else { verdict };
            outputs.append(&mut bench.input(Input::Answer(Answer::Login { id, from, verdict })));
        }
        frames += outputs.iter().filter(|output| matches!(output, Output::Frame { .. })).count();
        interrupts += outputs.iter().filter(|output| matches!(output, Output::Interrupt { .. })).count();
        assert!(outputs.len() <= 16, "{outputs:?}");
        bench.wait(Duration::from_millis(numbers.next() % 400));
        let (contexts, pending) = bench.mmdvm.load();
        assert!(contexts <= 8 && pending <= 256);
    }
    assert!(frames > 500, "{frames}: the test did not get through to the running state");
    assert!(interrupts > 100, "{interrupts}: the text dialect did not get through to the running state");
}

#[test]
fn the_fuzz_driver_runs_on_noise_and_on_whole_calls() {
    let mut numbers = Numbers(42);
    let honest = [honest(), honest_text()];
    for round in 0..500 {
        let honest = &honest[round % 2];
        let mut data = Vec::new();
        for _ in 0..200 {
            let wrong = datagram(&mut numbers, honest);
            let right = honest[numbers.below(honest.len())].clone();
            let address = if numbers.below(4) == 0 { 0x40 } else { 0 };
            match numbers.below(8) {
                0 => data.extend([address | (7 + numbers.next().to_le_bytes()[1] % 9), 20]),
                1 => data.extend([7, 91]),
                2 => data.extend(as_input(address, wrong)),
                _ => data.extend(as_input(address, right)),
            }
        }
        if round % 10 == 0 {
            data = numbers.bytes(data.len());
        }
        fuzz_driver(&data);
    }
    fuzz_driver(&[]);
}

/// A datagram as the fuzz driver takes it.
fn as_input(address: u8, bytes: Vec<u8>) -> Vec<u8> {
    let [low, high, ..] = bytes.len().to_le_bytes();
    [vec![address | if high == 0 { 0 } else { 6 }, low], bytes].concat()
}
