//! A text of fixed size for a process that dies, with the head of a backtrace.

use std::ffi::c_void;
use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;

/// Bytes of the longest text: what a stats page has room for.
const MAX_LEN: usize = 1024;
/// Frames looked at: more are a recursion without end, whose begin tells nothing new.
const MAX_FRAMES: usize = 64;
/// What is before a name: the end of the line before, and two spaces.
const MARGIN: &str = "\n  ";
/// Files of the frames between a fault and its backtrace.
const OWN: [&str; 2] = [file!(), crate::last_words::FILE];

/// Text up to 1 KiB; what is over is cut.
pub(crate) struct Words {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Words {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; MAX_LEN], len: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only whole characters are put in.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// Adds where the process is, innermost first, a line for each frame that has a place in what is not the standard
    /// library; as many as fit whole.
    pub(crate) fn add_backtrace(&mut self) {
        let mut frames = 0;
        let program = program();
        backtrace::trace(|frame| {
            frames += 1;
            let mut fits = true;
            if program.contains(&frame.ip()) {
                // More than one where functions were inlined.
                backtrace::resolve_frame(frame, |symbol| fits = fits && self.add_frame(symbol).is_ok());
            }
            fits && frames < MAX_FRAMES
        });
    }

    fn add_frame(&mut self, symbol: &backtrace::Symbol) -> fmt::Result {
        let (Some(name), Some(file), Some(line)) = (symbol.name(), symbol.filename(), symbol.lineno()) else {
            return Ok(());
        };
        if OWN.iter().any(|own| file.ends_with(own)) || is_foreign(file) {
            return Ok(());
        }
        let before = self.len;
        let written = write!(self, "{MARGIN}{name:#}").and_then(|()| {
            self.cut_generics(before + MARGIN.len());
            write!(self, " {}:{line}", short(file).display())
        });
        if written.is_err() {
            self.len = before;
        }
        written
    }

    /// What a function is generic over may be longer than all the rest. A name that is at `start` is cut there.
    fn cut_generics(&mut self, start: usize) {
        let name = self.as_str().get(start..).unwrap_or_default();
        // One that begins so is a method of a trait.
        if let Some(at) = name.find('<').filter(|&at| at > 0) {
            self.len = start + at;
        }
    }
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.len().min(MAX_LEN - self.len);
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        self.bytes[self.len..self.len + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.len += cut;
        if cut == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

unsafe extern "C" {
    /// Where the program begins and where its code ends: names of the linker, behind which there is no value.
    static __executable_start: u8;
    static etext: u8;
}

/// Where this program's code is, without its libraries: their symbols may be many megabytes, in files that are not open.
fn program() -> Range<*mut c_void> {
    let [start, end] = [&raw const __executable_start, &raw const etext];
    start.cast_mut().cast()..end.cast_mut().cast()
}

/// Whether a file is of the standard library, of what that is made from, or of what walks the stack.
fn is_foreign(file: &Path) -> bool {
    let is = |part: &str| part == "rustc" || part == "rustlib" || part.starts_with("backtrace-");
    file.starts_with("/rust/deps") || file.iter().filter_map(|part| part.to_str()).any(is)
}

/// A file from the name of its crate on: `runtime/src/worker.rs`.
fn short(file: &Path) -> &Path {
    let parts = file.iter().count();
    let from_end = file.iter().rev().position(|part| part == "src").map_or(1, |place| place + 2);
    let mut rest = file.components();
    for _ in from_end..parts {
        rest.next();
    }
    rest.as_path()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut words = Words::new();
        assert!(write!(words, "{}", "x".repeat(MAX_LEN - 1)).is_ok());
        assert!(write!(words, "é").is_err());
        assert_eq!(words.as_str().len(), MAX_LEN - 1);
    }

    #[test]
    fn a_name_is_cut_where_it_is_generic() {
        let of = |name: &str| {
            let mut words = Words::new();
            write!(words, "x{name}").unwrap();
            words.cut_generics(1);
            words.as_str()[1..].to_owned()
        };
        assert_eq!(of("wait<nix::poll_timeout::PollTimeout>"), "wait");
        assert_eq!(of("<A as B>::run"), "<A as B>::run");
        assert_eq!(of("main"), "main");
    }

    #[test]
    fn a_file_is_named_from_its_crate_on() {
        let of = |file| short(Path::new(file)).to_str().unwrap();
        assert_eq!(of("/home/me/bmctl/workers/runtime/src/worker.rs"), "runtime/src/worker.rs");
        assert_eq!(of("/src/bmctl/workers/runtime/src/tests/host.rs"), "runtime/src/tests/host.rs");
        assert_eq!(of("src/main.rs"), "src/main.rs");
        assert_eq!(of("build.rs"), "build.rs");
    }

    #[test]
    fn this_code_is_of_the_program_and_that_of_libc_is_not() {
        let program = program();
        let ours: fn() -> Range<*mut c_void> = super::program;
        assert!(program.contains(&(ours as *mut c_void)));
        assert!(!program.contains(&(libc::getpid as *mut c_void)));
    }
}
