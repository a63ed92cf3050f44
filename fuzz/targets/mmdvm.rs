//! A shard of the MMDVM stack: datagrams, answers, time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mmdvm::fuzz_driver(data);
});
