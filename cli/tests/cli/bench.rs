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

#[test]
fn restarts_spawns_and_messages_between_agents_are_measured() {
    for (what, unit, many) in [
        ("restart", "restart", None),
        ("activation", "activation", None),
        ("start", "start", None),
        ("spawn", "agent", Some(4)),
        ("agents", "message", Some(4)),
    ] {
        let report = bench(&[what, "--json"]).json();
        let tiers = report["tiers"].as_array().unwrap();
        assert_eq!((tiers.len(), &tiers[0]["tier"]), (1, &Value::from(what)));
        assert_eq!(tiers[0]["unit"], unit, "{report}");
        assert_eq!(tiers[0]["many"]["callers"].as_u64(), many, "{report}");
        let one = &tiers[0]["one"];
        assert!(one["count"].as_u64() > Some(1) && one["ns"]["median"].as_f64() > Some(0.0));
        assert_eq!(one["latency"].is_null(), what == "agents", "{report}");
    }
    // As tiers they go with others.
    let text = bench(&["--tier", "restart,b"]);
    assert!(text.out.contains("next message") && text.out.contains("grant is checked"), "{text:?}");
}

#[test]
fn recovery_is_measured_with_turns_that_are_open_when_the_process_is_killed() {
    let report = bench(&["recovery", "--json"]).json();
    let tier = &report["tiers"][0];
    assert_eq!((&tier["tier"], &tier["unit"]), (&"recovery".into(), &"recovery".into()));
    for (series, callers) in [(&tier["one"], 1), (&tier["many"], 4)] {
        assert_eq!(series["callers"], callers, "{report}");
        // One a repeat at least, and a process that starts takes processor time.
        assert!(series["count"].as_u64() >= Some(2), "{report}");
        assert!(series["cpu_ns"]["median"].as_f64() > Some(0.0), "{report}");
    }
}

#[test]
fn density_tells_what_an_agent_takes() {
    let report = bench(&["density", "--json"]).json();
    assert_eq!((&report["version"], &report["agents"]), (&1.into(), &20.into()));
    let bytes = ["base_bytes", "idle_bytes", "hibernated_bytes"].map(|name| report[name].as_u64());
    // Brains were opened meanwhile: who has been asked takes more than who has not.
    assert!(bytes[0] > Some(1 << 20) && bytes[2] > bytes[1], "{report}");
    let order = &report["order"];
    assert_eq!(order["first_messages_ns"].as_array().map(Vec::len), Some(10), "{report}");
    // A quarter of the agents at each end, and their times are times.
    assert_eq!(order["woken"], 5, "{report}");
    let times = ["first_ns", "last_ns"].map(|name| order[name].as_u64());
    assert!(times.iter().all(|ns| *ns > Some(1_000)), "{report}");
    let text = bench(&["density"]);
    assert!(
        ["never asked", "hibernated", "in a GiB", "Woken one at a time"]
            .iter()
            .all(|w| text.out.contains(w)),
        "{text:?}"
    );
    for other in [["--tier", "a"], ["--html", "x"], ["--against", "x"]] {
        bench(&[&["density"], &other[..]].concat()).failed(2, "usage", &["density"]);
    }
}

/// `.ci/run` runs this with the feature, too.
#[test]
fn allocations_are_told_by_a_build_that_counts_them() {
    let report = bench(&["--tier", "c,e", "--json"]).json();
    for tier in report["tiers"].as_array().unwrap() {
        let counted = tier["one"]["allocations"].as_f64();
        assert_eq!(counted.is_some(), cfg!(feature = "allocations"), "{tier}");
        // A native call has its answer's slot and the echo's copy; more than a few would be a copy that nobody needs.
        let most = if tier["tier"] == "native" { 6.0 } else { f64::MAX };
        assert!(counted.is_none_or(|n| n >= 1.0 && n < most), "{tier}");
    }
    let outside = bench(&["agents", "--json"]).json();
    assert!(outside["tiers"][0]["one"]["allocations"].is_null(), "{outside}");
}
