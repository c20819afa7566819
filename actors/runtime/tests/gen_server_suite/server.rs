//! The native child that the cases ask, and how they ask it.

use crate::common::{BOUND, Script, lenient, run, stop, supervisor, worker, workers};
use crossbeam_channel::Sender;
use loket_runtime::{
    Address, CallError, ChildContext, Door, DoorSpec, Monitor, Relations, Runtime, Slot, Way,
    WorkerNode,
};
use loket_supervision::machine::{Blame, Cause, Exit};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a server is asked.
#[derive(Debug, Clone)]
pub enum Q {
    /// Answered as it is.
    Echo(&'static str),
    /// Answered with the server's incarnation.
    Life,
    /// Answered when the next `Answer` comes.
    Later(&'static str),
    /// Has the oldest `Later` answered; tells whether somebody waited.
    Answer,
    /// Answered with how many `Note`s came.
    Notes,
    /// Counted.
    Note,
    /// Answered by whoever this is handed on to.
    HandOn(&'static str),
    /// Asks another server the inner question, and answers what that came to.
    Ask(Server, Box<Q>),
    /// Watches another child; its Down is told.
    Watch(&'static str),
    /// Never answered: the slot is dropped.
    Forget,
    /// Panics.
    Crash,
    /// Ends with this, without an answer.
    Exit(Exit),
}

pub type Server = Address<Q, String>;

pub const NOBODY: fn() -> Way = Way::default;

/// A runtime with these servers, all up.
pub struct Stage {
    pub script: Script,
    pub runtime: Runtime,
}

/// Requests that may wait at one server of these tests.
pub const CAPACITY: usize = 64;

pub fn node(name: &str) -> WorkerNode {
    WorkerNode { door: DoorSpec::Native { capacity: CAPACITY }, ..worker(name) }
}

impl Stage {
    pub fn of(names: &[&str]) -> Self {
        Self::with(names.iter().map(|name| node(name)).collect())
    }

    pub fn with(nodes: Vec<WorkerNode>) -> Self {
        let script = Script::new();
        for node in &nodes {
            serve(&script, &node.spec.id);
        }
        let runtime = run(1, &script, supervisor("root", lenient(), workers(nodes)));
        runtime.wait_up().unwrap();
        Self { script, runtime }
    }

    pub fn server(&self, name: &str) -> Server {
        let node = self.runtime.node();
        Address::new(Arc::clone(node.registry()), node.clock().clone(), name)
    }

    pub fn relations(&self) -> &Relations {
        self.runtime.node().registry().relations()
    }

    pub fn watch(&self, name: &str) -> Monitor {
        self.relations().monitor(name).unwrap()
    }

    pub fn end(self) {
        stop(self.runtime);
    }
}

/// Waits for what comes on this thread.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, future).await.unwrap() })
}

pub fn ask(server: &Server, question: Q) -> Result<String, CallError> {
    wait(server.call(&NOBODY(), question, 30_000))
}

/// Scripts a child of this name to serve.
pub fn serve(script: &Script, name: &str) {
    let tell = script.teller();
    script.on(name, move |context| work(context, tell.clone()));
}

/// A server's life.
pub async fn work(mut context: ChildContext, tell: Sender<String>) -> Exit {
    let Door::Native(mailbox) = context.door.clone() else {
        return Exit::NoProc;
    };
    let relations = context.relations.clone();
    let mut state = State { tell, notes: 0, later: VecDeque::new(), watched: None };
    context.control.started();
    loop {
        tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            down = next_down(&mut state.watched) => {
                let _ = state.tell.send(format!("down {} {}", down.name, down.reason));
            }
            asked = mailbox.recv() => {
                let taken = asked.take::<Q>(&context.control);
                let Some((question, slot, way)) = taken else { continue };
                let way = way.on(&context.name);
                match state.answer(question, slot, &way, &context, &relations).await {
                    Ok(()) => {}
                    Err(exit) => return exit,
                }
            }
        }
    }
}

async fn next_down(watched: &mut Option<Monitor>) -> loket_runtime::Down {
    match watched {
        Some(monitor) => {
            let down = monitor.await;
            *watched = None;
            down
        }
        None => std::future::pending().await,
    }
}

struct State {
    tell: Sender<String>,
    notes: u32,
    later: VecDeque<(Slot, &'static str)>,
    watched: Option<Monitor>,
}

impl State {
    async fn answer(
        &mut self,
        question: Q,
        slot: Option<Slot>,
        way: &Way,
        context: &ChildContext,
        relations: &Relations,
    ) -> Result<(), Exit> {
        let text = match question {
            Q::Echo(text) => text.to_owned(),
            Q::Life => context.incarnation.to_string(),
            Q::Notes => self.notes.to_string(),
            Q::Note => {
                self.notes += 1;
                "noted".to_owned()
            }
            Q::Later(text) => {
                self.later.extend(slot.map(|slot| (slot, text)));
                return Ok(());
            }
            Q::Answer => match self.later.pop_front() {
                Some((slot, text)) => {
                    let gone = slot.is_abandoned();
                    format!("waited {}, abandoned {gone}", slot.reply(text.to_owned()))
                }
                None => "nobody".to_owned(),
            },
            Q::HandOn(text) => {
                // Another task of the node answers: the slot is all it needs.
                let slot = slot.unwrap();
                context.lane.spawn(move || async move {
                    slot.reply(format!("{text} from elsewhere"));
                });
                return Ok(());
            }
            Q::Ask(other, inner) => match other.call(way, *inner, 30_000).await {
                Ok(answer) => answer,
                Err(error) => format!("{}: {error}", error.code()),
            },
            Q::Watch(name) => {
                self.watched = Some(relations.monitor(name).unwrap());
                "watching".to_owned()
            }
            Q::Forget => return Ok(()),
            Q::Crash => panic!("asked to"),
            Q::Exit(exit) => return Err(exit),
        };
        if let Some(slot) = slot {
            slot.reply(text);
        }
        Ok(())
    }
}

/// What a crash on request is called.
pub fn crashed(exit: &Exit) -> bool {
    let Exit::Crash { cause, blame, message } = exit else { return false };
    (*cause, *blame) == (Cause::Panic, Blame::Host) && message.starts_with("asked to")
}
