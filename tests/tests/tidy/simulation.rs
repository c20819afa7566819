//! What only the simulation may have.

use crate::cargo::metadata;
use crate::none;

/// Mutations and stages are for the simulation alone: no other crate may ask for them, and none has them by default.
#[test]
fn only_the_simulation_is_built_to_be_simulated() {
    let (all, mut wrong, mut asked) = (metadata(false), Vec::new(), 0);
    for package in all["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for edge in package["dependencies"].as_array().unwrap() {
            let features = edge["features"].as_array().unwrap();
            let asks = features.iter().any(|feature| feature == "simulation");
            asked += usize::from(asks);
            if asks && name != "loket-sim" {
                wrong.push(format!("{name} asks for a simulated {}", edge["name"]));
            }
        }
        let default = package["features"]["default"].as_array();
        if default.is_some_and(|default| default.iter().any(|feature| feature == "simulation")) {
            wrong.push(format!("{name} is simulated by default"));
        }
    }
    none("no shipped binary holds a mutation", wrong);
    assert!(asked > 0, "the scan no longer sees the simulation's features");
}
