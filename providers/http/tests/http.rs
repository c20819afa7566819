//! The provider against a server on this machine: what arrives, how often, under which key, and what the caller is told.
#![allow(clippy::unwrap_used)]

mod server;

use loket_contract::kit::Caller;
use loket_contract::{Performed, Provider};
use loket_http::{HttpProvider, parse_config};
use loket_kernel::{Bound, Pattern, Scope};
use loket_turn::{Failure, Outcome};
use serde_json::{Value, json};
use server::{Reply, Server};

const METHODS: &[&str] = &["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"];

fn scope(hosts: &[&str]) -> Scope {
    let names =
        |all: &[&str]| Bound::Names(all.iter().map(|name| Pattern::parse(name).unwrap()).collect());
    let mut scope = Scope::new();
    scope.insert("hosts", names(hosts));
    scope.insert("methods", names(METHODS));
    scope.insert("secrets", names(&["TOKEN"]));
    scope
}

fn provider(config: &str) -> HttpProvider {
    let look = |name: &str| (name == "TOKEN").then(|| "open-sesame".to_owned());
    HttpProvider::new(parse_config(config).unwrap(), look).unwrap()
}

fn finish(performed: Performed) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match performed {
        Performed::Done(outcome) => outcome,
        Performed::Later(later) => match runtime.block_on(later) {
            Performed::Done(outcome) => outcome,
            _ => panic!("one answer"),
        },
        _ => panic!("an answer"),
    }
}

fn call(
    http: &mut HttpProvider,
    caller: &Caller,
    capability: &str,
    args: Value,
) -> Result<Value, Failure> {
    let prepared = caller.prepare(http, capability, &args)?;
    finish(http.perform(prepared)).map(|answer| serde_json::from_slice(&answer).unwrap())
}

#[test]
fn what_arrives_is_what_was_asked_for() {
    let server = Server::start(|_| Reply::of(201, "X-Id: 7", "made"));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let answer = call(
        &mut provider("()"),
        &caller,
        "http.post",
        json!({
            "url": server.url("/items?x=1"), "json": {"n": 1}, "headers": {"X-By": "me"},
        }),
    );
    let answer = answer.unwrap();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(201), &json!("made")));
    assert_eq!(answer["headers"]["x-id"], "7");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((&*seen[0].method, &*seen[0].path), ("POST", "/items?x=1"));
    assert_eq!(seen[0].body, br#"{"n":1}"#);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("x-by"), Some("me"));
}

#[test]
fn c3_a_keyed_request_without_an_answer_is_sent_again_under_the_same_key() {
    let server = Server::start(|n| if n == 0 { Reply::HangUp } else { Reply::of(200, "", "ok") });
    let mut caller = Caller::new("a", "http", scope(&[&server.host]));
    let mut http = provider("(key_header: \"X-Key\")");
    let put = json!({"url": server.url("/a"), "body": "x"});
    call(&mut http, &caller, "http.put", put.clone()).unwrap();
    caller.next_call();
    call(&mut http, &caller, "http.put", put).unwrap();
    let keys: Vec<_> =
        server.seen().iter().map(|seen| seen.header("x-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 3, "one of them twice");
    assert_eq!(keys[0], keys[1], "the same call is the same key");
    assert_ne!(keys[1], keys[2], "another call is another key");
    assert_eq!(keys[0], caller_key(&keys[0]));
}

/// A key is a derived id: 32 hex digits.
fn caller_key(key: &str) -> String {
    assert!(key.len() == 32 && key.chars().all(|c| c.is_ascii_hexdigit()), "{key}");
    key.to_owned()
}

#[test]
fn c4_a_once_request_is_sent_once_whatever_becomes_of_the_answer() {
    let server = Server::start(|_| Reply::HangUp);
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let send = json!({"url": server.url("/a"), "body": "x", "method": "POST"});
    let failure = call(&mut provider("()"), &caller, "http.send", send).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("outcome_unknown", false));
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].header("idempotency-key"), None);
}

#[test]
fn a_server_that_is_not_there_is_not_sent_to() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = closed.local_addr().unwrap().to_string();
    drop(closed);
    let caller = Caller::new("a", "http", scope(&[&host]));
    let send = json!({"url": format!("http://{host}/"), "body": "x"});
    let failure = call(&mut provider("()"), &caller, "http.send", send).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("not_sent", true));
}

#[test]
fn a_server_that_does_not_answer_costs_the_timeout_and_no_more() {
    let server = Server::start(|_| Reply::Silence);
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let get = json!({"url": server.url("/"), "timeout_ms": 100});
    let failure = call(&mut provider("()"), &caller, "http.get", get).unwrap_err();
    assert_eq!(failure.code, "no_answer");
    assert!(failure.message.contains("timeout"), "{failure}");
}

#[test]
fn redirects_are_answers_and_are_not_followed() {
    let server = Server::start(|_| Reply::of(302, "Location: /elsewhere", ""));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let answer = call(&mut provider("()"), &caller, "http.get", json!({"url": server.url("/")}));
    assert_eq!(answer.unwrap()["status"], 302);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_answer_is_whole_or_an_error_that_says_the_limit() {
    let server = Server::start(|_| Reply::of(200, "", &"x".repeat(1001)));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let mut http = provider("()");
    let get = |max: u64| json!({"url": server.url("/"), "max_bytes": max});
    let failure = call(&mut http, &caller, "http.get", get(1000)).unwrap_err();
    assert_eq!(failure.code, "too_large");
    assert!(failure.message.contains("1000"), "{failure}");
    let whole = call(&mut http, &caller, "http.get", get(1001)).unwrap();
    assert_eq!(whole["body"].as_str().unwrap().len(), 1001);
}

#[test]
fn a_body_that_is_no_text_comes_as_base64() {
    let server = Server::start(|_| Reply::Bytes(vec![0xff, 0x00]));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let answer = call(&mut provider("()"), &caller, "http.get", json!({"url": server.url("/")}));
    let answer = answer.unwrap();
    assert_eq!((&answer["base64"], answer.get("body")), (&json!("/wA="), None));
}

#[test]
fn a_secret_reaches_the_server_and_nobody_else() {
    let server = Server::start(|_| Reply::of(200, "", "fine"));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let mut http = provider("(secrets: [\"TOKEN\"])");
    let headers = json!({"Authorization": {"secret": "TOKEN", "prefix": "Bearer "}});
    let get = json!({"url": server.url("/"), "headers": headers});
    let prepared = caller.prepare(&mut http, "http.get", &get).unwrap();
    assert!(!format!("{prepared:?} {http:?}").contains("open-sesame"));
    finish(http.perform(prepared)).unwrap();
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer open-sesame"));

    let echo = Server::start(|_| Reply::of(200, "", "you said open-sesame"));
    let caller = Caller::new("a", "http", scope(&[&echo.host]));
    let get = json!({"url": echo.url("/"), "headers": {"X": {"secret": "TOKEN"}}});
    let failure = call(&mut http, &caller, "http.get", get).unwrap_err();
    assert_eq!(failure.code, "secret_shown");
    assert!(!failure.message.contains("sesame"));
}

#[test]
fn a_private_address_is_reached_only_when_the_grant_spells_the_host_out() {
    let server = Server::start(|_| Reply::of(200, "", ""));
    let get = |host: &str| json!({"url": format!("http://{host}/")});
    let star = Caller::new("a", "http", scope(&["*"]));
    let by_name = server.host.replace("127.0.0.1", "localhost");
    for host in [&server.host, &by_name] {
        let failure = call(&mut provider("()"), &star, "http.get", get(host)).unwrap_err();
        assert_eq!(failure.code, "out_of_scope", "{failure}");
    }
    assert_eq!(server.seen().len(), 0);
    let named = Caller::new("a", "http", scope(&["*", &server.host]));
    call(&mut provider("()"), &named, "http.get", get(&server.host)).unwrap();
}

#[test]
fn the_form_is_checked_before_anything_is_sent() {
    let server = Server::start(|_| Reply::of(200, "", ""));
    let caller = Caller::new("a", "http", scope(&[&server.host]));
    let mut http = provider("()");
    let url = server.url("/");
    for (capability, args, code) in [
        ("http.get", json!({"url": url, "method": "POST"}), "bad_args"),
        ("http.get", json!({"url": url, "body": "x"}), "bad_args"),
        ("http.put", json!({"url": url, "body": "x", "json": 1}), "bad_args"),
        ("http.put", json!({"url": url, "key": "mine"}), "bad_args"),
        ("http.put", json!({"url": url, "headers": {"Idempotency-Key": "x"}}), "bad_args"),
        ("http.put", json!({"url": url, "headers": {"Host": "x"}}), "bad_args"),
        ("http.put", json!({"url": url, "headers": {"X": "a\nb"}}), "bad_args"),
        ("http.put", json!({"url": url, "base64": "%"}), "bad_args"),
        ("http.get", json!({"url": url, "timeout_ms": 30_001}), "bad_args"),
        ("http.get", json!({"url": url, "max_bytes": 100_000_000}), "bad_args"),
        ("http.get", json!({"url": url, "headers": {"X": {"secret": "OTHER"}}}), "out_of_scope"),
        ("http.get", json!({"url": url, "headers": {"X": {"secret": "TOKEN"}}}), "not_found"),
        ("http.get", json!({"url": "http://other.example/"}), "out_of_scope"),
    ] {
        let failure = call(&mut http, &caller, capability, args.clone()).unwrap_err();
        assert_eq!(failure.code, code, "{args}: {failure}");
    }
    let mut narrow = scope(&[&server.host]);
    narrow.insert("methods", Bound::Names(vec![Pattern::parse("GET").unwrap()]));
    let caller = Caller::new("a", "http", narrow);
    let failure = call(&mut http, &caller, "http.put", json!({"url": url})).unwrap_err();
    assert_eq!(failure.code, "out_of_scope");
    assert!(failure.message.contains(r#"{"methods": ["PUT"]}"#), "{failure}");
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_secret_that_is_not_set_is_told_at_the_start() {
    let config = parse_config("(secrets: [\"ABSENT\"])").unwrap();
    let error = HttpProvider::new(config, |_| None).unwrap_err();
    assert!(error.to_string().contains("ABSENT"));
}
