//! A frame of a sibling's ring.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for frame in data.as_chunks::<56>().0 {
        if let Some(switch::Published::Far(burst)) = switch::Published::decode(frame) {
            assert_eq!(burst.whole(burst.forward.key), Some(burst));
        }
    }
    let _ = switch::read_record(data);
});
