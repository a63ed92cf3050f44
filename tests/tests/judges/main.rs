//! The air-interface codec against two programs that others wrote: what we encode they read as the same fields, what
//! they encode we read, with wrong bits too. They run as processes of their own (`tests/judges`), are asked
//! in lines of JSON, and nothing of them is in this repository. `tests/judges/install` fetches them.
//!
//! The cases are random but the same in each run. Where a judge is wrong, `bugs` shows it.

mod blocks;
mod bugs;
mod checks;
mod codes;
mod lcs;
mod signalling;
mod switched;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dmr::BURST_LEN;
use serde_json::Value;

/// Cases of a kind, where not all there are.
const CASES: usize = 2_000;

/// Who is asked.
#[derive(Clone, Copy, Debug)]
enum Judge {
    OkDmrlib,
    Utils3,
}

impl Judge {
    /// The answers to all `requests`, by one process.
    fn ask(self, requests: &[Value]) -> Vec<Value> {
        let script = match self {
            Self::OkDmrlib => "ok_dmrlib.py",
            Self::Utils3 => "utils3.py",
        };
        let mut child = Command::new(python())
            .arg(directory().join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{script}: {}", output.status);
        let answers: Vec<_> =
            output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(answers.len(), requests.len(), "{script}");
        answers.into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Asks all of `cases` and compares the answers: of an object those fields that are expected.
    fn agrees(self, cases: Vec<(Value, Value)>) {
        assert!(!cases.is_empty());
        let (requests, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        for ((request, expected), answer) in requests.iter().zip(expected).zip(self.ask(&requests)) {
            if let (Some(fields), Some(answer)) = (expected.as_object(), answer.as_object()) {
                for (name, field) in fields {
                    assert_eq!(answer.get(name), Some(field), "{self:?} {request}: {name} of {answer:?}");
                }
            } else {
                assert_eq!(answer, expected, "{self:?} {request}");
            }
        }
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("judges")
}

/// The interpreter that has the judges; they are installed if they are not there.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let status = Command::new(directory().join("install")).status().unwrap();
        assert!(status.success(), "tests/judges/install failed: {status}");
        directory().join("../../target/judges/bin/python")
    })
}

/// xorshift64: the same numbers in each run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }

    /// A number of so many bits.
    fn bits(&mut self, bits: u32) -> u32 {
        u32::try_from(self.next() & ((1 << bits) - 1)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.bits(8).to_le_bytes()[0]
    }

    /// A small number of so many bits.
    fn small(&mut self, bits: u32) -> u8 {
        self.byte() >> (8 - bits)
    }

    fn flag(&mut self) -> bool {
        self.bits(1) == 1
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// `count` wrong bits among the low `bits`, all different.
    fn errors(&mut self, bits: u32, count: u32) -> u32 {
        let mut errors = 0_u32;
        while errors.count_ones() < count {
            errors |= 1 << self.below(bits as usize);
        }
        errors
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// The place in a burst of each of the 196 bits of information.
fn place(n: usize) -> usize {
    if n < 98 { n } else { n + 68 }
}

/// Those bits as the judges give them: 49 digits.
fn info(burst: &[u8; BURST_LEN]) -> String {
    let bits: Vec<_> = (0..196).map(place).map(|n| burst[n / 8] >> (7 - n % 8) & 1).collect();
    bits.chunks(4).map(|bits| format!("{:x}", bits.iter().fold(0, |digit, bit| digit << 1 | bit))).collect()
}

/// A burst with those bits, and nothing else in it.
fn burst_of(info: &Value) -> [u8; BURST_LEN] {
    let digits = info.as_str().unwrap_or_else(|| panic!("{info}"));
    let mut burst = [0; BURST_LEN];
    for (digit, n) in digits.chars().zip((0..196).step_by(4)) {
        for bit in 0..4 {
            let at = place(n + bit);
            burst[at / 8] |=
                u8::try_from(digit.to_digit(16).unwrap() >> (3 - bit) & 1).unwrap() << (7 - at % 8);
        }
    }
    burst
}

fn flip(burst: &mut [u8; BURST_LEN], info_bit: usize) {
    let at = place(info_bit);
    burst[at / 8] ^= 0x80 >> (at % 8);
}
