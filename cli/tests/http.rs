//! The HTTP door of a running fleet (`listen:`): what it shows, and to whom it does not speak.
//!
//! Requests are written byte by byte, so that nothing between us and the socket mends them.
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

#[allow(dead_code, reason = "shared with the acceptance tests, which use all of it")]
#[path = "acceptance/fleet.rs"]
mod fleet;

use fleet::{Fleet, PATIENCE, READER, file, finish, free_port, read};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A fleet with its door, and the port.
fn door() -> (Fleet, u16) {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), READER));
    fleet.start();
    (fleet, port)
}

/// Status and body of what is answered to these header lines.
fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn local(port: u16, path: &str) -> (u16, String) {
    get(port, path, &format!("Host: 127.0.0.1:{port}\r\n"))
}

#[test]
fn it_tells_that_it_lives_is_ready_and_which_version_it_is() {
    let (mut fleet, port) = door();
    assert_eq!(local(port, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(local(port, "/readyz"), (200, "ok\n".to_owned()));
    let version = concat!(env!("CARGO_PKG_VERSION"), "\n").to_owned();
    assert_eq!(local(port, "/version"), (200, version));
    assert_eq!(local(port, "/").0, 404);
    fleet.stop();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the door is closed with the fleet");
}

/// Names of metrics in the exported text.
fn exported(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// Kinds of metrics in the exported text and in the documented table.
fn kinds(
    lines: &str,
    row: impl Fn(&str) -> Option<(String, String)>,
) -> BTreeSet<(String, String)> {
    lines.lines().filter_map(row).collect()
}

/// Names of metrics in the documented table.
fn documented() -> BTreeSet<String> {
    let rows = include_str!("../../docs/metrics.md").lines();
    let names = rows.filter_map(|line| line.strip_prefix("| `loket_")?.split('`').next());
    names.map(|name| format!("loket_{name}")).collect()
}

#[test]
fn metrics_are_the_documented_ones() {
    let (fleet, port) = door();
    fleet.write("docs/a.md", "The heron stands in the reeds.\n");
    assert_eq!(fleet.call("reader", &read("a.md")).exit, 0);
    assert_eq!(fleet.command(&["kill", "reader"]).exit, 0);
    assert_eq!(fleet.call("reader", r#"{"ask": "heron"}"#).exit, 0);
    let (status, text) = local(port, "/metrics");
    assert_eq!(status, 200);
    let (exported, documented) = (exported(&text), documented());
    let unknown: Vec<_> = exported.difference(&documented).collect();
    assert!(unknown.is_empty(), "exported, but not in docs/metrics.md: {unknown:?}");
    let told = kinds(&text, |line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    });
    let written = kinds(include_str!("../../docs/metrics.md"), |line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        Some((cells.next()?.trim().trim_matches('`').to_owned(), cells.next()?.trim().to_owned()))
    });
    let other: Vec<_> = told.difference(&written).collect();
    assert!(other.is_empty(), "of another kind than docs/metrics.md says: {other:?}");
    for name in [
        "loket_calls_total",
        "loket_restarts_total",
        "loket_turns_total",
        "loket_calls_answered_total",
        "loket_messages_accepted_total",
        "loket_messages_completed_total",
        "loket_ledger_commit_seconds",
        "loket_ledger_bytes",
        "loket_waits_awake_total",
        "loket_brains_open",
        "loket_brain_commits_total",
    ] {
        assert!(exported.contains(name), "{name} is not among {exported:?}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} says what it is");
    }
    assert!(text.contains("loket_messages_completed_total 2\n"), "{text}");
    let calls = r#"loket_calls_total{capability="fs.read",verdict="admitted"}"#;
    assert!(text.contains(calls), "{text}");
}

#[test]
fn a_foreign_name_is_refused() {
    let (_fleet, port) = door();
    for own in ["localhost", "[::1]", "127.0.0.1", "LOCALHOST"] {
        for host in [own.to_owned(), format!("{own}:{port}")] {
            let (status, _) = get(port, "/metrics", &format!("Host: {host}\r\n"));
            assert_eq!(status, 200, "{host}");
        }
    }
    for headers in [
        "Host: example.com\r\n",
        "Host: example.com:80\r\n",
        "Host: localhost.example.com\r\n",
        "Host: 127.0.0.1.example.com\r\n",
        "Host: [::1].example.com\r\n",
        "Host: \r\n",
        "",
        "Host: localhost\r\nHost: example.com\r\n",
    ] {
        for path in ["/metrics", "/livez", "/readyz", "/version", "/other"] {
            let (status, body) = get(port, path, headers);
            // Two hosts, or none, are a bad request already for some servers: either way nothing is shown.
            assert!(matches!(status, 421 | 400), "{headers:?} {path}: {status}");
            assert!(!body.contains("loket_"), "{body}");
        }
    }
    assert_eq!(get(port, "/livez", "Host: example.com\r\n").0, 421);
}

#[test]
fn a_door_that_cannot_be_opened_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let fleet = Fleet::of(&file(&format!("listen: \"{listen}\","), READER));
    let said = finish(fleet.run());
    said.failed(2, "C011", &[&listen]);
}
