//! Those who keep the troublemakers busy, each on a connection of its own.

use crate::{Connection, Failed, Running};
use loket_outside::look_again;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most time that the restart of a killed child may take.
const RESTARTED: Duration = Duration::from_secs(20);

/// What is done to the lane.
#[derive(Debug, Clone)]
pub enum Harm {
    /// An agent is sent this body, and again as soon as it has been dealt with, by so many callers at a time.
    Message {
        /// The agent.
        to: String,
        /// The body.
        body: &'static str,
        /// Two keep its inbox from ever being empty.
        callers: usize,
    },
    /// A child is crashed every so often.
    Kill {
        /// The child.
        child: &'static str,
        /// The pause between two kills.
        every: Duration,
    },
}

impl Harm {
    /// Who is expected to be restarted by it.
    pub fn victim(&self) -> &str {
        match self {
            Self::Message { to, .. } => to,
            Self::Kill { child, .. } => child,
        }
    }
}

/// Harm that is being done, until [`Trouble::end`].
#[derive(Debug)]
pub struct Trouble {
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<(), Failed>>>,
}

impl Trouble {
    /// Sets all of it going.
    ///
    /// # Errors
    /// A connection or a thread was refused.
    pub fn start(fleet: &Running, harms: &[Harm]) -> Result<Self, Failed> {
        let (over, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut trouble = Self { over, done, threads: Vec::new() };
        for harm in harms {
            let callers = match harm {
                Harm::Message { callers, .. } => *callers,
                Harm::Kill { .. } => 1,
            };
            for _ in 0..callers {
                let mut connection = fleet.connect()?;
                let (harm, over) = (harm.clone(), Arc::clone(&trouble.over));
                let done = Arc::clone(&trouble.done);
                let work = move || -> Result<(), Failed> {
                    while !over.load(Ordering::Acquire) {
                        let crashed = match &harm {
                            // The answer is a failure: that is what it is sent for.
                            Harm::Message { to, body, .. } => connection.call(to, body)?.is_err(),
                            Harm::Kill { child, every } => {
                                let killed = kill(&mut connection, child)?;
                                std::thread::park_timeout(*every);
                                killed
                            }
                        };
                        done.fetch_add(u64::from(crashed), Ordering::Relaxed);
                    }
                    Ok(())
                };
                trouble.threads.push(std::thread::Builder::new().spawn(work)?);
            }
        }
        Ok(trouble)
    }

    /// How often it was done so far: each time is one crash of its victim.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it; returns when what was under way is over. Says how often it was done.
    ///
    /// # Errors
    /// The fleet went away under it.
    pub fn end(mut self) -> Result<u64, Failed> {
        self.over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().map_err(|_| "a thread of the benchmark panicked")??;
        }
        Ok(self.done())
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

/// Crashes a child and waits until it was restarted, as two kills of one life are one crash. Says whether it took place.
fn kill(connection: &mut Connection, child: &str) -> Result<bool, Failed> {
    let restarts = |connection: &mut Connection| -> Result<u64, Failed> {
        let children = connection.children()?;
        Ok(children.get(child).ok_or_else(|| format!("{child} is gone"))?.restarts)
    };
    let before = restarts(connection)?;
    if connection.ask("agent.kill", json!({"child": child}))?.is_err() {
        return Ok(false);
    }
    let until = Instant::now() + RESTARTED;
    while restarts(connection)? == before {
        if Instant::now() > until {
            return Err(format!("{child} was killed and not restarted").into());
        }
        look_again();
    }
    Ok(true)
}
