//! What a reload makes of start order and of the numbers of lives: no two lives of a child have the same one (rule J4).

use crate::fleet::{Fleet, PATIENCE, within};
use crate::reload::{echo, reload, running};
use serde_json::json;

/// A group of three, the one in the middle with these fields.
fn group(middle: &str) -> String {
    let children = echo("a", "") + &echo("t", middle) + &echo("b", "");
    let flags = "strategy: RestForOne, intensity: 50, period: \"60s\"";
    format!("Supervisor(id: \"g\", {flags}, children: [{children}]),")
}

fn temporary(n: u32) -> String {
    group(&format!("restart: Temporary, settings: {{ \"n\": \"{n}\" }}"))
}

fn order(fleet: &Fleet) -> Vec<String> {
    let children = fleet.child("g")["children"].clone();
    let ids = children.as_array().unwrap().iter().map(|child| child["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn lives(fleet: &Fleet) -> [u64; 3] {
    ["a", "t", "b"].map(|id| {
        let child = fleet.child(id);
        let number = child["incarnation"].as_u64().unwrap();
        if child["state"] == "running" { number } else { 0 }
    })
}

/// Kills it and waits for these lives; 0 is none.
fn killed(fleet: &Fleet, id: &str, wanted: [u64; 3]) {
    assert_eq!(fleet.command(&["kill", id]).exit, 0);
    within(PATIENCE, &format!("{wanted:?}"), || Some(()).filter(|()| lives(fleet) == wanted));
}

fn done(fleet: &Fleet, children: &str) {
    let answer = reload(fleet, children).json();
    assert_eq!(answer["ok"], json!(true), "{answer}");
}

#[test]
fn a_temporary_child_that_a_reload_renews_keeps_its_place_in_start_order() {
    let fleet = running(&temporary(0));
    done(&fleet, &temporary(1));
    assert_eq!(
        (lives(&fleet), order(&fleet)),
        ([1, 2, 1], ["a", "t", "b"].map(str::to_owned).into())
    );
    // Who stands before the one that exits is left alone.
    killed(&fleet, "b", [1, 2, 2]);
    killed(&fleet, "a", [2, 0, 3]);
}

#[test]
fn j4_a_temporary_child_that_reloads_have_renewed_goes_on_counting_its_lives() {
    let fleet = running(&temporary(0));
    (1..=3).for_each(|n| done(&fleet, &temporary(n)));
    assert_eq!(fleet.call("t", "count").json(), json!(1));
    assert_eq!(lives(&fleet), [1, 4, 1]);
    killed(&fleet, "g", [2, 5, 2]);
    assert_eq!(fleet.call("t", "count").json(), json!(2), "the ledger takes the new life");
}
