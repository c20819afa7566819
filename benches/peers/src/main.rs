//! The same work through other actor systems: a caller, a third actor that forwards, an echo that answers the caller straight.
//!
//! `loket-peers run` measures each of them once, `loket-peers verdict DIR` puts what `benches/compare.sh` has collected side by
//! side. No peer is given more work than a Loket call has, and none checks a grant, counts a call or survives a panic of its echo
//! with its mailbox whole: the comparison is in their favour. Start reading at [`main`].
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot measure ends")]

mod actix_peer;
mod beam;
mod brain_peer;
mod crossbeam_peer;
mod disk_peer;
mod kameo_peer;
mod load;
mod ractor_peer;
#[path = "../../harness/src/stats.rs"]
#[allow(dead_code, unreachable_pub, reason = "the harness's own")]
mod stats;
mod tokio_peer;
mod verdict;

use load::Load;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Nanoseconds a call, or why it could not be measured.
type Measured = Result<f64, String>;

const USAGE: &str = "usage: loket-peers run [--seconds N] [--callers N] | loket-peers verdict DIR";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &*words {
        ["run", options @ ..] => match arguments(options) {
            Some((seconds, callers)) => run(seconds, callers),
            None => usage(),
        },
        ["verdict", folder] => match verdict::verdict(Path::new(folder)) {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Seconds for each system and load, and how many callers are many.
fn arguments(words: &[&str]) -> Option<(f64, usize)> {
    let (mut seconds, mut callers) = (0.2, 64);
    for pair in words.chunks(2) {
        match pair {
            ["--seconds", value] => seconds = value.parse().ok().filter(|s| *s > 0.0)?,
            ["--callers", value] => callers = value.parse().ok().filter(|n| *n > 0)?,
            _ => return None,
        }
    }
    Some((seconds, callers))
}

fn run(seconds: f64, many: usize) -> ExitCode {
    let mut peers: Vec<(&str, fn(Load) -> Measured)> = vec![
        ("actix, recipient and own reply slot", actix_peer::recipient),
        ("actix, try_send to the address", actix_peer::address),
        ("actix, send in a handler", actix_peer::send_in_handler),
        ("tokio mpsc and oneshot", tokio_peer::one_thread),
        ("tokio across two threads", tokio_peer::two_threads),
        ("ractor", ractor_peer::forward),
        ("kameo", kameo_peer::forward),
        ("crossbeam across two threads", crossbeam_peer::two_threads),
        ("fsync of a brain a turn, two threads", brain_peer::two_threads),
        ("fsync of a file a turn, two threads", disk_peer::two_threads),
    ];
    match beam::installed() {
        true => peers.push(("BEAM gen_server:call", beam::forward)),
        false => eprintln!("SKIPPED: BEAM gen_server:call: there is no `erl` on this machine"),
    }
    let time = Duration::from_secs_f64(seconds);
    let mut rows: Vec<Value> = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for (name, peer) in peers {
        let mut measure = |callers| match peer(Load { callers, time }) {
            Ok(ns) => Some(ns),
            Err(why) => {
                eprintln!("{name}: {why}");
                code = ExitCode::FAILURE;
                None
            }
        };
        rows.push(json!({"peer": name, "one_ns": measure(1), "many_ns": measure(many)}));
    }
    println!("{}", json!({"callers": many, "peers": rows}));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_answers_one_caller_and_many() {
        let peers: [fn(Load) -> Measured; 9] = [
            actix_peer::recipient,
            actix_peer::address,
            actix_peer::send_in_handler,
            tokio_peer::one_thread,
            tokio_peer::two_threads,
            ractor_peer::forward,
            kameo_peer::forward,
            crossbeam_peer::two_threads,
            disk_peer::two_threads,
        ];
        for peer in peers {
            for callers in [1, 4] {
                let ns = peer(Load { callers, time: Duration::from_millis(20) }).unwrap();
                assert!(ns.is_finite() && ns > 0.0, "{ns}");
            }
        }
    }

    #[test]
    fn options_are_read_or_refused() {
        assert_eq!(arguments(&["--seconds", "2", "--callers", "8"]), Some((2.0, 8)));
        assert_eq!(arguments(&[]), Some((0.2, 64)));
        assert_eq!(arguments(&["--callers", "0"]), None);
        assert_eq!(arguments(&["--what"]), None);
    }
}
