//! All scenarios of `tests/scenarios` on two switches in simulated time. `SCENARIO=slots,parrot` runs
//! those alone that have one of these in their name.

mod simulated;

use std::path::Path;

use scenario::{judge, play, read_all};
use simulated::Simulated;

#[test]
fn all_scenarios() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let scenarios = read_all(&directory).unwrap_or_else(|errors| panic!("\n{}", errors.join("\n")));
    assert!(scenarios.len() >= 80, "only {} scenarios", scenarios.len());
    // The environment is read here, not in the switch.
    #[expect(clippy::disallowed_methods, reason = "a choice of whoever runs the test")]
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut wrong = Vec::new();
    for scenario in scenarios.iter().filter(|scenario| scenario.is_one_of(&wanted)) {
        let played = play(scenario, &mut Simulated::new(scenario));
        if let Err(report) = judge(scenario, &played) {
            eprintln!("{report}");
            wrong.push(scenario.name.as_str());
        }
    }
    assert!(wrong.is_empty(), "{} of {} scenarios are wrong: {wrong:?}", wrong.len(), scenarios.len());
}
