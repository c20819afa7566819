//! `loket bench`: what it says is measured is measured, and its report proves it. No figure is judged here.

use crate::ECHO;
use crate::fleet::{Fleet, Said, file, finish, loket};
use serde_json::Value;

/// As short as it goes; the figures of it mean nothing.
const SHORT: [&str; 8] = ["--seconds", "1", "--repeats", "2", "--agents", "20", "--callers", "4"];

fn bench(words: &[&str]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let mut command = loket();
    command.args(["bench", "--dir"]).arg(dir.path()).args(SHORT).args(words);
    let said = finish(command);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "the folder is as it was: {left:?}");
    said
}

#[test]
fn calls_are_measured_and_every_one_is_proven() {
    measured(&["--tier", "a,b,c,c2,d"], &["host", "grant", "native", "guest", "cross", "lanes"]);
}

#[test]
fn durable_turns_are_measured_at_both_levels() {
    measured(&["--tier", "e"], &["process", "power"]);
}

fn measured(words: &[&str], names: &[&str]) {
    let words: Vec<_> = words.iter().chain(&["--json"]).copied().collect();
    let report = bench(&words).json();
    assert_eq!(report["version"], 1, "{report}");
    let tiers = report["tiers"].as_array().unwrap();
    let found: Vec<_> = tiers.iter().map(|tier| tier["tier"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    for tier in tiers {
        for series in [&tier["one"], &tier["many"]].into_iter().filter(|series| !series.is_null()) {
            let latency = &series["latency"];
            if latency.is_null() {
                // Only many guests have no single times: a guest has no clock.
                assert!(tier["tier"] == "guest" && series["callers"] != 1, "{tier}");
                continue;
            }
            let percentiles = ["p50_ns", "p99_ns", "p999_ns", "max_ns"];
            let percentiles = percentiles.map(|name| latency[name].as_u64().unwrap());
            assert!(percentiles.is_sorted() && percentiles[0] > 0, "{tier}");
            assert!(series["per_second"].as_f64().unwrap() > 0.0, "{tier}");
            assert!(series["cpu_ns"]["median"].as_f64().unwrap() > 0.0, "{tier}");
            assert_eq!(series["ns"]["repeats"].as_array().unwrap().len(), 2, "{tier}");
        }
        let proof = &tier["proof"];
        if ["native", "guest", "cross", "lanes"].contains(&tier["tier"].as_str().unwrap()) {
            assert!(proof["calls"].as_u64().unwrap() > 0, "{tier}");
            assert_eq!(proof["calls"], proof["admitted"], "{tier}");
            assert_eq!(proof["calls"], proof["answered"], "{tier}");
        } else {
            assert_eq!(proof, &Value::Null, "{tier}");
        }
    }
}

#[test]
fn a_run_is_compared_with_an_earlier_one_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let (earlier, page) = (dir.path().join("before.json"), dir.path().join("report.html"));
    let (earlier, page) = (earlier.to_str().unwrap(), page.to_str().unwrap());
    std::fs::write(earlier, bench(&["--tier", "b", "--json"]).out).unwrap();
    let words = ["--tier", "b", "--against", earlier, "--html", page, "--json"];
    let report = bench(&words).json();
    let change = &report["against"]["changes"][0];
    assert_eq!((&change["tier"], change["callers"].as_u64()), (&Value::from("grant"), Some(1)));
    let drawn = std::fs::read_to_string(page).unwrap();
    assert!(drawn.contains("<svg") && drawn.contains("Against the earlier run"), "{drawn}");
    bench(&["--against", page]).failed(2, "bench_against", &["is no report"]);
    bench(&["--against", "/nowhere"]).failed(2, "bench_file", &["cannot read /nowhere"]);
}

#[test]
fn a_tier_is_chosen_and_a_fleet_gives_its_rows() {
    let fleet = Fleet::of(&file("", ECHO));
    let path = fleet.path("fleet.ron");
    let report = bench(&[path.to_str().unwrap(), "--tier", "c", "--json"]).json();
    assert!(report["fleet"].is_string(), "{report}");
    assert_eq!(report["tiers"].as_array().unwrap().len(), 1);
    let text = bench(&["--tier", "host,b"]);
    assert!(text.out.contains("grant is checked") && !text.out.contains("kernel"), "{text:?}");
    bench(&["--tier", "z"]).failed(2, "bench_tier", &["there are: host, grant"]);
}
