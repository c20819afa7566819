//! Turns a second through the ledger alone: `cargo run --release -p loket-ledger --example turns`.
//! Each turn is one accepted message and one end, of as many agents at once as the second column
//! says. A figure to compare, not a promise.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use loket_ledger::kit::{Subject, message, wait};
use loket_ledger::{Durability, Options, SqliteLedger};
use loket_turn::{Ledger, TurnKey, TurnNo};
use std::time::Instant;

const TURNS: u64 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<10} {:>7} {:>10}", "level", "agents", "turns/s");
    for durability in [Durability::Process, Durability::Power] {
        for agents in [1_u64, 16, 256] {
            let turns = if agents == 1 { TURNS / 10 } else { TURNS };
            let rate = rate(durability, agents, turns)?;
            println!("{:<10} {agents:>7} {rate:>10.0}", format!("{durability:?}"));
        }
    }
    Ok(())
}

fn rate(
    durability: Durability,
    agents: u64,
    turns: u64,
) -> Result<f64, Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("loket-turns-{}", std::process::id()));
    let mut options = Options::new(&dir);
    options.durability = durability;
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell)?;
    let it = Subject { ledger: engine.clone(), events };
    let names: Vec<String> = (0..agents).map(|i| format!("a{i}")).collect();
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let lives = it.enrol(&refs, 1_000);
    for name in &refs {
        wait(engine.open((*name).into(), 1))?;
    }
    let start = Instant::now();
    for n in 1..=turns / agents {
        let sent: Vec<_> = refs
            .iter()
            .map(|name| engine.accept(message(name, "0123456789012345678901234567890123456789")))
            .collect();
        for pending in sent {
            wait(pending)?;
        }
        let ends: Vec<_> = refs
            .iter()
            .zip(&lives)
            .map(|(name, life)| {
                let turn =
                    TurnKey { agent: (*name).into(), life: *life, incarnation: 1, n: TurnNo(n) };
                engine.end(it.ending(&turn))
            })
            .collect();
        for pending in ends {
            wait(pending)?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    engine.stop();
    std::fs::remove_dir_all(dir)?;
    Ok((turns / agents * agents) as f64 / seconds)
}
