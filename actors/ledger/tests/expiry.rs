//! Approvals that expire, across crashes and a hostile clock: each ends once, by a person before its time or by itself after it, and
//! stays as it ended. After every step it is the files as a kill leaves them that the schedule goes on with.
#![allow(clippy::unwrap_used)]

mod stage;

use loket_ledger::kit::{self, Subject, wait};
use loket_ledger::{LEDGER_FILE, SqliteLedger};
use loket_turn::{
    Approval, ApprovalId, Ask, Asked, CallNo, Decide, Ledger, TIMER_SENDER, TurnKey, Verdict,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Random schedules, and the steps of each.
const SCHEDULES: u64 = 6;
const STEPS: u32 = 40;

/// How often is looked until what is due is decided, and the pause between: more is a hang.
const LOOKS: u32 = 60_000;
const PAUSE: Duration = Duration::from_millis(1);

/// One approval of the model.
struct Waits {
    ask: Ask,
    id: ApprovalId,
    /// When, and by whom, it was decided.
    ended: Option<(u64, String)>,
}

struct Run {
    dir: TempDir,
    clock: Arc<AtomicU64>,
    engine: Arc<SqliteLedger>,
    it: Subject,
    now_ms: u64,
    turn: TurnKey,
    all: Vec<Waits>,
    seed: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(kit::NOW_MS));
        let (engine, it) = stage::open(dir.path(), &clock);
        let turn = it.opened("a");
        it.accept("a", "x");
        Self { dir, clock, engine, it, now_ms: kit::NOW_MS, turn, all: Vec::new(), seed }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % below
    }

    fn ask(&mut self) {
        let call = u32::try_from(self.all.len()).unwrap() + 1;
        let expires_ms = (self.random(4) > 0).then(|| self.now_ms + 1 + self.random(2_000));
        let ask = Ask {
            turn: self.turn.clone(),
            begin: Some(kit::begin()),
            records: Vec::new(),
            counted: Vec::new(),
            intent: self.it.key(&self.turn, call),
            beyond: None,
            call: CallNo(call),
            capability: "mail.send".to_owned(),
            args: b"to: b".to_vec(),
            expires_ms,
            now_ms: self.now_ms,
        };
        let asked = wait(self.engine.ask(ask.clone())).unwrap();
        let Asked::Waits { id } = asked else { panic!("{asked:?}") };
        self.all.push(Waits { ask, id, ended: None });
    }

    /// A person decides about one of them, in time or too late.
    fn decide(&mut self) {
        let count = self.all.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.random(count) as usize;
        let (id, now_ms) = (self.all[at].id, self.now_ms);
        let decide = Decide { id, verdict: Verdict::Approve, by: "@operator".into(), now_ms };
        let taken = wait(self.engine.decide(decide, None)).is_ok();
        let one = &mut self.all[at];
        assert_eq!(taken, one.ended.is_none(), "decided once: {:?}", one.ended);
        if taken {
            one.ended = Some((now_ms, "@operator".to_owned()));
        }
    }

    fn tick(&mut self) {
        // Back by as much as forward: the ledger stands still meanwhile.
        let to = self.clock.load(Ordering::SeqCst) + self.random(900);
        let to = to.saturating_sub(300);
        self.clock.store(to, Ordering::SeqCst);
        self.now_ms = self.now_ms.max(to);
    }

    fn shown(&self, at: usize) -> Approval {
        wait(self.engine.approval(self.all[at].id)).unwrap()
    }

    /// Who is due is decided by itself; everybody else is as before.
    fn check(&mut self) {
        for at in 0..self.all.len() {
            let Waits { ask, ended, .. } = &self.all[at];
            let due = ask.expires_ms.is_some_and(|due_ms| due_ms <= self.now_ms);
            if ended.is_some() || !due {
                let shown = self.shown(at);
                let known = shown.said_ms.zip(shown.by);
                assert_eq!(known, *ended, "{:?} at {}", ask.expires_ms, self.now_ms);
                continue;
            }
            let mut looks = 0;
            let shown = loop {
                let shown = self.shown(at);
                if shown.state != "waits" {
                    break shown;
                }
                looks += 1;
                assert!(looks < LOOKS, "it never expires: {shown:?}");
                std::thread::park_timeout(PAUSE);
            };
            assert_eq!((&*shown.state, shown.by.as_deref()), ("expired", Some(TIMER_SENDER)));
            let said_ms = shown.said_ms.unwrap();
            assert!(ask.expires_ms.unwrap() <= said_ms, "never early: {shown:?}");
            self.all[at].ended = Some((said_ms, TIMER_SENDER.to_owned()));
        }
    }

    /// The files as a kill at this moment leaves them are what goes on.
    fn crash(&mut self) {
        let image = tempfile::tempdir().unwrap();
        for name in [LEDGER_FILE.to_owned(), format!("{LEDGER_FILE}-wal")] {
            std::fs::copy(self.dir.path().join(&name), image.path().join(&name)).unwrap();
        }
        self.engine.stop();
        // A crash is not seen by the clock of the next process: it goes on from the moment that was told.
        self.clock.store(self.now_ms, Ordering::SeqCst);
        (self.engine, self.it) = stage::open(image.path(), &self.clock);
        self.dir = image;
        // As a node does: what no turn names yet is not kept.
        self.it.enrol(&["a"], 10);
    }
}

/// H1: a recorded denial with its own code, once, and never before its time.
#[test]
fn h1_each_approval_ends_once_whatever_the_clock_or_a_crash_does() {
    let mut expired = 0;
    for seed in 1..=SCHEDULES {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            match run.random(3) {
                0 => run.ask(),
                1 => run.decide(),
                _ => run.tick(),
            }
            if run.random(2) == 0 {
                run.check();
            }
            run.crash();
            run.check();
        }
        for one in &run.all {
            let asked = wait(run.engine.ask(one.ask.clone())).unwrap();
            match (&one.ended, asked) {
                (None, Asked::Waits { id }) => assert_eq!(id, one.id),
                (Some((_, by)), Asked::Approved) => assert_eq!(by, "@operator"),
                (Some((_, by)), Asked::Denied(why)) => {
                    assert_eq!((&**by, &*why.code), (TIMER_SENDER, "approval_expired"));
                    expired += 1;
                }
                (ended, asked) => panic!("{ended:?} and {asked:?}"),
            }
        }
        run.engine.stop();
    }
    assert!(expired > 0, "none ever expired");
}
