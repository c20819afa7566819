//! How each agent stands, for whoever looks at the tree: kept beside the queue, so that a look waits for no work of the writer's,
//! and the writer for no look longer than it takes to copy a list.
//!
//! It never says more than the file: the writer tells it what a group has changed once that is committed. Nobody decides from it.

use crate::agent::Agent;
use crate::book::Book;
use loket_turn::{AgentName, InboxDepth};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The board; a clone is the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Shown>>);

type Shown = BTreeMap<AgentName, Depth>;

/// An inbox, without its name.
#[derive(Debug)]
struct Depth {
    waiting: u64,
    capacity: u64,
    quarantined: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All living agents, by name.
    pub(crate) fn all(&self) -> Vec<InboxDepth> {
        let of = |(agent, it): (&AgentName, &Depth)| InboxDepth {
            agent: Arc::clone(agent),
            waiting: it.waiting,
            capacity: it.capacity,
            quarantined: it.quarantined,
        };
        self.lock().iter().map(of).collect()
    }

    /// Takes over what the book's changes since the last commit have come to. Before they are forgotten.
    pub(crate) fn follow(&self, book: &Book) {
        let mut board = self.lock();
        for name in book.changed() {
            match book.get(name) {
                Some(agent) => drop(board.insert(Arc::clone(name), shown(agent))),
                None => drop(board.remove(name)),
            }
        }
    }

    /// Takes over a book as a whole.
    pub(crate) fn replace(&self, book: &Book) {
        *self.lock() = book.all().map(|agent| (Arc::clone(&agent.name), shown(agent))).collect();
    }
}

fn shown(agent: &Agent) -> Depth {
    Depth { waiting: agent.waiting(), capacity: agent.rows_max, quarantined: agent.quarantined }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::engine::Engine;
    use crate::kit::{Subject, message, wait};
    use crate::{Options, SqliteLedger, dir};
    use loket_turn::{
        Enrol, InboxDepth, Ledger, LedgerError, Life, Quarantine, Release, TurnKey, TurnNo,
    };
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a3_the_board_shows_what_is_committed_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let _lock = dir::lock(data.path()).unwrap();
        let mut engine = Engine::open(Options::new(data.path())).unwrap();
        let board = engine.board.clone();
        let shown = |waiting, quarantined| {
            vec![InboxDepth { agent: "a".into(), waiting, capacity: 9, quarantined }]
        };
        let enrol = Enrol { agent: "a".into(), inbox_rows: 9, inbox_bytes: 900, dynamic: None };
        engine.begin();
        engine.request(|engine| engine.enrol(std::slice::from_ref(&enrol))).unwrap();
        engine.request(|engine| engine.accept(&message("a", "one"))).unwrap();
        assert_eq!(board.all(), []);
        engine.commit().unwrap();
        assert_eq!(board.all(), shown(1, false));
        // A group whose commit fails: there is no transaction any more.
        engine.begin();
        engine.request(|engine| engine.accept(&message("a", "two"))).unwrap();
        engine.run("ROLLBACK").unwrap();
        assert!(engine.commit().is_err());
        assert_eq!(board.all(), shown(1, false));
        engine.begin();
        let opened = engine.request(|engine| engine.open_agent(&"a".into(), 1)).unwrap();
        let turn = TurnKey { agent: "a".into(), life: opened.life, incarnation: 1, n: TurnNo(1) };
        assert_ne!(turn.life, Life::default());
        let (cause, reason) = ("diverged".to_owned(), "another call".to_owned());
        let why = Quarantine { cause, reason, n: TurnNo(1), call: None, at_ms: 1 };
        engine.request(|engine| engine.quarantine(&turn, &why)).unwrap();
        engine.commit().unwrap();
        assert_eq!(board.all(), shown(1, true));
        // Who opens the file anew reads the same there.
        drop(engine);
        let mut engine = Engine::open(Options::new(data.path())).unwrap();
        let board = engine.board.clone();
        assert_eq!(board.all(), shown(1, true));
        engine.begin();
        let skip =
            |engine: &mut Engine| engine.release_quarantine(&"a".into(), Release::Skip, true);
        engine.request(skip).unwrap();
        engine.commit().unwrap();
        assert_eq!(board.all(), shown(0, false));
        engine.begin();
        engine.request(|engine| engine.remove(&"a".into(), "over")).unwrap();
        engine.commit().unwrap();
        assert_eq!(board.all(), []);
    }

    /// A look at the inboxes waits for nothing that the writer does: here it stands still after a commit.
    #[test]
    fn a3_a_look_at_the_inboxes_waits_for_no_write() {
        let dir = tempfile::tempdir().unwrap();
        let (go_on, stand) = crossbeam_channel::bounded::<()>(0);
        let (there, arrived) = crossbeam_channel::bounded(1);
        let tell = Box::new(move |_| {
            there.send(()).unwrap();
            let _ = stand.recv();
        });
        let engine = SqliteLedger::open(Options::new(dir.path()), tell).unwrap();
        // Goes before the engine: whatever fails here, the writer goes on, and its end can be waited for.
        let go_on = go_on;
        let (_to, events) = crossbeam_channel::bounded(1);
        let it = Subject { ledger: engine.clone(), events };
        it.enrol(&["a", "b"], 10);
        let accepted = engine.accept(message("b", "x"));
        arrived.recv().unwrap();
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(engine.stats().as_mut().poll(&mut nobody).is_pending(), "the writer is busy");
        let Poll::Ready(inboxes) = engine.inboxes().as_mut().poll(&mut nobody) else {
            panic!("no answer at once");
        };
        let inboxes = inboxes.unwrap();
        let shown: Vec<_> =
            inboxes.iter().map(|it| (&*it.agent, it.waiting, it.capacity)).collect();
        assert_eq!(shown, [("a", 0, 10), ("b", 1, 10)]);
        drop(go_on);
        wait(accepted).unwrap();
        engine.stop();
        assert_eq!(wait(engine.inboxes()), Err(LedgerError::Stopped));
    }
}
