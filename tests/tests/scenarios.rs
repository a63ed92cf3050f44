//! All scenarios of `tests/scenarios` on real processes, each on a cluster of its own, many at once.
//! `SCENARIO=slots,parrot` runs those alone that have one of these in their name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use scenario::{Scenario, judge, play, read_all};
use tests::Live;

/// Clusters at once. Each waits most of the time.
const AT_ONCE: usize = 12;

#[test]
fn all_scenarios() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenarios = read_all(&directory).unwrap_or_else(|errors| panic!("\n{}", errors.join("\n")));
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    scenarios.retain(|scenario| scenario.only_simulated.is_none() && scenario.is_one_of(&wanted));
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(report) = run(scenario) {
                        eprintln!("{report}");
                        wrong.lock().unwrap().push(&scenario.name);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} scenarios are wrong: {wrong:?}", wrong.len(), scenarios.len());
}

/// Runs one; an error is what is wrong, or where it got stuck.
fn run(scenario: &Scenario) -> Result<(), String> {
    let played = catch_unwind(AssertUnwindSafe(|| play(scenario, &mut Live::new(scenario))));
    let played = played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("{}: {}", scenario.name, text.unwrap_or_default())
    })?;
    judge(scenario, &played)
}
