//! A line on a request socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<control::SupervisorRequest>(data);
    let _ = serde_json::from_slice::<control::ServicesRequest>(data);
});
