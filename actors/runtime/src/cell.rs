//! One incarnation of a child on its lane: makes the body, polls it, ends it, tells the supervisor.
//!
//! A panic in the body, in its making or in its drop ends this incarnation and nothing else. A kill is a drop of the body
//! between two polls. The cell reports exactly one end, whatever happens to it. Start reading at [`launch`].

use crate::child::{Linked, Links};
use crate::lane_thread::LaneThread;
use crate::panic::guard;
use crate::progress::Progress;
use crate::relations::{ExitSignals, Relations};
use crate::signals::{Signal, Signals};
use crate::{Body, ChildContext, Control, Door, Running, metrics};
use futures_util::task::AtomicWaker;
use loket_supervision::machine::{Blame, ChildId, Event, Exit};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// What the supervisor and the operator can do to one incarnation. Overtakes all work.
#[derive(Debug)]
pub(crate) struct CellControl {
    id: ChildId,
    incarnation: u64,
    signals: Signals,
    birth: AtomicU8,
    stopping: AtomicBool,
    /// It is asked to stop, or has ended.
    changed: Notify,
    /// The exit that it shall end with before its next poll.
    /// Boxed, as the next: most incarnations wait for years, and are ten thousands.
    pub(crate) doom: OnceLock<Box<Exit>>,
    /// The exit that it did end with.
    end: OnceLock<Box<Exit>>,
    relations: Relations,
    /// Links do not reach it: a supervisor hears its parent only.
    deaf: bool,
    /// The supervisor acts where the child is, if nobody else reads: on its start as on its end.
    here: bool,
    /// The supervisor has been told of the end.
    told: AtomicBool,
    pub(crate) progress: Progress,
    /// The cell's own task.
    waker: AtomicWaker,
    /// What the incarnation reads.
    door: Door,
}

/// No child's place, for the watchdog: they count from 1.
const NOBODY: u64 = 0;

/// Values of `birth`.
const STARTING: u8 = 0;
const STARTED: u8 = 1;
const IGNORED: u8 = 2;

impl CellControl {
    pub(crate) fn new(
        id: ChildId,
        incarnation: u64,
        signals: Signals,
        relations: Relations,
        door: Door,
    ) -> Self {
        Self {
            id,
            incarnation,
            signals,
            birth: AtomicU8::new(STARTING),
            stopping: AtomicBool::new(false),
            changed: Notify::new(),
            doom: OnceLock::new(),
            end: OnceLock::new(),
            relations,
            deaf: false,
            here: false,
            told: AtomicBool::new(false),
            progress: Progress::default(),
            waker: AtomicWaker::new(),
            door,
        }
    }

    /// The same for a supervisor.
    pub(crate) fn deaf(self) -> Self {
        Self { deaf: true, ..self }
    }

    /// The same for a child whose lane takes in place.
    pub(crate) fn here(self, here: bool) -> Self {
        Self { here, ..self }
    }

    /// Asks the body to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has the body dropped before its next poll.
    pub(crate) fn kill(&self) {
        self.end_with(Exit::Killed);
    }

    /// The exit signal of a link: the same with that reason.
    pub(crate) fn exit_signal(&self, reason: Exit) {
        if !self.deaf {
            self.end_with(reason);
        }
    }

    /// It broke while it took a message in place, outside its own poll.
    pub(crate) fn broke(&self, reason: Exit) {
        self.end_with(reason);
    }

    /// It is to end, to stop or to give up: what comes now is for its own next poll, or for the next incarnation.
    pub(crate) fn takes_no_more(&self) -> bool {
        self.is_stopping() || self.doom.get().is_some() || self.progress.is_interrupted()
    }

    /// The first reason counts.
    fn end_with(&self, reason: Exit) {
        let _ = self.doom.set(Box::new(reason));
        self.waker.wake();
    }

    /// From here on exit signals of links come as messages.
    pub(crate) fn trap_exits(&self) -> ExitSignals {
        self.relations.trap_exits(&self.id, self.incarnation)
    }

    /// Ready with the reason of its end, once it has ended.
    pub(crate) fn end(&self) -> impl Future<Output = Exit> {
        self.once(|this| this.end.get().map(|end| Exit::clone(end)))
    }

    /// Ready once it is asked to stop.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> {
        self.once(|this| this.is_stopping().then_some(()))
    }

    /// Looks until there is something, each time that something has changed.
    async fn once<T>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            let mut notified = std::pin::pin!(self.changed.notified());
            // From here on `notify_waiters` reaches us.
            notified.as_mut().enable();
            if let Some(seen) = look(self) {
                return seen;
            }
            notified.await;
        }
    }

    /// The same as [`kill`](Self::kill), for making no progress.
    pub(crate) fn kill_hung(&self) {
        self.end_with(Exit::Hung);
    }

    /// Its thread is lost: the supervisor is told at once, and the body is dropped whenever the thread goes on.
    pub(crate) fn abandon(&self, reason: Exit) {
        self.end_with(reason.clone());
        self.tell_end(reason);
    }

    /// Tells the supervisor that it makes no progress.
    pub(crate) fn tell_slow(&self) {
        let (id, incarnation) = (Arc::clone(&self.id), self.incarnation);
        self.signals.event(Event::Slow { id, incarnation });
    }

    pub(crate) fn started(&self, thread: &LaneThread) {
        let (id, incarnation) = (Arc::clone(&self.id), self.incarnation);
        if !self.be_born(STARTED) {
            return;
        }
        self.door.enter();
        self.relations.up(&self.id, self.incarnation);
        let started = Event::Started { id, incarnation };
        if !thread.is_polling_here() {
            return self.signals.event(started);
        }
        // What the supervisor does is no work of the child's, whose poll goes on.
        let outer = thread.nested_begins(NOBODY);
        self.tell(started);
        thread.nested_ends(outer);
    }

    /// Leaves word of a dead letter for the end that follows. Who was taken for dead already tells of no end any more.
    pub(crate) fn letter(&self) {
        self.signals.leave(Signal::Machine(Event::Letter { id: Arc::clone(&self.id) }));
        if self.told.load(Ordering::Acquire) {
            self.signals.wake();
        }
    }

    /// Tells the supervisor.
    fn tell(&self, event: Event) {
        match self.here {
            true => self.signals.event_here(event),
            false => self.signals.event(event),
        }
    }

    pub(crate) fn ignore(&self) {
        self.be_born(IGNORED);
    }

    fn be_born(&self, how: u8) -> bool {
        let order = Ordering::AcqRel;
        self.birth.compare_exchange(STARTING, how, order, Ordering::Acquire).is_ok()
    }

    /// Wakes the supervisor's own task for it.
    fn tell_end(&self, reason: Exit) {
        if let Some(end) = self.ended(reason) {
            self.signals.event(end);
        }
    }

    /// What the supervisor is to be told, once per incarnation. All others have been told when this returns: whoever sees the next
    /// life has been told of this one's end.
    #[must_use]
    fn ended(&self, reason: Exit) -> Option<Event> {
        if self.told.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (id, incarnation) = (Arc::clone(&self.id), self.incarnation);
        let orderly = reason.is_orderly();
        let _ = self.end.set(Box::new(reason.clone()));
        self.changed.notify_waiters();
        self.relations.end(&id, incarnation, &reason);
        Some(match self.birth.load(Ordering::Acquire) {
            STARTED => Event::Exited { id, incarnation, reason },
            IGNORED if orderly => Event::Ignored { id, incarnation },
            _ => Event::StartFailed { id, incarnation, reason },
        })
    }
}

enum Stage {
    /// Boxed: a cell is this only until its first poll, and large enough for it ever after.
    Unborn(Box<(Body, ChildContext)>),
    Living(Running),
    Over,
}

struct Cell {
    /// The thread it was started on, for the watchdog.
    thread: Arc<LaneThread>,
    place: u64,
    blame: Blame,
    control: Arc<CellControl>,
    stage: Stage,
    links: Links,
    /// Links are few, and polled whenever the body is.
    linked: Vec<Linked>,
    finished: bool,
}

impl Cell {
    fn new(seed: Seed, thread: Arc<LaneThread>) -> Self {
        let links = Links::default();
        let context = ChildContext {
            name: seed.name,
            incarnation: seed.incarnation,
            lane: seed.lane,
            door: seed.door,
            control: Control { cell: Arc::clone(&seed.control), thread: Arc::clone(&thread) },
            links: links.clone(),
            relations: seed.control.relations.clone(),
            place: seed.place,
            blame: seed.blame,
        };
        Self {
            thread,
            place: seed.place,
            blame: seed.blame,
            control: seed.control,
            stage: Stage::Unborn(Box::new((seed.body, context))),
            links,
            linked: Vec::new(),
            finished: false,
        }
    }

    /// One poll of the body and of what is linked to it.
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        if let Stage::Unborn(..) = self.stage
            && let Stage::Unborn(unborn) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            let (body, context) = *unborn;
            match guard(self.blame, || body(context)) {
                Ok(running) => self.stage = Stage::Living(running),
                Err(exit) => return Poll::Ready(exit),
            }
        }
        if let Stage::Living(running) = &mut self.stage {
            match guard(self.blame, || running.as_mut().poll(cx)) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(exit)) | Err(exit) => return Poll::Ready(exit),
            }
        }
        self.linked.append(&mut self.links.take_fresh());
        for linked in &mut self.linked {
            match guard(self.blame, || linked.as_mut().poll(cx)) {
                Ok(Poll::Pending) => {}
                // The body is not polled again: it would only take more work that nobody can do.
                Ok(Poll::Ready(exit)) | Err(exit) => return Poll::Ready(exit),
            }
        }
        Poll::Pending
    }

    /// Drops what is left, each part on its own; gives what the supervisor is to be told.
    #[must_use]
    fn finish(&mut self, exit: Exit) -> Option<Event> {
        if std::mem::replace(&mut self.finished, true) {
            return None;
        }
        let blame = self.blame;
        let mut bad = None;
        // First: who has a call in the body that is dropped now, and sends it again, is to find nobody there.
        self.control.door.leave();
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        bad = bad.or(guard(blame, || drop(stage)).err());
        for linked in self.linked.drain(..).chain(self.links.take_fresh()) {
            bad = bad.or(guard(blame, || drop(linked)).err());
        }
        for kept in self.links.take_kept() {
            bad = bad.or(guard(blame, || drop(kept)).err());
        }
        if bad.is_some() {
            metrics::drop_panicked();
        }
        self.control.door.unattended();
        // A panic on the way out makes an orderly end a crash; a crash stays the crash it was.
        self.control.ended(match bad {
            Some(panicked) if exit.is_orderly() => panicked,
            _ => exit,
        })
    }
}

impl Future for Cell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.control.waker.register(cx.waker());
        this.thread.poll_begins(this.place);
        let ended = match this.control.doom.get() {
            Some(exit) => Poll::Ready(Exit::clone(exit)),
            None => this.work(cx),
        };
        let ended = ended.map(|exit| this.finish(exit));
        this.thread.poll_ends();
        // Nothing of the child is on the stack any more, and the watchdog counts for it no more.
        ended.map(|end| {
            if let Some(end) = end {
                this.control.tell(end);
            }
        })
    }
}

impl Drop for Cell {
    /// The lane ends while the child lives.
    fn drop(&mut self) {
        if let Some(end) = self.finish(Exit::LaneLost) {
            self.control.signals.event(end);
        }
    }
}

mod launch;
#[cfg(test)]
mod tests;

pub(crate) use launch::{Seed, launch};
