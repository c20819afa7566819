//! Catch-up: a brain that is behind the ledger re-runs the missing turns against their records (rules F1, F2).
//!
//! Nothing is sent, logged or paid; the running hash must agree.

use super::brain::{CORRUPT, DOWN};
use super::end::{Failed, Stopped, diverged};
use super::metrics;
use super::turn::{Agent, Play};
use loket_runtime::BrainState;
use loket_turn::{Blame, EndedTurn, Hash, Mode, Quarantine, TurnNo, chain_after};

/// The cause of a brain that has turns which the ledger does not have.
const AHEAD: &str = "ahead";

/// Skipped turns in a row that are known by their hash; of more the ledger is asked, a page at a time.
const SKIPS_MAX: u64 = 64;

/// How a brain was brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// It has every turn.
    Level,
    /// It lacks turns that were skipped, and no other.
    ButSkips,
}

impl Agent {
    /// Whether the ledger has moved on without this incarnation: its brain was exchanged, or its turn given up for that (rule E7).
    pub(super) async fn is_elsewhere(&self) -> Result<bool, Failed> {
        let standing = self.services.ledger.brain_standing(self.own.name.clone()).await;
        let standing = standing.map_err(|error| Failed::ledger(&error))?;
        Ok((standing.epoch, standing.done) != (self.epoch, self.done))
    }

    /// Leaves the brain with a transaction open for turn `n`, every turn before it applied: `Level`, or nothing missing but skips,
    /// which the commit of turn `n` brings along.
    pub(super) async fn bring_up(&mut self, n: TurnNo) -> Result<Brought, Stopped> {
        let state = self.brain.begin(self.life, self.epoch).await?;
        let before = TurnNo(n.0.saturating_sub(1));
        if state.applied == before && state.chain == self.chain {
            return Ok(Brought::Level);
        }
        if state.applied > before {
            // Rule F3: at `Power` this is our bug; what to do after a loss of power at `Process` is the operator's. No restart
            // mends it, and one after the other would take the subtree down.
            let text = format!("the brain has turn {}, the ledger ends at {before}", state.applied);
            return Err(Stopped::Quarantined(self.because(AHEAD, text, n, None)));
        }
        if state.applied < self.durable {
            // What the ledger still has could be run again, but on pages of which some are newer.
            let text = format!(
                "turn {} was on the disk, the brain ends at {}",
                self.durable, state.applied
            );
            return Err(self.lost(text));
        }
        if self.lacks_skips_only(&state, before) {
            return Ok(Brought::ButSkips);
        }
        let mut applied = state.applied;
        let mut chain = state.chain;
        while applied < before {
            let ledger = &self.services.ledger;
            let missing = ledger
                .ended_after(self.own.name.clone(), applied)
                .await
                .map_err(|error| Failed::ledger(&error))?;
            if missing.is_empty() {
                let text = format!("the ledger lacks turn {} that the brain needs", applied.0 + 1);
                return Err(self.lost(text));
            }
            for ended in missing {
                if ended.n.0 != applied.0 + 1 || ended.n > before {
                    let text = format!("turn {} follows turn {applied} in the ledger", ended.n);
                    return Err(self.lost(text));
                }
                let expected = ended.chain;
                let n = ended.n;
                // A skipped turn has no hash, and an operator may take a re-run as it comes (rules G3, G4).
                let free = ended.ran.as_ref().is_none_or(|ran| ran.accepted);
                let hash = self.play_again(ended).await?;
                if !free && chain_after(chain, n, hash) != expected {
                    return Err(self.lost(format!("turn {n} has another past")));
                }
                self.brain.commit(n, expected, false).await?;
                (applied, chain) = (n, expected);
                self.brain.begin(self.life, self.epoch).await?;
                metrics::caught_up();
            }
        }
        if chain != self.chain {
            return Err(self.lost("the brain's past is not the ledger's"));
        }
        Ok(Brought::Level)
    }

    /// Whether the ledger's chain hash follows from the brain's by skipped turns alone (rule G3): there is nothing to run again then,
    /// and nothing to ask.
    fn lacks_skips_only(&self, state: &BrainState, before: TurnNo) -> bool {
        let missing = state.applied.0 + 1..=before.0;
        let skipped = |chain, n| chain_after(chain, TurnNo(n), Hash::default());
        before.0 - state.applied.0 <= SKIPS_MAX && missing.fold(state.chain, skipped) == self.chain
    }

    /// Gives the brain back for as long as a turn waits. Whoever stops meanwhile leaves no brain behind the ledger (rule E4): no
    /// commit of this turn brought the skips before it along.
    pub(super) async fn leave_brain(&mut self) {
        if !self.level {
            match self.bring_level().await {
                Ok(()) => self.level = true,
                // Nothing is lost: whoever takes the turn up again finds it so.
                Err(why) => {
                    tracing::warn!(agent = %self.own.name, "the brain is left behind: {why:?}");
                }
            }
        }
        self.brain.release().await;
    }

    /// The same for a brain that no turn follows: skips are committed by themselves.
    async fn bring_level(&mut self) -> Result<(), Stopped> {
        if let Brought::ButSkips = self.bring_up(TurnNo(self.done.0 + 1)).await? {
            self.brain.commit(self.done, self.chain, false).await?;
            self.brain.begin(self.life, self.epoch).await?;
        }
        Ok(())
    }

    /// The file is not what it was: an older one, or turns are gone that were on the disk (rule E5). No restart mends it.
    fn lost(&self, text: impl Into<String>) -> Stopped {
        Stopped::Quarantined(self.because(CORRUPT, text, TurnNo(self.done.0 + 1), None))
    }

    /// Brings up a brain that has nothing to do, so that it neither pins the ledger (rule E6) nor is behind after a clean
    /// stop (rule E4); the store takes it to the disk from there.
    ///
    /// Only the machine's faults are errors, and a divergence is given. Any other is met again by the next turn, which knows what
    /// to do about it.
    pub(super) async fn bring_up_idle(&mut self) -> Result<Option<Quarantine>, Failed> {
        let _permit = self.services.slots.acquire().await;
        let brought = self.bring_level().await;
        self.brain.release().await;
        match brought {
            Err(Stopped::Quarantined(why)) => Ok(Some(why)),
            Err(Stopped::Failed(failed)) if failed.blame == Blame::Environment => Err(failed),
            Err(Stopped::Failed(failed)) => {
                let (agent, cause) = (&self.own.name, failed.cause);
                tracing::error!(%agent, cause, "the brain was not brought up: {}", failed.message);
                Ok(None)
            }
            Err(Stopped::Paused(provider)) => {
                let text = format!("{} is being restarted", provider.name());
                Err(Failed::environment(DOWN, text))
            }
            Err(Stopped::Parked(_)) => Ok(None),
            Ok(()) => {
                self.level = true;
                Ok(None)
            }
        }
    }

    /// Re-runs one ended turn in the open transaction. Gives its hash.
    async fn play_again(&self, ended: EndedTurn) -> Result<loket_turn::Hash, Stopped> {
        let Some(ran) = ended.ran else { return Ok(loket_turn::Hash::default()) };
        let n = ended.n;
        let pinned = self.present.of(&self.services, &ran.begin).await?;
        let play = Play {
            n: ended.n,
            mode: Mode::CatchUp,
            message: ran.message,
            begin: ran.begin,
            begun: true,
            records: ran.records,
            pinned,
        };
        let again = self.run(play).await;
        let reply = match again.answer {
            Ok(reply) => reply,
            // The machine's fault is waited out (rule F2); any other end is not the one that the turn came to.
            Err(Stopped::Failed(failed)) => {
                let text = format!("re-running turn {}: {}", ended.n, failed.message);
                return Err(match failed.blame {
                    Blame::Environment => Failed { message: text, ..failed }.into(),
                    _ => Stopped::Quarantined(self.because("diverged", text, n, None)),
                });
            }
            Err(stopped @ (Stopped::Quarantined(_) | Stopped::Paused(_))) => return Err(stopped),
            Err(Stopped::Parked(_)) => {
                let text = "an ended turn waits again";
                return Err(Stopped::Quarantined(self.because("diverged", text, n, None)));
            }
        };
        let context = again.context;
        let mut journal = context.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hash = journal
            .end(&reply)
            .map_err(|found| diverged(n, self.services.clock.now().0, &found))?;
        if hash != ran.hash && !ran.accepted {
            let text = format!("turn {n} came to another end when it was re-run for the brain");
            return Err(Stopped::Quarantined(self.because("diverged", text, n, None)));
        }
        Ok(hash)
    }
}
