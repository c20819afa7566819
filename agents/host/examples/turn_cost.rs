//! What a turn costs: microseconds for a fresh instance and its answer, nanoseconds for one call through the loket.
//!
//! `cargo run --release -p loket-host --example turn_cost`. Medians of several batches; no other figure is promised.
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::Instant;

use loket_host::engine::{
    Abort, Answer, Engine, EngineConfig, Host, LoadLimits, Message, Module, RunLimits,
};

/// Batches, of which the median is printed.
const BATCHES: usize = 15;
/// Turns in one batch.
const TURNS: u32 = 2_000;
/// Calls in one turn of the second measurement.
const CALLS: u32 = 1_000;

/// Answers at once, after the fibre was suspended: the least that any real handler costs.
struct Ready;

impl Host for Ready {
    async fn call(&mut self, _: String, args: Vec<u8>) -> Result<Answer, Abort> {
        Ok(Ok(args))
    }
}

/// A guest that makes as many calls as its first byte pair says, 64 bytes each.
const CALLER: &str = r#"(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "bench.echo")
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (global.get $top) (i32.const 60000)) (then (global.set $top (i32.const 8192))))
    (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    (i32.sub (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $n i32)
    (local.set $n (i32.load16_u (local.get 6)))
    (loop $next
      (call $call (i32.const 16) (i32.const 10) (i32.const 1024) (i32.const 64) (i32.const 64))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 64)))"#;

async fn batch(
    module: &Module,
    body: &[u8],
    turns: u32,
) -> Result<f64, Box<dyn std::error::Error>> {
    let limits = RunLimits::default();
    let start = Instant::now();
    for _ in 0..turns {
        let message = Message { id: "m-1", sender: "@operator", kind: "message", body };
        let answer = module.run(&limits, message, &mut Ready).await?;
        answer.map_err(|failure| failure.message)?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(turns))
}

async fn median(
    module: &Module,
    body: &[u8],
    turns: u32,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut all = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        all.push(batch(module, body, turns).await?);
    }
    all.sort_by(f64::total_cmp);
    Ok(all[BATCHES / 2])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(EngineConfig::default())?;
    let limits = LoadLimits::default();
    let start = Instant::now();
    let echo = engine.load(loket_abi::ECHO_WAT.as_bytes(), &limits, None)?;
    println!("load (wrap, compile, link)   {:8.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let caller = engine.load(CALLER.as_bytes(), &limits, None)?;
    let lane = tokio::runtime::Builder::new_current_thread().build()?;
    lane.block_on(async {
        let turn = median(&echo, &[b'x'; 64], TURNS).await?;
        println!("turn in a fresh instance     {:8.2} us", turn * 1e6);
        let one = median(&caller, &1_u16.to_le_bytes(), TURNS).await?;
        let calls = u16::try_from(CALLS)?;
        let many = median(&caller, &calls.to_le_bytes(), TURNS / 50).await?;
        let call = (many - one) / f64::from(CALLS - 1);
        println!("call of 64 bytes, each way   {:8.1} ns", call * 1e9);
        Ok(())
    })
}
