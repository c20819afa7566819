//! Native callers: children of the tree that call through their lane's kernel shard, one call after the other.

use crate::latencies::Latencies;
use crate::law::ECHO;
use loket_kernel::{Address, Chain, Envelope};
use loket_runtime::{Body, CallEnvelope, Cargo, ChildContext, Clock, Mailbox, Reply};
use loket_supervision::machine::Exit;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Calls between two looks at the clock.
const BATCH: u64 = 64;

/// What a caller is to do.
pub(crate) struct Job {
    /// Who it calls as.
    pub(crate) from: Address,
    /// Until when, on the node's clock.
    pub(crate) until_ns: u64,
    /// Bytes of the arguments.
    pub(crate) payload: usize,
    /// To be filled with the times of single calls.
    pub(crate) latencies: Option<Latencies>,
    /// Told once it is over.
    pub(crate) done: crossbeam_channel::Sender<Result<Called, String>>,
}

/// What a caller did.
pub(crate) struct Called {
    pub(crate) calls: u64,
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) latencies: Option<Latencies>,
}

/// Where a caller gets its jobs.
pub(crate) type Desk = Mailbox<Job>;

/// The body of a caller.
pub(crate) fn caller_body(desk: Desk, clock: Clock) -> Body {
    Box::new(move |context| Box::pin(run(desk, clock, context)))
}

async fn run(desk: Desk, clock: Clock, mut context: ChildContext) -> Exit {
    context.control.started();
    let kernel = context.lane.kernel().clone();
    loop {
        let job = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            job = desk.recv() => job,
        };
        let done = job.done.clone();
        let worked = work(job, &kernel, &clock).await;
        // What a poll has counted is in the metrics once it is over, and who is told looks at them.
        tokio::task::yield_now().await;
        // Whoever asked may have given up.
        let _ = done.send(worked);
    }
}

async fn work(
    mut job: Job,
    kernel: &Mailbox<CallEnvelope>,
    clock: &Clock,
) -> Result<Called, String> {
    let name: Arc<str> = ECHO.into();
    let mut args = vec![b'x'; job.payload];
    let began_ns = clock.monotonic_ns();
    let (mut calls, mut now) = (0, began_ns);
    while now < job.until_ns {
        for _ in 0..BATCH {
            args = call(kernel, &name, job.from, args).await?;
            if let Some(latencies) = &mut job.latencies {
                let after = clock.monotonic_ns();
                latencies.push(after.saturating_sub(now));
                now = after;
            }
        }
        calls += BATCH;
        now = clock.monotonic_ns();
    }
    if args.len() != job.payload {
        return Err(format!("{} bytes came back of {}", args.len(), job.payload));
    }
    Ok(Called { calls, began_ns, ended_ns: now, latencies: job.latencies })
}

/// One call; gives the answer.
async fn call(
    kernel: &Mailbox<CallEnvelope>,
    name: &Arc<str>,
    from: Address,
    args: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let (reply, answer) = oneshot::channel();
    let envelope = Envelope {
        from,
        capability: Arc::clone(name),
        args,
        chain: Chain::default(),
        deadline: None,
        cargo: Cargo { turn: None, reply },
    };
    kernel.send(envelope).map_err(|rejected| rejected.error.to_string())?;
    match answer.await {
        Ok(Reply::Done { outcome: Ok(result), .. }) => Ok(result),
        Ok(Reply::Done { outcome: Err(failure), .. }) => Err(failure.to_string()),
        Ok(Reply::Deferred { .. }) => Err("the answer was deferred".to_owned()),
        Ok(Reply::Held(_)) => Err("the call waits for an approval".to_owned()),
        Ok(Reply::Away(_)) => Err("its provider is being restarted".to_owned()),
        Ok(Reply::Unanswered(why)) => Err(why),
        Err(_) => Err("the provider ended".to_owned()),
    }
}
