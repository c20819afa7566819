//! What `run` shows, and how it ends: signals, opening messages, progress, the last line.
//!
//! Standard output is for answers; the live tree is drawn on a terminal only.

use super::opening::{self, Told};
use super::operator::Outsider;
use super::screen::Screen;
use super::start::{RunOptions, ended};
use crate::commands::{draw_tree, status_line};
use crate::exit::{self, CliError, Code};
use crate::output;
use loket_runtime::Runtime;
use loket_supervision::fleet::Fleet;
use loket_supervision::machine::Exit;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How often the live tree is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// Told things that wait to be printed; the opening waits when there are more.
const TOLD_MAX: usize = 16;

/// The shell's convention: 128 and the number of the signal.
const INTERRUPTED: Code = Code(130);

/// Watches a running fleet until it has ended.
pub(super) fn watch(
    options: &RunOptions,
    fleet: &Fleet,
    runtime: &Runtime,
    operator: Outsider,
) -> Result<Code, CliError> {
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let waiting = waiting.map_err(|error| {
        CliError::new("internal", exit::BUG, format!("no runtime to wait on: {error}"))
    })?;
    waiting.block_on(async { Console::new(options, fleet, operator)?.watch(runtime).await })
}

struct Console<'a> {
    options: &'a RunOptions,
    fleet: &'a Fleet,
    operator: Outsider,
    screen: Screen,
    interrupt: Signal,
    terminate: Signal,
    asked_to_stop: bool,
}

impl<'a> Console<'a> {
    fn new(
        options: &'a RunOptions,
        fleet: &'a Fleet,
        operator: Outsider,
    ) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| {
            CliError::new("internal", exit::BUG, format!("no signals: {error}"))
        };
        let live = std::io::stdout().is_terminal() && !options.plain && !options.json;
        Ok(Self {
            options,
            fleet,
            operator,
            screen: Screen::new(live),
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            asked_to_stop: false,
        })
    }

    async fn watch(mut self, runtime: &Runtime) -> Result<Code, CliError> {
        let control = runtime.control();
        let (tell, mut told) = mpsc::channel(TOLD_MAX);
        let (fleet, operator) = (self.fleet, self.operator.clone());
        let run = opening::run(&fleet.opening, &fleet.root, &operator, tell);
        let mut opening = std::pin::pin!(run);
        let mut opened = false;
        self.show_tree().await;
        let mut frames = tokio::time::interval(DRAW_EVERY);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let exit = loop {
            tokio::select! {
                biased;
                exit = runtime.ended() => break exit,
                _ = self.interrupt.recv() => {
                    if self.asked_to_stop {
                        control.stop(true);
                        runtime.ended().await;
                        return Ok(INTERRUPTED);
                    }
                    self.asked_to_stop = true;
                    self.screen.say("stopping in order; Ctrl-C again stops at once");
                    control.stop(false);
                }
                _ = self.terminate.recv(), if !self.asked_to_stop => {
                    self.asked_to_stop = true;
                    control.stop(false);
                }
                Some(news) = told.recv() => self.tell(news),
                () = &mut opening, if !opened && !self.asked_to_stop => {
                    opened = true;
                    while let Ok(news) = told.try_recv() {
                        self.tell(news);
                    }
                    self.sum_up().await;
                    if self.options.once {
                        self.asked_to_stop = true;
                        control.stop(false);
                    } else if !self.options.json {
                        self.screen.say("the fleet goes on; Ctrl-C stops it");
                    }
                }
                _ = frames.tick(), if self.screen.is_live() && !self.asked_to_stop => {
                    self.frame().await;
                }
            }
        };
        self.screen.clear();
        match exit {
            Exit::Shutdown | Exit::Normal => Ok(exit::OK),
            Exit::Killed if self.asked_to_stop => Ok(exit::OK),
            other => Err(ended(&other)),
        }
    }

    async fn ask(&self, capability: &str) -> Option<Value> {
        let answer = self.operator.call(capability, b"{}".to_vec()).await.ok()?;
        serde_json::from_slice(&answer).ok()
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
        let (tree, status) = (self.ask("agent.tree").await, self.ask("agent.status").await);
        let (Some(tree), Some(status)) = (tree, status) else { return };
        let text = format!("{}\n{}", draw_tree(&tree), status_line(&status));
        self.screen.draw(&output::safe(&text));
    }

    fn tell(&mut self, news: Told) {
        if self.options.json {
            output::line(&json!(news).to_string());
            return;
        }
        self.screen.say(&output::safe(&news.to_string()));
    }

    /// Counted, not claimed: the ledger's own counts of what was accepted and what became of it.
    async fn sum_up(&mut self) {
        let Some(status) = self.ask("agent.status").await else { return };
        if self.options.json {
            output::line(&json!({"status": status}).to_string());
        } else {
            self.screen.say(&status_line(&status));
        }
    }
}
