//! Rule E2: the same calls give the same, whenever and however often they are made.
#![allow(clippy::disallowed_methods)]

use super::*;
use std::time::{SystemTime, UNIX_EPOCH};

/// One turn's worth of everything, its results as one text.
fn turn(brain: &mut Brain, n: u64) -> String {
    let mut seen = Vec::new();
    let texts: Vec<String> =
        (0..20).map(|at| format!("note {n} {at} fox {}", "den ".repeat(at % 5))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    seen.push(format!("{:?}", add_at(brain, &texts, 1_000 * n)));
    put(brain, &format!("k{n}"), &format!("{{\"n\": {n}}}"));
    seen.push(format!("{:?}", brain.call(|conn| kv::delete(conn, "k2")).unwrap()));
    let ids = [i64::try_from(n).unwrap() * 7, 3];
    seen.push(format!("{}", brain.call(|conn| forget::forget(conn, Some(&ids), None)).unwrap()));
    let what = Search {
        terms: query::terms("the den of the fox, note 3").unwrap(),
        limit: 10,
        recency: 0.2,
        now_ms: 1_000 * n + 3,
    };
    let hits = brain.call(|conn| search::search(conn, &what)).unwrap();
    seen.push(serde_json::to_string(&hits).unwrap());
    let list = brain.call(|conn| kv::list(conn, "k", None, 100)).unwrap();
    seen.push(serde_json::to_string(&list).unwrap());
    seen.join("\n")
}

#[test]
fn e2_two_brains_made_at_different_times_agree() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut first = begun(one.path());
    let mut results = Vec::new();
    for n in 1..=6 {
        results.push(turn(&mut first, n));
        first.commit(TurnNo(n), Hash::of(&n.to_le_bytes())).unwrap();
        first.begin(false).unwrap();
    }
    // SQLite's clock has milliseconds: let one of them pass, so that a call of it would show.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let before = now();
    while now() < before + 3 {
        std::hint::spin_loop();
    }
    // The second brain sees every turn twice, is closed and opened, and is checkpointed in between.
    let mut second = begun(two.path());
    for n in 1..=6 {
        assert_eq!(turn(&mut second, n), results[n as usize - 1]);
        second.roll_back();
        if n % 2 == 0 {
            assert!(second.make_durable().unwrap().is_some());
            drop(second);
            second = begun(two.path());
        } else {
            second.begin(false).unwrap();
        }
        assert_eq!(turn(&mut second, n), results[n as usize - 1]);
        second.commit(TurnNo(n), Hash::of(&n.to_le_bytes())).unwrap();
        second.begin(false).unwrap();
    }
    assert_eq!(dump(&mut first), dump(&mut second));
}
