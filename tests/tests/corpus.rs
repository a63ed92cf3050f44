//! Replays the corpus of the fuzz targets in `fuzz/`: what once broke, or nearly did, stays mended.

use std::path::Path;

/// Runs `target` over its corpus.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz/corpus").join(target);
    let mut count = 0;
    for file in std::fs::read_dir(&dir).unwrap() {
        run(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", dir.display());
}

#[test]
fn dmr() {
    replay("dmr", dmr::fuzz_decode);
}

#[test]
fn mmdvm() {
    replay("mmdvm", mmdvm::fuzz_driver);
}

#[test]
fn forward() {
    replay("forward", |data| {
        for frame in data.as_chunks::<56>().0 {
            let _ = switch::Forward::decode(frame);
        }
        let _ = switch::read_record(data);
    });
}

#[test]
fn config() {
    replay("config", |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = config::Config::parse(text);
        }
    });
}

#[test]
fn request() {
    replay("request", |data| {
        let _ = serde_json::from_slice::<control::SupervisorRequest>(data);
        let _ = serde_json::from_slice::<control::ServicesRequest>(data);
    });
}
