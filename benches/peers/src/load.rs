//! Callers on one thread: as many as wanted, each with one call under way.

use std::future::Future;
use std::time::{Duration, Instant};
use tokio::task::{LocalSet, spawn_local};

/// Bytes of each call and answer.
pub(crate) const PAYLOAD: usize = 64;

/// Calls between two looks at the clock.
const BATCH: u64 = 64;

/// How many callers, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) callers: usize,
    pub(crate) time: Duration,
}

/// Nanoseconds a call, all callers together. Must be inside a `LocalSet`.
pub(crate) async fn callers<F, Fut>(load: Load, call: F) -> Result<f64, String>
where
    F: Fn(Vec<u8>) -> Fut + Clone + 'static,
    Fut: Future<Output = Vec<u8>> + 'static,
{
    let warm = Load { time: load.time / 10, ..load };
    once(warm, call.clone()).await?;
    once(load, call).await
}

async fn once<F, Fut>(load: Load, call: F) -> Result<f64, String>
where
    F: Fn(Vec<u8>) -> Fut + Clone + 'static,
    Fut: Future<Output = Vec<u8>> + 'static,
{
    let began = Instant::now();
    let until = began + load.time;
    let one = |call: F| async move {
        let (mut args, mut calls) = (vec![b'x'; PAYLOAD], 0_u64);
        while Instant::now() < until {
            for _ in 0..BATCH {
                args = call(args).await;
            }
            calls += BATCH;
        }
        assert_eq!(args.len(), PAYLOAD);
        calls
    };
    let tasks: Vec<_> = (0..load.callers).map(|_| spawn_local(one(call.clone()))).collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.map_err(|error| error.to_string())?;
    }
    Ok(began.elapsed().as_nanos() as f64 / calls as f64)
}

/// Runs a future on a fresh runtime with one thread.
pub(crate) fn on_one_thread<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(future))
}

/// What the echo does: as much as the echo of the benchmark's own provider.
#[inline]
pub(crate) fn echo(args: &[u8]) -> Vec<u8> {
    args.to_vec()
}
