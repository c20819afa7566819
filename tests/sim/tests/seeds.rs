//! Seeds of the simulation, each run twice.

use loket_sim::{Config, run};

/// Seeds that a test run takes: enough to see every part move. `.ci/run` takes a thousand.
const SEEDS: u64 = 40;

#[test]
fn every_rule_holds_and_a_seed_is_one_run() {
    let mut turns = 0;
    for seed in 1..=SEEDS {
        let config = Config { seed, mutation: None, traced: false, held: 0 };
        let (first, again) = (run(config), run(config));
        let (first, again) = match (first, again) {
            (Ok(first), Ok(again)) => (first, again),
            (first, again) => panic!("seed {seed}: {:?} {:?}", first.err(), again.err()),
        };
        assert_eq!(first.violation, None, "cargo run -p loket-sim -- --seed {seed} --trace");
        assert_eq!(first.hash, again.hash, "two runs of seed {seed} differ");
        turns += first.turns;
    }
    assert!(turns > SEEDS as usize, "only {turns} turns: nothing was simulated");
}
