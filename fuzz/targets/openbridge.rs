//! The shard of the OpenBridge stack: datagrams, settings, time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    openbridge::fuzz_driver(data);
});
