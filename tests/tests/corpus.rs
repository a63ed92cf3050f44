//! Replays the corpus of the fuzz targets in `fuzz/`: what once broke, or nearly did, stays mended. The parsers of
//! what other processes write get 100,000 mutations of it on top; those of datagrams have theirs in their crates.

use std::path::Path;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs `target` over its corpus and over `mutations` of it, the same in each run.
fn replay(target: &str, mutations: usize, run: impl Fn(&[u8])) {
    let seeds = corpus(target);
    seeds.iter().for_each(|seed| run(seed));
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 11).unwrap() % below.max(1)
    };
    for _ in 0..mutations {
        let mut bytes = seeds[draw(seeds.len())].clone();
        for _ in 0..=draw(6) {
            let at = draw(bytes.len());
            bytes[at] = u8::try_from(draw(256)).unwrap();
        }
        if draw(4) == 0 {
            bytes.truncate(draw(bytes.len()));
            bytes.push(0);
        }
        run(&bytes);
    }
}

#[test]
fn dmr() {
    replay("dmr", 0, dmr::fuzz_decode);
}

#[test]
fn mmdvm() {
    replay("mmdvm", 0, mmdvm::fuzz_driver);
}

#[test]
fn openbridge() {
    replay("openbridge", 100_000, openbridge::fuzz_driver);
}

#[test]
fn fastforward() {
    replay("fastforward", 20_000, fastforward::fuzz_node);
}

#[test]
fn forward() {
    replay("forward", 100_000, |data| {
        for frame in data.as_chunks::<56>().0 {
            if let Some(switch::Published::Far(burst)) = switch::Published::decode(frame) {
                assert_eq!(burst.whole(burst.forward.key), Some(burst));
            }
        }
        let _ = switch::read_record(data);
    });
}

#[test]
fn config() {
    replay("config", 100_000, |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = config::Config::parse(text);
        }
    });
}

#[test]
fn request() {
    replay("request", 100_000, |data| {
        let _ = serde_json::from_slice::<control::SupervisorRequest>(data);
        let _ = serde_json::from_slice::<control::ServicesRequest>(data);
    });
}

#[test]
fn the_corpus_has_all_that_the_supervisor_is_asked() {
    use control::SupervisorRequest::{
        Deaths, Drain, Operation, Reload, Restart, Scale, Status, Stop, Upgrade,
    };
    let asked: Vec<control::SupervisorRequest> =
        corpus("request").iter().filter_map(|seed| serde_json::from_slice(seed).ok()).collect();
    for request in [
        Status,
        Stop,
        Deaths,
        Restart { worker: Some(0) },
        Restart { worker: None },
        Drain { worker: 1 },
        Scale { workers: 4 },
        Reload,
        Upgrade,
        Operation,
    ] {
        assert!(asked.contains(&request), "{request:?}");
    }
}
