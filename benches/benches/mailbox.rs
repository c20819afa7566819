//! A mailbox on one lane: a message in and out by itself, and there and back between two tasks of one thread.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use loket_runtime::Mailbox;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// As a provider's.
const CAPACITY: usize = 1_024;

/// Calls for each measured batch of the second benchmark.
const CALLS: u64 = 1_000;

type Ask = (u64, oneshot::Sender<u64>);

fn send_and_receive(c: &mut Criterion) {
    let mailbox = Mailbox::new(CAPACITY);
    c.bench_function("mailbox/send+try_recv", |bench| {
        bench.iter_batched(
            || vec![0_u8; 64],
            |message| {
                mailbox.send(message).unwrap();
                mailbox.try_recv()
            },
            BatchSize::SmallInput,
        );
    });
}

/// One caller at a time; the time is that of [`CALLS`] calls.
fn there_and_back(c: &mut Criterion) {
    let lane = tokio::runtime::Builder::new_current_thread().build().unwrap();
    c.bench_function("mailbox/1000 calls on one lane", |bench| {
        bench.iter(|| {
            LocalSet::new().block_on(&lane, async {
                let mailbox = Mailbox::<Ask>::new(CAPACITY);
                let serving = mailbox.clone();
                let server = tokio::task::spawn_local(async move {
                    for _ in 0..CALLS {
                        let (n, reply) = serving.recv().await;
                        reply.send(n).unwrap();
                    }
                });
                for n in 0..CALLS {
                    let (reply, answer) = oneshot::channel();
                    mailbox.send((n, reply)).unwrap();
                    assert_eq!(answer.await.unwrap(), n);
                }
                server.await.unwrap();
            });
        });
    });
}

criterion_group!(benches, send_and_receive, there_and_back);
criterion_main!(benches);
