//! A node of FastForward: frames of nodes that are known, of others, and datagrams as they come.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fastforward::fuzz_node(data);
});
