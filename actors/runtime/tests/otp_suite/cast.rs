//! The children: each does what it was told, and the log says what happened to it.

use crate::specs::start_error;
use crate::stage::bound;
use loket_runtime::{Body, ChildContext, ChildFactory, ChildPlan};
use loket_supervision::machine::Exit;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use tokio::sync::oneshot;

/// How a start goes.
pub enum Start {
    Works,
    Ignores,
    Fails(&'static str),
    Panics(&'static str),
    /// The factory gives no body.
    Unbuildable,
    /// Until the gate opens.
    Waits(oneshot::Receiver<()>),
}

/// What a child does when it is asked to stop.
#[derive(Clone)]
pub enum AtStop {
    /// Nothing: it must be killed.
    Deaf,
    Ends(Exit),
}

#[derive(Default)]
pub(super) struct Roles {
    pub(super) starts: HashMap<String, VecDeque<Start>>,
    /// All starts of these fail.
    pub(super) failing: Vec<String>,
    pub(super) stops: HashMap<String, AtStop>,
    pub(super) lives: HashMap<String, oneshot::Sender<Exit>>,
    /// `start a`, `stop a`, in the order that it happened.
    pub(super) log: Vec<String>,
    /// `(name, why)` of children that were told to be gone for good.
    pub(super) gone: Vec<(String, String)>,
}

/// Who plays what; the factory of the node.
#[derive(Clone, Default)]
pub struct Cast(Arc<(Mutex<Roles>, Condvar)>);

impl Cast {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Roles) -> T) -> T {
        let found = look(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        found
    }

    /// Blocks until something is found.
    pub(super) fn find<T>(&self, what: &str, mut look: impl FnMut(&mut Roles) -> Option<T>) -> T {
        let mut roles = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = look(&mut roles) {
                return found;
            }
            let (next, timeout) = self.0.1.wait_timeout(roles, bound()).unwrap();
            assert!(!timeout.timed_out(), "waited for {what}; log {:?}", next.log);
            roles = next;
        }
    }

    /// How the next starts of a child go; then they work.
    pub fn starts(&self, name: &str, how: impl IntoIterator<Item = Start>) {
        self.with(|roles| roles.starts.insert(name.to_owned(), how.into_iter().collect()));
    }

    fn next_start(&self, name: &str) -> Start {
        self.with(|roles| {
            if roles.failing.iter().any(|failing| failing == name) {
                return Start::Fails("again");
            }
            let next = roles.starts.get_mut(name).and_then(VecDeque::pop_front);
            next.unwrap_or(Start::Works)
        })
    }

    async fn play(self, mut context: ChildContext) -> Exit {
        let name = context.name.to_string();
        self.with(|roles| roles.log.push(format!("start {name}")));
        match self.next_start(&name) {
            Start::Works | Start::Unbuildable => {}
            Start::Ignores => {
                context.control.ignore();
                return Exit::Normal;
            }
            Start::Fails(why) => return start_error(why),
            Start::Panics(why) => panic!("{why}"),
            Start::Waits(gate) => tokio::select! {
                _ = gate => {}
                () = context.control.stop() => return Exit::Shutdown,
            },
        }
        let (tell, mut told) = oneshot::channel();
        self.with(|roles| roles.lives.insert(name.clone(), tell));
        context.control.started();
        tokio::select! {
            biased;
            exit = &mut told => return exit.unwrap_or(Exit::NoProc),
            () = context.control.stop() => {}
        }
        self.with(|roles| roles.log.push(format!("stop {name}")));
        match self.with(|roles| roles.stops.get(&name).cloned()) {
            Some(AtStop::Deaf) => told.await.unwrap_or(Exit::NoProc),
            Some(AtStop::Ends(exit)) => exit,
            None => Exit::Shutdown,
        }
    }
}

impl ChildFactory for Cast {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        let unbuildable = self.with(|roles| {
            let next = roles.starts.get_mut(&*child.name)?;
            next.pop_front_if(|start| matches!(start, Start::Unbuildable))
        });
        if unbuildable.is_some() {
            return Err(start_error("unbuildable"));
        }
        let cast = self.clone();
        Ok(Box::new(move |context| Box::pin(cast.play(context))))
    }
}
