//! Ranking, words of all kinds, bounds.

use super::*;
use crate::limits::TERM_ROWS_MAX;

const DAY: u64 = 24 * 3600 * 1000;

#[test]
fn the_row_that_says_more_of_it_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let ids = add_at(
        &mut brain,
        &[
            "the harbour was closed and nothing moved for a very long and quiet afternoon",
            "elections: the elections in Ghana, counted",
            "a report on the harbour and the elections that mentions many other things too",
        ],
        10,
    );
    assert_eq!(find(&mut brain, "Who won the ELECTIONS in Ghana?", 0.1, 10), [ids[1], ids[2]]);
    assert_eq!(find(&mut brain, "harbours", 0.0, 10).len(), 2, "other endings are found");
    assert!(find(&mut brain, "zebra", 0.1, 10).is_empty());
    assert!(find(&mut brain, "...", 0.1, 10).is_empty());
}

#[test]
fn e2_recency_is_by_the_turns_clock_and_ties_go_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let old = add_at(&mut brain, &["fox one"], 0)[0];
    let new = add_at(&mut brain, &["fox two"], 100 * DAY)[0];
    assert_eq!(find(&mut brain, "fox", 0.0, 100 * DAY), [old, new], "a tie goes to the smaller id");
    assert_eq!(find(&mut brain, "fox", 0.1, 100 * DAY), [new, old]);
    // A clock that stands before the rows makes none of them fresher than now.
    assert_eq!(find(&mut brain, "fox", 1.0, 0), [old, new]);
}

#[test]
fn scores_are_whole_millionths_between_0_and_1() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    for n in 0..50 {
        add_at(&mut brain, &[format!("fox {} {n}", "tail ".repeat(n)).as_str()], n as u64);
    }
    let what = Search {
        terms: query::terms("fox tail").unwrap(),
        limit: 50,
        recency: 0.3,
        now_ms: 3 * DAY,
    };
    let hits = brain.call(|conn| search::search(conn, &what)).unwrap();
    let hits = serde_json::to_value(hits).unwrap();
    let scores: Vec<f64> =
        hits.as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 50);
    assert!(scores.is_sorted_by(|a, b| a >= b));
    for score in scores {
        assert!((0.0..=1.0).contains(&score), "{score}");
        assert!(((score * 1e6).round() / 1e6 - score).abs() < 1e-12, "{score}");
    }
}

#[test]
fn e2_quotes_and_syntax_in_a_query_are_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let ids = add_at(&mut brain, &["he said \"stop\" twice", "near miss", "nothing here"], 1);
    assert_eq!(find(&mut brain, "\"stop", 0.1, 1), [ids[0]]);
    assert_eq!(find(&mut brain, "NEAR(stop, 2)", 0.1, 1).len(), 2);
    for hostile in
        ["text : x", "a AND", "* ^ -", "x\" OR text : \"", "{text} : a", "a\0b", "--", ";"]
    {
        let _ = find(&mut brain, hostile, 0.1, 1);
    }
    assert!(!brain.is_broken());
}

#[test]
fn words_of_other_alphabets_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let ids = add_at(
        &mut brain,
        &["Überprüfung der Straße", "выборы в Гане", "東京 の 天気", "naïve café — crème"],
        1,
    );
    assert_eq!(find(&mut brain, "überprüfung", 0.1, 1), [ids[0]]);
    assert_eq!(find(&mut brain, "UBERPRUFUNG", 0.1, 1), [ids[0]], "accents do not matter");
    assert_eq!(find(&mut brain, "ВЫБОРЫ", 0.1, 1), [ids[1]]);
    assert_eq!(find(&mut brain, "天気", 0.1, 1), [ids[2]]);
    assert_eq!(find(&mut brain, "“cafe”", 0.1, 1), [ids[3]]);
}

#[test]
fn c7_ten_thousand_rows_and_a_word_in_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let rows = TERM_ROWS_MAX + 1;
    let items: Vec<Item> = (0..rows)
        .map(|n| item(&format!("report {n} on {}", if n % 1000 == 7 { "zebras" } else { "cows" })))
        .collect();
    brain.call(|conn| memory::add(conn, &items, "m", 5)).unwrap();
    let zebras: Vec<i64> = (0..10).map(|n| n * 1000 + 8).collect();
    // "report" stands in every row: it says nothing beside a word that does.
    assert_eq!(find(&mut brain, "report zebras", 0.1, 5), zebras);
    // Alone it gives the newest rows.
    let newest: Vec<i64> = (0..10).map(|n| rows as i64 - 9 + n).collect();
    assert_eq!(find(&mut brain, "report", 0.1, 5), newest);
    assert_eq!(brain.call(|conn| memory::count(conn, None)).unwrap(), rows as u64);
}

#[test]
fn forgotten_rows_are_found_no_more_and_their_ids_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let from = |text: &str, source: &str| Item { source: Some(source.into()), ..item(text) };
    let items = [from("red fox", "a"), from("red cow", "b"), from("red hen", "a")];
    let ids = brain.call(|conn| memory::add(conn, &items, "m", 1)).unwrap();
    let count = |brain: &mut Brain, source| brain.call(|conn| memory::count(conn, source)).unwrap();
    assert_eq!((count(&mut brain, None), count(&mut brain, Some("a"))), (3, 2));
    let forget = |brain: &mut Brain, ids: Option<&[i64]>, source| {
        brain.call(|conn| forget::forget(conn, ids, source)).unwrap()
    };
    assert_eq!(forget(&mut brain, Some(&[ids[2], ids[2], 99]), None), 1);
    assert_eq!(forget(&mut brain, Some(&[ids[1]]), Some("a")), 0, "both must agree");
    assert_eq!(forget(&mut brain, None, Some("a")), 1);
    assert_eq!(find(&mut brain, "red", 0.1, 1), [ids[1]]);
    assert!(find(&mut brain, "fox hen", 0.1, 1).is_empty());
    assert_eq!(forget(&mut brain, Some(&[ids[1]]), None), 1);
    let again = add_at(&mut brain, &["red fox"], 1)[0];
    assert!(again > ids[2], "{again}");
    let _ = dump(&mut brain);
}
