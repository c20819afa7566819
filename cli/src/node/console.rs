//! What `run` shows, and how it ends: signals, opening messages, progress, the last line.
//!
//! Standard output is for answers; the live tree is drawn on a terminal only.

use super::endings::Endings;
use super::last_words::{by_itself, ended};
use super::opening::{self, Told};
use super::operator::Outsider;
use super::screen::Screen;
use super::start::RunOptions;
use crate::commands::{draw_tree, reload_told, status_line};
use crate::exit::{self, CliError, Code};
use crate::output;
use loket_runtime::Runtime;
use loket_supervision::fleet::Fleet;
use loket_turn::Ledger;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

/// How often the live tree is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// How often the counts are told where no live tree shows them, when they have changed.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// How long a look at the fleet may take. It is a view only: a slow disk must not keep Ctrl-C waiting.
const LOOK: Duration = Duration::from_secs(1);

/// How long a tree that is killed may take to end.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Told things that wait to be printed; the opening waits when there are more.
const TOLD_MAX: usize = 16;

/// The shell's convention: 128 and the number of the signal.
const INTERRUPTED: Code = Code(130);

/// The signals that a fleet ends by, and what waits for them. Listened to from before the first child starts: one that comes
/// while the fleet starts is remembered, and ends it in order once it is up.
pub(super) struct Signals {
    waiting: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |what: &'static str| {
            move |error: std::io::Error| {
                CliError::new("internal", exit::BUG, format!("{what}: {error}"))
            }
        };
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let waiting = waiting.map_err(failed("no runtime to wait on"))?;
        let (interrupt, terminate, hangup) = {
            let _inside = waiting.enter();
            let listen = |kind| signal(kind).map_err(failed("no signals"));
            (
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            )
        };
        Ok(Self { waiting, interrupt, terminate, hangup })
    }

    /// Watches a running fleet until it has ended.
    pub(super) fn watch(
        self,
        options: &RunOptions,
        fleet: &Fleet,
        runtime: &Runtime,
        operator: Outsider,
        (ledger, endings): (&dyn Ledger, &Endings),
    ) -> Result<Code, CliError> {
        let Self { waiting, interrupt, terminate, hangup } = self;
        waiting.block_on(async {
            let mut console =
                Console::new(options, fleet, operator, (interrupt, terminate, hangup));
            let code = console.watch(runtime, ledger, endings).await;
            console.last_counts(ledger).await;
            code
        })
    }
}

struct Console<'a> {
    options: &'a RunOptions,
    fleet: &'a Fleet,
    operator: Outsider,
    screen: Screen,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    asked_to_stop: bool,
    /// The counts as they were told last.
    counted: String,
    /// Restarts as seen last: they are the tree's, and it is gone in the end.
    restarts: Value,
    /// An opening message was not answered well: `run --once` ends with 1.
    failed: bool,
}

impl<'a> Console<'a> {
    fn new(
        options: &'a RunOptions,
        fleet: &'a Fleet,
        operator: Outsider,
        (interrupt, terminate, hangup): (Signal, Signal, Signal),
    ) -> Self {
        let live = output::is_live() && !options.plain && !options.json;
        Self {
            options,
            fleet,
            operator,
            screen: Screen::new(live),
            interrupt,
            terminate,
            hangup,
            asked_to_stop: false,
            counted: String::new(),
            restarts: json!(0),
            failed: false,
        }
    }

    async fn watch(
        &mut self,
        runtime: &Runtime,
        ledger: &dyn Ledger,
        endings: &Endings,
    ) -> Result<Code, CliError> {
        let (tell, mut told) = mpsc::channel(TOLD_MAX);
        let (fleet, operator) = (self.fleet, self.operator.clone());
        let run = opening::run(&fleet.opening, &fleet.root, (&operator, ledger), tell);
        let mut opening = std::pin::pin!(run);
        let mut opened = false;
        self.show_tree().await;
        let (mut frames, mut counts) = (every(DRAW_EVERY), every(COUNT_EVERY));
        counts.reset();
        let exit = loop {
            let (live, going) = (self.screen.is_live(), !self.asked_to_stop);
            tokio::select! {
                biased;
                exit = runtime.ended() => break exit,
                _ = self.interrupt.recv() => {
                    if self.asked_to_stop {
                        runtime.control().stop(true);
                        // What does not end by then is stuck in the machine; the process ends without it.
                        let _ = tokio::time::timeout(AT_ONCE, runtime.ended()).await;
                        return Ok(INTERRUPTED);
                    }
                    self.talk("stopping in order; Ctrl-C again stops at once");
                    self.stop(runtime).await;
                }
                _ = self.terminate.recv(), if going => self.stop(runtime).await,
                _ = self.hangup.recv(), if going => self.reload(),
                Some(news) = told.recv() => self.tell(news),
                () = &mut opening, if !opened && going => {
                    opened = true;
                    while let Ok(news) = told.try_recv() {
                        self.tell(news);
                    }
                    if live {
                        // An opening that is over before the first beat has been seen, too.
                        self.frame().await;
                    }
                    self.count().await;
                    if self.options.once {
                        self.stop(runtime).await;
                    } else {
                        self.talk("the fleet goes on; Ctrl-C stops it");
                    }
                }
                _ = frames.tick(), if live && going => self.frame().await,
                _ = counts.tick(), if !live && going => self.count().await,
            }
        };
        self.screen.clear();
        // The tree is gone, whoever ended it; its count is still there.
        self.restarts = json!(runtime.control().restarts());
        let top = &self.fleet.name;
        match by_itself(&exit, top, endings) {
            true => Err(ended(&exit, top, endings)),
            false if self.options.once && self.failed => Ok(exit::FAILED),
            false => Ok(exit::OK),
        }
    }

    /// Asks the tree to end in order, having looked at it for the last time.
    async fn stop(&mut self, runtime: &Runtime) {
        self.asked_to_stop = true;
        self.status().await;
        runtime.control().stop(false);
    }

    /// A hangup asks for the fleet's file to be read again, as `loket reload` does.
    fn reload(&self) {
        let operator = self.operator.clone();
        // It takes as long as children take to end; the console goes on meanwhile.
        tokio::spawn(async move {
            match operator.call("agent.reload", b"{}".to_vec()).await {
                Ok(answer) => {
                    let answer = serde_json::from_slice(&answer).unwrap_or_default();
                    tracing::warn!("{}", reload_told(&answer));
                }
                Err(failure) => tracing::error!("not reloaded: {failure}"),
            }
        });
    }

    async fn ask(&self, capability: &str) -> Option<Value> {
        let asked = self.operator.call(capability, b"{}".to_vec());
        let answer = tokio::time::timeout(LOOK, asked).await.ok()?.ok()?;
        serde_json::from_slice(&answer).ok()
    }

    async fn status(&mut self) -> Option<Value> {
        let status = self.ask("agent.status").await?;
        self.restarts = status["restarts"].clone();
        Some(status)
    }

    async fn show_tree(&mut self) {
        if self.options.json || self.screen.is_live() {
            return;
        }
        if let Some(tree) = self.ask("agent.tree").await {
            output::line(&output::safe(&draw_tree(&tree)));
        }
    }

    /// Draws the tree and the counts over the last frame.
    async fn frame(&mut self) {
        let (tree, status) = (self.ask("agent.tree").await, self.status().await);
        let (Some(mut tree), Some(status)) = (tree, status) else { return };
        fold_system(&mut tree);
        let text = format!("{}\n{}", draw_tree(&tree), status_line(&status));
        self.screen.draw(&output::safe(&text));
    }

    fn tell(&mut self, news: Told) {
        self.failed |= news.has_failed();
        if self.options.json {
            output::line(&json!(news).to_string());
            return;
        }
        self.screen.say(&output::safe(&news.to_string()));
    }

    /// Talk for people.
    fn talk(&mut self, text: &str) {
        if !self.options.json {
            self.screen.say(text);
        }
    }

    /// Counted, not claimed: the ledger's own counts of what was accepted and what became of it. Told when they have changed.
    async fn count(&mut self) {
        if let Some(status) = self.status().await {
            self.tell_counts(&status);
        }
    }

    fn tell_counts(&mut self, status: &Value) {
        let text = status_line(status);
        if text == self.counted {
            return;
        }
        if self.options.json {
            output::line(&json!({"status": status}).to_string());
        } else {
            self.screen.say(&text);
        }
        self.counted = text;
    }

    /// The tree has ended and the operator with it: the ledger is asked itself.
    async fn last_counts(&mut self, ledger: &dyn Ledger) {
        let Ok(Ok(stats)) = tokio::time::timeout(LOOK, ledger.stats()).await else { return };
        self.tell_counts(&json!({
            "accepted": stats.accepted, "completed": stats.completed, "waiting": stats.waiting,
            "letters": stats.letters, "letters_made": stats.letters_made, "lost": stats.lost(),
            "ledger_bytes": stats.bytes, "boots": stats.boots, "restarts": self.restarts,
        }));
    }
}

/// What every fleet has takes no room in the live picture while it is well; `loket tree` shows it.
fn fold_system(tree: &mut Value) {
    let children = tree["children"].as_array_mut().into_iter().flatten();
    for child in children.filter(|child| child["id"] == "system") {
        child["children"] = json!([]);
    }
}

/// A beat that does not hurry after a pause.
fn every(period: Duration) -> Interval {
    let mut beat = tokio::time::interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

#[cfg(test)]
mod tests {
    use super::*;
    use loket_supervision::machine::Exit;

    #[test]
    fn stuck_threads_and_a_root_that_gave_up_have_exit_codes_of_their_own() {
        let of = |exit| ended(&exit, "fleet", &Endings::default());
        let (stuck, gave_up) = (of(Exit::Hung), of(Exit::StartTimeout));
        assert_eq!((stuck.code.as_str(), stuck.exit), ("C014", exit::STUCK));
        assert_eq!((gave_up.code.as_str(), gave_up.exit), ("C012", exit::GAVE_UP));
        assert_eq!(exit::STUCK.0, 71);
    }
}
