//! With 20,000 messages queued at an actor: how soon do a stop, a kill and a look at it act?
//!
//! `cargo run --release -p loket-runtime --example overtake` prints a line for each: median and worst of so many rounds, from
//! the request to the deed (the body sees the stop; the body is dropped; the answer is there). Exit code 1: a median above 1 ms.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement, by the machine's clock"
)]

#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use crossbeam_channel::{Receiver, Sender, unbounded};
use loket_runtime::{
    BrainAction, BrainRequest, ChildKind, Door, DynamicSpec, Mailbox, NodeSpec, ProviderWork,
    Runtime,
};
use loket_supervision::machine::{Exit, Flags, Restart, Strategy};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const QUEUED: usize = 20_000;
const ROUNDS: usize = 50;
const BOUND: Duration = Duration::from_millis(1);

/// Work for one message: 20,000 of them are 100 ms.
const WORK: Duration = Duration::from_micros(5);

/// Messages before the lane's other tasks get their turn, as in a provider's loop.
const BATCH: usize = 32;

fn main() -> ExitCode {
    let (script, (deed, deeds)) = (Script::new(), unbounded::<Instant>());
    let names: Vec<String> = (0..3 * ROUNDS).map(|n| format!("pool/{n}")).collect();
    for name in &names {
        let deed = deed.clone();
        script.on(name, move |context| busy(context, deed.clone()));
    }
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let mut template = provider("template", QUEUED, &[]);
    (template.serves, template.spec.restart) = (None, Restart::Temporary);
    let pool = supervisor("pool", flags, workers(vec![template]));
    let root = supervisor("root", lenient(), vec![NodeSpec::Supervisor(pool)]);
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    let mut names = names.iter();
    let mut good = true;
    for what in ["stop", "kill", "probe"] {
        let mut took: Vec<Duration> =
            names.by_ref().take(ROUNDS).map(|name| round(&runtime, name, what, &deeds)).collect();
        took.sort();
        let (median, worst) = (took[ROUNDS / 2], took[ROUNDS - 1]);
        good &= median <= BOUND;
        let us = |took: Duration| took.as_secs_f64() * 1e6;
        println!(
            "{what} queued={QUEUED} rounds={ROUNDS} median_us={:.1} worst_us={:.1}",
            us(median),
            us(worst)
        );
    }
    stop(runtime);
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn round(runtime: &Runtime, name: &str, what: &str, deeds: &Receiver<Instant>) -> Duration {
    let control = runtime.control();
    let kind = Arc::new(ChildKind::System("test", 0));
    let spec = DynamicSpec { name: name.into(), kind, last_incarnation: 0 };
    wait(control.start_dynamic("pool", spec));
    let mailbox = mailbox_of(runtime, name);
    while mailbox.send(note()).is_ok() {}
    let asked = Instant::now();
    let took = match what {
        "stop" => {
            let stopped = control.stop_dynamic(name);
            let took = deeds.recv_timeout(common::BOUND).unwrap() - asked;
            wait(stopped);
            return took;
        }
        "kill" => {
            control.kill(name).unwrap();
            return deeds.recv_timeout(common::BOUND).unwrap() - asked;
        }
        _ => {
            assert_eq!(control.view(name).unwrap().mailbox.unwrap().capacity, QUEUED);
            asked.elapsed()
        }
    };
    wait(control.stop_dynamic(name));
    let _ = deeds.recv_timeout(common::BOUND).unwrap();
    took
}

/// Says when it is dropped.
struct Dropped(Sender<Instant>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(Instant::now());
    }
}

async fn busy(mut context: loket_runtime::ChildContext, deed: Sender<Instant>) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
    let _dropped = Dropped(deed);
    context.control.started();
    loop {
        tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            first = mailbox.recv() => {
                let mut next = Some(first);
                for _ in 0..BATCH {
                    if next.take().is_none() {
                        break;
                    }
                    let began = Instant::now();
                    while began.elapsed() < WORK {
                        std::hint::spin_loop();
                    }
                    next = mailbox.try_recv();
                }
                tokio::task::yield_now().await;
            }
        }
    }
}

fn note() -> ProviderWork {
    let (reply, _) = tokio::sync::oneshot::channel();
    let what = BrainAction::RollBack;
    ProviderWork::Brain(BrainRequest { agent: "a".into(), incarnation: 1, what, reply })
}

fn mailbox_of(runtime: &Runtime, name: &str) -> Mailbox<ProviderWork> {
    match runtime.node().registry().find(name).unwrap().door() {
        Door::Provider(mailbox) => mailbox.clone(),
        other => panic!("{other:?}"),
    }
}

fn wait<T>(future: loket_runtime::TreeFuture<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future).unwrap()
}
