//! What many children cost: start and stop of trees of 1,000, 10,000 and 100,000 children, each with a row in the kernel's table as
//! an agent has it, and the end of as many instances one by one.
//!
//! `cargo run --release -p loket-runtime --example many_children`: one line for each size, in microseconds for each child. Ends with
//! 1 when a child of 100,000 costs more than 5 times what one of 1,000 does: then something grows with the square.
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use loket_runtime::{ChildKind, DynamicSpec, NodeSpec};
use loket_supervision::machine::{Exit, Flags, Restart, Strategy};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// How much dearer one of 100,000 may be than one of 1,000.
const DEARER_MAX: f64 = 5.0;

/// Instances that are asked to end before the first answer is awaited.
const AT_A_TIME: usize = 1_000;

/// A child that says nothing.
fn silent() -> Script {
    let script = Script::new();
    script.otherwise(|mut context| async move {
        context.control.started();
        context.control.stop().await;
        Exit::Shutdown
    });
    script
}

fn each(began: Instant, count: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / count as f64
}

/// Start and stop of a tree, microseconds for each child.
fn tree(count: usize) -> [f64; 2] {
    let children = (0..count).map(|n| caller(&format!("c{n}"), &["x.y"])).collect();
    let root = supervisor("root", Flags::default(), workers(children));
    let script = silent();
    let began = Instant::now();
    let runtime = run(2, &script, root);
    runtime.wait_up().unwrap();
    let started = each(began, count);
    let began = Instant::now();
    runtime.control().stop(false);
    assert_eq!(runtime.wait(), Exit::Shutdown);
    let stopped = each(began, count);
    runtime.close(30_000).unwrap();
    [started, stopped]
}

/// Start and end of instances by calls, microseconds for each.
fn instances(count: usize) -> [f64; 2] {
    let mut template = caller("template", &["x.y"]);
    template.spec.restart = Restart::Temporary;
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..Flags::default() };
    let pool = supervisor("pool", flags, workers(vec![template]));
    let root = supervisor("root", Flags::default(), vec![NodeSpec::Supervisor(pool)]);
    let runtime = run(2, &silent(), root);
    runtime.wait_up().unwrap();
    let pool = runtime.control().supervisor("pool").unwrap();
    let kind = Arc::new(ChildKind::System("test", 0));
    let waiter = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let name = |n: usize| format!("pool/{n}");
    let spec =
        |n| DynamicSpec { name: name(n).into(), kind: Arc::clone(&kind), last_incarnation: 0 };
    let some = |from: usize| from..count.min(from + AT_A_TIME);
    let began = Instant::now();
    for from in (0..count).step_by(AT_A_TIME) {
        let all: Vec<_> = some(from).map(|n| pool.start_instance(spec(n))).collect();
        all.into_iter().for_each(|up| assert!(waiter.block_on(up).is_ok()));
    }
    let started = each(began, count);
    let began = Instant::now();
    for from in (0..count).step_by(AT_A_TIME) {
        let all: Vec<_> = some(from).map(|n| pool.terminate_child(&name(n))).collect();
        all.into_iter().for_each(|gone| assert!(waiter.block_on(gone).is_ok()));
    }
    let ended = each(began, count);
    assert_eq!(stop(runtime), Exit::Shutdown);
    [started, ended]
}

fn main() -> ExitCode {
    let mut all = Vec::new();
    for count in SIZES {
        let ([start, stop], [come, go]) = (tree(count), instances(count));
        println!(
            "children={count} start_us={start:.2} stop_us={stop:.2} instance_start_us={come:.2} instance_end_us={go:.2}"
        );
        all.push([start, stop, come, go]);
    }
    let (few, many) = (all[0], all[all.len() - 1]);
    let dearer = few.iter().zip(many).map(|(few, many)| many / few).fold(0.0, f64::max);
    println!("dearer={dearer:.2} allowed={DEARER_MAX}");
    ExitCode::from(u8::from(dearer > DEARER_MAX))
}
