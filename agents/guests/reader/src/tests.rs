//! The reader against a counter that serves one file and keeps the rows.
#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, rc::Rc};

use loket_guest::fake;

use super::*;

/// Serves `file` in ranges of at most `range` bytes, remembers every row that is added.
fn tell(file: &str, range: usize, kind: &str, body: &str) -> (Answer, Vec<Value>) {
    let rows = Rc::new(RefCell::new(Vec::new()));
    let (kept, file) = (Rc::clone(&rows), file.to_owned());
    let server = move |capability: &str, mut args: Value| match capability {
        "fs.read" if args["path"] == "absent" => Err(Failure::new("not_found", "absent")),
        "fs.read" if args["path"] == "huge" => {
            Ok(json!({ "text": "a", "bytes": 1, "size": FILE_BYTES_MAX + 1, "eof": false }))
        }
        "fs.read" => {
            let from = args["offset"].as_u64().unwrap() as usize;
            let to = file.floor_char_boundary((from + range).min(file.len()));
            let eof = to == file.len();
            let (text, bytes) = (&file[from..to], to - from);
            Ok(json!({ "text": text, "offset": from, "bytes": bytes, "eof": eof, "lossy": false }))
        }
        "store.brain.memory.add" => {
            let Value::Array(items) = args["items"].take() else { unreachable!() };
            assert!(!items.is_empty() && items.len() <= ROWS_PER_CALL);
            kept.borrow_mut().extend(items);
            Ok(json!({ "ids": [] }))
        }
        "store.brain.memory.search" => Ok(json!({ "hits": [args] })),
        "store.brain.memory.forget" => Ok(json!({ "forgotten": 3, "source": args["source"] })),
        "store.brain.settings" => Ok(json!({ "settings": { "root": "docs" } })),
        "store.brain.kv.get" => Ok(json!({ "value": 4 })),
        _ => Ok(json!({})),
    };
    let message =
        Message { id: "m".into(), sender: "a".into(), kind: kind.into(), body: body.into() };
    let answer = fake::with(server, || handle(message));
    let rows = rows.borrow().clone();
    (answer, rows)
}

fn texts(rows: &[Value]) -> String {
    rows.iter().map(|row| row["text"].as_str().unwrap()).collect()
}

#[test]
fn a_file_is_stored_whole_in_order_with_its_last_row_marked() {
    let file = "A sentence of the file, with \u{e9} in it.\n\n".repeat(9_000);
    for range in [700, 65_536, usize::MAX / 2] {
        let body = r#"{"read": {"root": "docs", "path": "a.md"}}"#;
        let (answer, rows) = tell(&file, range, "read", body);
        assert_eq!(texts(&rows), file);
        let expected = json!({ "path": "a.md", "passages": rows.len(), "bytes": file.len() });
        assert_eq!(answer.unwrap(), expected);
        let mut offset = 0;
        for (part, row) in rows.iter().enumerate() {
            assert_eq!((&row["source"], &row["meta"]["root"]), (&json!("a.md"), &json!("docs")));
            assert_eq!(
                (&row["meta"]["part"], &row["meta"]["offset"]),
                (&json!(part), &json!(offset))
            );
            assert_eq!(row["meta"]["last"] == true, part + 1 == rows.len());
            offset += row["text"].as_str().unwrap().len();
        }
    }
}

#[test]
fn an_empty_file_leaves_one_empty_row() {
    let (answer, rows) = tell("", 100, "message", "empty.md");
    assert_eq!(answer.unwrap(), json!({ "path": "empty.md", "passages": 0, "bytes": 0 }));
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["text"], &rows[0]["meta"]["last"]), (&json!(""), &json!(true)));
}

#[test]
fn a_file_that_cannot_be_read_leaves_nothing() {
    let (answer, rows) = tell("text", 100, "message", "absent");
    assert_eq!(answer.unwrap_err().code, "not_found");
    assert_eq!(rows, Vec::<Value>::new());
}

#[test]
fn a_file_that_is_too_large_is_refused_before_a_row_is_stored() {
    let (answer, rows) = tell("", 100, "message", "huge");
    let failure = answer.unwrap_err();
    assert_eq!(failure.code, "too_large");
    assert!(failure.message.contains("33554433 bytes"), "{failure:?}");
    assert_eq!(rows, Vec::<Value>::new());
}

#[test]
fn questions_are_searched() {
    let (answer, _) = tell("", 1, "ask", r#"{"ask": "why?", "limit": 1000}"#);
    let hits = json!([{ "query": "why?", "limit": HITS_MAX }]);
    assert_eq!(answer.unwrap(), json!({ "hits": hits, "files_read": 4 }));
    let (answer, _) = tell("", 1, "ask", "why?");
    assert_eq!(answer.unwrap()["hits"][0]["limit"], HITS_DEFAULT);
}

#[test]
fn what_it_does_not_know_is_a_failure() {
    assert_eq!(
        tell("", 1, "message", r#"{"forget": "a.md"}"#).0.unwrap(),
        json!({ "forgotten": 3 })
    );
    for body in
        ["", "  ", "{}", r#"{"read": "a.md"}"#, r#"{"read": {"root": "docs"}}"#, r#"{"ask": 1}"#]
    {
        assert_eq!(tell("", 1, "message", body).0.unwrap_err().code, "bad_message", "{body}");
    }
}
