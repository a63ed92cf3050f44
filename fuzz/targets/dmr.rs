//! Every decoder of the air interface.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    dmr::fuzz_decode(data);
});
