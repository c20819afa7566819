//! Ten thousand children crash at once: when is everybody back, and does the tree answer meanwhile?
//!
//! `cargo run --release -p loket-runtime --example crowd` prints one line of figures; `-- CHILDREN` says how many. Exit code 1: not all
//! were back within 30 s, or a look at the whole tree took more than 100 ms.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement, by the machine's clock"
)]

#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use loket_supervision::machine::{Blame, Cause, Exit, Flags};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const CHILDREN: usize = 10_000;
const BACK: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let count = std::env::args().nth(1).map_or(CHILDREN, |word| word.parse().unwrap());
    let (script, crash) = (Script::new(), Arc::<Notify>::default());
    let names: Vec<String> = (0..count).map(|n| format!("a{n}")).collect();
    for name in &names {
        let crash = Arc::clone(&crash);
        script.on(name, move |mut context| {
            let crash = Arc::clone(&crash);
            async move {
                context.control.started();
                tokio::select! {
                    biased;
                    () = context.control.stop() => Exit::Shutdown,
                    () = crash.notified() => Exit::crash(Cause::Trap, Blame::Guest, "all at once"),
                }
            }
        });
    }
    let flags = Flags { intensity: u32::try_from(2 * count).unwrap(), ..Flags::default() };
    let all = workers(names.iter().map(|name| worker(name)).collect());
    let lanes = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = run(lanes, &script, supervisor("root", flags, all));
    runtime.wait_up().unwrap();
    let control = runtime.control();
    let mut looks = vec![look(&control)];
    let quiet = looks[0];
    let began = Instant::now();
    crash.notify_waiters();
    let back = loop {
        looks.push(look(&control));
        if control.restarts() >= count as u64
            && control.living(&|place| place.incarnation() > 1).len() >= count
        {
            break began.elapsed();
        }
        if began.elapsed() > 2 * BACK {
            break began.elapsed();
        }
    };
    looks.sort();
    let worst = *looks.last().unwrap();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    println!(
        "children={count} back_ms={:.1} looks={} look_quiet_ms={:.2} look_median_ms={:.2} look_worst_ms={:.2}",
        ms(back),
        looks.len(),
        ms(quiet),
        ms(looks[looks.len() / 2]),
        ms(worst)
    );
    stop(runtime);
    if back <= BACK && worst <= LOOK { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// One look at the whole tree.
fn look(control: &Arc<dyn loket_runtime::TreeControl>) -> Duration {
    let began = Instant::now();
    let tree = control.snapshot().unwrap();
    assert!(!tree.children.is_empty());
    began.elapsed()
}
