//! A frame of a sibling's ring.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for frame in data.as_chunks::<56>().0 {
        let _ = switch::Forward::decode(frame);
    }
    let _ = switch::read_record(data);
});
