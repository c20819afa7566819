//! What a neighbour's calls cost on a lane where providers panic: a native one, and a plain actix one under the adapter.
//!
//! `cargo run --release -p loket-runtime --example panics 2>/dev/null`: 10,000 calls a phase, from a thread of its own, through
//! the lane's kernel shard to a provider on the same lane, while another thread makes the other providers panic again and again.
//! Ends with 1 when a p99 is over the larger of 10 ms and 3 times undisturbed, or when the neighbour was restarted.
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

#[path = "../tests/common/mod.rs"]
mod common;

use actix::{Actor, Context, Handler, Message};
use common::*;
use loket_runtime::{ActixEngine, ChildContext, Door, ProviderWork, Runtime};
use loket_supervision::machine::{Exit, Flags};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CALLS: usize = 10_000;

/// What p99 may be at most, whatever undisturbed was.
const FLOOR: Duration = Duration::from_millis(10);

struct Plain;

impl Actor for Plain {
    type Context = Context<Self>;
}

struct Do;

impl Message for Do {
    type Result = ();
}

impl Handler<Do> for Plain {
    type Result = ();

    fn handle(&mut self, _: Do, _: &mut Self::Context) {
        panic!("as asked");
    }
}

/// A provider whose work a plain actix actor does.
async fn plain(mut context: ChildContext) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else {
        return Exit::NoProc;
    };
    let engine = ActixEngine::start(&context.links, |_| Plain);
    context.control.started();
    loop {
        let work = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            work = mailbox.recv() => work,
        };
        // The call is held until the actor is gone: its caller sees the reply dropped with the incarnation.
        if let ProviderWork::Call(_held) = work {
            let _ = engine.call(Do).await;
        }
    }
}

/// Round trips of the neighbour while a provider is made to panic as fast as it comes back; gives p99.
fn phase(runtime: &Runtime, name: &str, panicking: Option<&str>) -> Duration {
    let lane = &runtime.node().lanes()[0];
    let from = address(runtime, "caller");
    let (over, panics) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut took = Vec::with_capacity(CALLS);
    std::thread::scope(|scope| {
        if let Some(capability) = panicking {
            let (over, panics) = (&over, &panics);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(text(call(lane, from, capability, b"panic")), "dropped");
                    panics.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..CALLS {
            let began = Instant::now();
            let answer = call(lane, from, "steady.do", b"").blocking_recv();
            took.push(began.elapsed());
            assert!(answer.is_ok(), "the neighbour answers");
        }
        over.store(true, Ordering::Relaxed);
    });
    took.sort_unstable();
    let ms = |rank: usize| took[rank].as_secs_f64() * 1e3;
    let (p50, p99, max) = (ms(CALLS / 2), ms(CALLS * 99 / 100), ms(CALLS - 1));
    let panics = panics.load(Ordering::Relaxed);
    println!("{name:<24} {p50:>8.3} {p99:>8.3} {max:>8.3} {panics:>8}");
    took[CALLS * 99 / 100]
}

fn main() -> ExitCode {
    let script = Script::new();
    script.on("steady", serve);
    script.on("native", serve);
    script.on("actix", plain);
    let all = vec![
        provider("steady", 64, &["steady.do"]),
        provider("native", 64, &["native.do"]),
        provider("actix", 64, &["actix.do"]),
        caller("caller", &["steady", "native", "actix"]),
    ];
    let flags = Flags { intensity: u32::MAX, ..Flags::default() };
    let runtime = run(1, &script, supervisor("root", flags, workers(all)));
    runtime.wait_up().unwrap();
    println!("{:<24} {:>8} {:>8} {:>8} {:>8}", "phase (ms)", "p50", "p99", "max", "panics");
    let alone = phase(&runtime, "undisturbed", None);
    let native = phase(&runtime, "a native provider panics", Some("native.do"));
    let actix = phase(&runtime, "an actix one panics", Some("actix.do"));
    phase(&runtime, "undisturbed again", None);
    let restarts = |name: &str| runtime.node().registry().find(name).unwrap().restarts();
    let (steady, other) = (restarts("steady"), [restarts("native"), restarts("actix")]);
    println!("restarts: native {}, actix {}, steady {steady}", other[0], other[1]);
    let bound = FLOOR.max(alone * 3);
    let held = native <= bound && actix <= bound && steady == 0 && other.iter().all(|&n| n > 0);
    stop(runtime);
    ExitCode::from(u8::from(!held))
}
