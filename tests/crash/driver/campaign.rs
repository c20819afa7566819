//! Many kills at random moments of a batch.
//!
//! One round: start the fleet, send again what the last kill left unacknowledged, send fresh files, and kill at a moment
//! chosen evenly between the first acknowledgement and the expected end of all that waits. A kill counts when work was
//! waiting at that moment; otherwise the round is done again. Nothing in the fleet is slowed down for it.

use crate::dice::Dice;
use crate::node::{self, Door, Node, OpenTurn};
use crate::sends::{Sends, drained};
use crate::verdict::{self, Verdict};
use crate::work::Docs;
use crate::{Options, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Readers in the fleet file.
const READERS: usize = 4;

/// Time a file takes before there is a measurement.
const PACE_FIRST: Duration = Duration::from_millis(60);

/// How long the last work may take.
const DRAIN_MAX: Duration = Duration::from_secs(300);

/// Acknowledged messages sent once more in a round, to see that they stay the same message.
const ASK_AGAIN: usize = 2;

struct Campaign<'a> {
    options: &'a Options,
    data: PathBuf,
    docs: Docs,
    sends: Sends,
    dice: Dice,
    /// How long the fleet has lived, up to each kill.
    lived: Duration,
    completed: u64,
    starts: Vec<Duration>,
    kills: usize,
    /// Kills that came when all was done already.
    late: usize,
    with_open_turn: usize,
    open_turns: usize,
    /// At how many deaths each turn was open.
    deaths: HashMap<(u64, u64), usize>,
}

/// Runs it and gives the summary.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let began = Instant::now();
    let mut campaign = Campaign {
        options,
        data: options.work.join("crash.data"),
        docs: Docs::new(&options.work)?,
        sends: Sends::new(&options.work)?,
        dice: Dice::new(options.seed),
        lived: Duration::ZERO,
        completed: 0,
        starts: Vec::new(),
        kills: 0,
        late: 0,
        with_open_turn: 0,
        open_turns: 0,
        deaths: HashMap::new(),
    };
    while campaign.kills < options.kills {
        campaign.round()?;
        if campaign.late > 2 * options.kills + 10 {
            return Err(
                "most kills came too late: the fleet is done before it can be killed".into()
            );
        }
    }
    let status = campaign.finish()?;
    let verdict = verdict::of(&campaign.data, &campaign.docs, &campaign.sends)?;
    Ok(campaign.summary(&status, &verdict, began.elapsed()))
}

impl Campaign<'_> {
    fn round(&mut self) -> Result<()> {
        let (node, took) = Node::start(self.options, &self.data, &self.docs.root())?;
        let up = Instant::now();
        self.starts.push(took);
        let status = node.status()?;
        self.completed = status["completed"].as_u64().unwrap_or(0);
        for _ in 0..self.options.files {
            let path = self.docs.fresh(&mut self.dice)?;
            let to = format!("reader-{}", self.dice.roll(READERS));
            self.sends.add(path, to);
        }
        let unsent = self.sends.unacknowledged();
        let pending = unsent.len() + usize::try_from(status["waiting"].as_u64().unwrap_or(0))?;
        let window = self.pace() * u32::try_from(pending)?;
        let killed = self.send_and_kill(node, &unsent, window);
        self.lived += up.elapsed();
        killed?;
        self.judge()
    }

    /// What a file took on the average so far.
    fn pace(&self) -> Duration {
        u32::try_from(self.completed)
            .ok()
            .and_then(|n| self.lived.checked_div(n))
            .unwrap_or(PACE_FIRST)
    }

    /// Sends from one thread, kills from this one, at a moment between the first acknowledgement and `window` later.
    fn send_and_kill(&mut self, node: Node, unsent: &[usize], window: Duration) -> Result<()> {
        let delay = self.dice.within(window);
        // Every other round the work comes all at once, otherwise bit by bit in the window's first half.
        let pause = match self.dice.roll(2) {
            0 => Duration::ZERO,
            _ => window.checked_div(2 * u32::try_from(unsent.len())?).unwrap_or_default(),
        };
        let acked = self.sends.all.len() - unsent.len();
        let again = (0..ASK_AGAIN.min(acked)).map(|_| self.dice.roll(acked)).collect::<Vec<_>>();
        let mut door = node.door()?;
        let (first, acknowledged) = sync_channel(1);
        let (sends, docs) = (&mut self.sends, &self.docs);
        std::thread::scope(|scope| {
            scope.spawn(move || send_all(sends, &mut door, docs, unsent, &again, pause, &first));
            // No acknowledgement at all: the fleet has gone by itself, which the next start will tell.
            acknowledged.recv()?;
            std::thread::sleep(delay);
            node.kill()?;
            Ok(())
        })
    }

    /// Looks at what the dead process left, without touching it.
    fn judge(&mut self) -> Result<()> {
        let open = node::open_turns(&self.data)?;
        let waiting = || verdict::waiting(&self.data, &self.options.work.join("copy"));
        if open.is_empty() && self.sends.unacknowledged().is_empty() && waiting()? == 0 {
            self.late += 1;
            return Ok(());
        }
        self.kills += 1;
        self.with_open_turn += usize::from(!open.is_empty());
        self.open_turns += open.len();
        for OpenTurn { life, n, .. } in open {
            *self.deaths.entry((life, n)).or_default() += 1;
        }
        if self.kills.is_multiple_of(10) {
            let (kills, open) = (self.kills, self.with_open_turn);
            println!(
                "{kills} kills, {open} of them with a turn open, {} files",
                self.sends.all.len()
            );
        }
        Ok(())
    }

    /// The rest is sent, all work ends, the fleet stops in order.
    fn finish(&mut self) -> Result<Value> {
        let (mut node, took) = Node::start(self.options, &self.data, &self.docs.root())?;
        self.starts.push(took);
        let mut door = node.door()?;
        for index in self.sends.unacknowledged() {
            self.sends.send(&mut door, &self.docs, index)?;
        }
        let status = drained(&mut node, DRAIN_MAX)?;
        // The answers of all keys once more, now that all is done.
        for index in 0..self.sends.all.len() {
            self.sends.send(&mut door, &self.docs, index)?;
        }
        node.stop()?;
        Ok(status)
    }

    fn summary(&mut self, status: &Value, verdict: &Verdict, took: Duration) -> Value {
        self.starts.sort();
        let at = |part: usize| self.starts[(self.starts.len() - 1) * part / 100].as_millis();
        let mut wrong = verdict.findings.clone();
        wrong.extend(self.sends.contradictions.iter().cloned());
        if self.with_open_turn < self.options.open {
            wrong.push(format!("only {} kills met an open turn", self.with_open_turn));
        }
        if status["lost"] != json!(0) {
            wrong.push(format!("the fleet itself counts losses: {status}"));
        }
        verdict::tell(&wrong);
        println!(
            "{} kill -9, {} with a turn open ({} turns in all); {} files ({} MB) acknowledged, {} sends retried: \
             {} lost, {} double, {} not whole, {} dead letters, {} integrity failures",
            self.kills,
            self.with_open_turn,
            self.open_turns,
            verdict.acknowledged,
            self.docs.bytes / 1_000_000,
            self.sends.retried,
            verdict.lost,
            verdict.double,
            verdict.not_whole,
            verdict.letters,
            verdict.damaged,
        );
        json!({
            "scenario": "campaign", "ok": wrong.is_empty(), "kills": self.kills, "late_kills": self.late,
            "kills_with_open_turn": self.with_open_turn, "turns_open_at_kills": self.open_turns,
            "most_deaths_of_one_turn": self.deaths.values().max(),
            "files": self.sends.all.len(), "bytes": self.docs.bytes, "acknowledged": verdict.acknowledged,
            "sends_retried": self.sends.retried, "acknowledged_asked_again": self.sends.asked_again,
            "lost": verdict.lost, "double": verdict.double, "not_whole": verdict.not_whole,
            "dead_letters": verdict.letters, "integrity_failures": verdict.damaged, "brains": verdict.brains,
            "passages": verdict.passages, "status": status, "findings": wrong.len(),
            "start_ms_median": at(50), "start_ms_max": at(100), "seconds": took.as_secs(), "seed": self.options.seed,
        })
    }
}

/// The sender: ends when all is sent, or when the fleet is gone.
fn send_all(
    sends: &mut Sends,
    door: &mut Door,
    docs: &Docs,
    unsent: &[usize],
    again: &[usize],
    pause: Duration,
    first: &SyncSender<()>,
) {
    for (count, &index) in unsent.iter().chain(again).enumerate() {
        if count > 0 {
            std::thread::sleep(pause);
        }
        if sends.send(door, docs, index).is_err() {
            return;
        }
        // Only the first one is waited for.
        let _ = first.try_send(());
    }
}

/// The data directory's ledger.
pub(crate) fn ledger(data: &Path) -> PathBuf {
    data.join("ledger.db")
}
