//! What each crate never knows, as words that may not stand in its code. Comments, strings and tests do not count.
//!
//! The manifests are held by `layering.rs`; here is what needs no dependency: the standard library, and words of another
//! layer. Each test bears the name that ARCHITECTURE.md gives it.

use crate::none;
use crate::source::{files, lines_with};

/// Time that passes, as opposed to a length of time.
const CLOCKS: &[&str] = &["Instant", "SystemTime", "UNIX_EPOCH"];
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::sync::mpsc",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "println!",
    "eprintln!",
];
/// The words of crates that run things.
const ENGINES: &[&str] =
    &["actix", "actix_rt", "tokio", "wasmtime", "rusqlite", "crossbeam_channel"];

/// What is built into the binary.
const SHIPPED: [&str; 7] = [
    "kernel/src",
    "supervision/src",
    "actors",
    "providers",
    "agents/host/src",
    "benches/harness/src",
    "cli/src",
];

/// Every place in the shipped code under `folder` where one of the words stands.
fn places(folder: &str, words: &[&str], but: &[&str]) -> Vec<String> {
    let sources = files(folder, ".rs");
    assert!(!sources.is_empty(), "{folder} has no sources");
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !s.is_test() && !but.contains(&s.path.as_str())) {
        let code = source.shipped();
        for word in words {
            let lines = lines_with(&code, word).into_iter();
            found.extend(lines.map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    found
}

/// The rule holds under this folder.
fn never(rule: &str, folder: &str, words: &[&[&str]]) {
    none(rule, places(folder, &words.concat(), &[]));
}

#[test]
fn kernel_knows_no_clock_io_thread_or_lock() {
    let more = ["std::time", "std::net", "Mutex", "RwLock", "Condvar", "async", "thread_local!"];
    never("the kernel is pure", "kernel/src", &[CLOCKS, OUTSIDE, ENGINES, &more]);
}

#[test]
fn supervision_knows_no_clock_io_thread_or_future() {
    let more = ["Mutex", "RwLock", "Condvar", "async", "Future", "thread_local!"];
    never("the supervisor's policy is pure", "supervision/src", &[CLOCKS, OUTSIDE, ENGINES, &more]);
}

#[test]
fn turn_knows_no_clock_io_or_thread() {
    never("the turn is pure", "actors/turn/src", &[CLOCKS, OUTSIDE, ENGINES, &["Mutex", "RwLock"]]);
}

#[test]
fn ledger_knows_no_actor_and_no_guest() {
    let words = ["actix", "wasmtime", "loket_runtime", "loket_supervision", "Envelope", "Admitted"];
    never("the ledger knows neither actors nor guests", "actors/ledger/src", &[&words]);
}

#[test]
fn runtime_knows_no_database_guest_engine_or_provider() {
    let words = [
        "rusqlite",
        "wasmtime",
        "std::fs",
        "std::net",
        "std::process",
        "loket_contract",
        "loket_store",
        "loket_llm",
        "loket_fs",
        "loket_http",
        "loket_time",
        "loket_agent",
        "loket_log",
        "loket_chaos",
        "loket_host",
        "loket_ledger",
    ];
    never(
        "the runtime carries out and knows nothing of what it carries",
        "actors/runtime/src",
        &[&words],
    );
}

#[test]
fn the_kernel_actor_decides_nothing() {
    let words = ["covers", "Grant", "GrantId", "Scope", "Budget", "Name", "std::fs", "spawn"];
    let all = places("actors/runtime/src", &words, &[]);
    let own =
        all.into_iter().filter(|place| place.starts_with("actors/runtime/src/kernel_actor.rs"));
    none("the kernel actor admits and forwards", own.collect());
    assert!(crate::source::read("actors/runtime/src/kernel_actor.rs").contains("admit("));
}

#[test]
fn the_supervisor_actor_waits_for_no_child() {
    // Its loop awaits its own control lane and its own timers; what it asks of a child is an order, the answer an event.
    let waits = [".await", "block_on(", ".join(", "blocking_recv("];
    let own = ["actor.run(context.control).await", "tokio::task::yield_now().await"];
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for source in files("actors/runtime/src", ".rs") {
        if !source.path.contains("supervisor_actor") || source.is_test() {
            continue;
        }
        for (n, line) in source.shipped().lines().enumerate() {
            if own.iter().any(|own| line.contains(own)) {
                seen += 1;
            } else if waits.iter().any(|wait| line.contains(wait)) {
                wrong.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    none("the supervisor orders and is told; it never waits", wrong);
    assert_eq!(seen, 2, "the scan no longer sees the supervisor's loop");
}

#[test]
fn contract_knows_no_provider_and_no_engine() {
    let words = [
        "actix",
        "wasmtime",
        "rusqlite",
        "loket_store",
        "loket_llm",
        "loket_fs",
        "loket_http",
        "loket_time",
        "loket_agent",
        "loket_log",
        "loket_chaos",
        "loket_host",
        "loket_ledger",
        "TreeControl",
    ];
    never("the contract is the same for all providers", "providers/contract/src", &[&words]);
}

#[test]
fn providers_know_no_other_provider_and_no_guest_engine() {
    let all = ["store", "llm", "fs", "http", "time", "agent", "log", "chaos"];
    for own in all {
        let others = all.iter().filter(|other| **other != own);
        let mut words: Vec<String> = others.map(|other| format!("loket_{other}")).collect();
        words.extend(["wasmtime", "loket_host", "loket_ledger"].map(String::from));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        never("a provider sees the contract", &format!("providers/{own}/src"), &[&words]);
    }
}

#[test]
fn only_store_and_ledger_know_sqlite() {
    // The simulation looks into the brains that a node has left; a peer of the benches is brains without Loket.
    let owners =
        ["actors/renew/", "actors/ledger/", "providers/store/", "tests/sim/", "benches/peers/"];
    let but = |path: &str| owners.iter().any(|owner| path.starts_with(owner));
    let mut wrong = Vec::new();
    for source in files("", ".rs").iter().filter(|source| source.path.contains("/src/")) {
        if !but(&source.path) {
            let lines = lines_with(&source.shipped(), "rusqlite");
            wrong.extend(lines.iter().map(|line| format!("{}:{line}", source.path)));
        }
    }
    none("only the ledger, the store and what both share name rusqlite", wrong);
}

#[test]
fn the_tree_is_in_the_hands_of_agent_and_chaos_only() {
    for provider in ["contract", "store", "llm", "fs", "http", "time", "log"] {
        never("no TreeControl here", &format!("providers/{provider}/src"), &[&["TreeControl"]]);
    }
    never("no TreeControl here", "agents/host/src", &[&["TreeControl"]]);
}

#[test]
fn host_knows_no_provider_and_no_database() {
    let words = [
        "rusqlite",
        "loket_ledger",
        "loket_store",
        "loket_llm",
        "loket_fs",
        "loket_http",
        "loket_time",
        "loket_agent",
        "loket_log",
        "loket_chaos",
    ];
    never("a guest's calls leave by loket message", "agents/host/src", &[&words]);
}

#[test]
fn only_host_knows_wasmtime() {
    let mut wrong = Vec::new();
    for source in files("", ".rs").iter().filter(|source| source.path.contains("/src/")) {
        if !source.path.starts_with("agents/host/") {
            let lines = lines_with(&source.shipped(), "wasmtime");
            wrong.extend(lines.iter().map(|line| format!("{}:{line}", source.path)));
        }
    }
    none("only the host names wasmtime", wrong);
}

#[test]
fn abi_knows_no_engine() {
    never("the ABI is data", "agents/abi/src", &[CLOCKS, OUTSIDE, ENGINES]);
}

#[test]
fn the_engine_half_of_the_host_knows_no_actor() {
    let words = ["actix", "loket_runtime", "loket_contract", "loket_supervision", "SystemTime"];
    never("the engine is a library without actors", "agents/host/src/engine", &[&words]);
}

#[test]
fn only_the_clock_files_read_a_clock() {
    let calls = ["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed"];
    let clocks = ["crossing", "ledger", "runtime"].map(|of| format!("actors/{of}/src/clock.rs"));
    let clocks: Vec<&str> = clocks.iter().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for folder in SHIPPED {
        wrong.extend(places(folder, &calls, &[&clocks[..], &NOT_FOR_TURNS].concat()));
    }
    none("time comes from the clock files, so that a test can hold it", wrong);
}

/// Files that measure how long their own work took, for a metric or a bound; no turn sees it.
const NOT_FOR_TURNS: [&str; 2] =
    ["providers/store/src/wait.rs", "providers/store/src/shard/jobs.rs"];

#[test]
fn nobody_uses_the_unbounded_or_the_unaccountable() {
    let words = [
        "do_send",
        "unbounded",
        "unbounded_channel",
        "std::sync::mpsc",
        "thread::sleep",
        "set_var",
        "process::abort",
        "process::exit",
    ];
    let mut wrong = Vec::new();
    for folder in SHIPPED {
        wrong.extend(places(folder, &words, &[]));
    }
    none("nothing unbounded, nothing without an answer, no sleep instead of an event", wrong);
}
