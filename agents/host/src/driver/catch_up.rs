//! Catch-up: a brain that is behind the ledger re-runs the missing turns against their records (rules F1, F2).
//!
//! Nothing is sent, logged or paid; the running hash must agree.

use super::end::{Failed, Stopped};
use super::metrics;
use super::turn::{Agent, Play};
use loket_turn::{Blame, EndedTurn, Mode, TurnNo, chain_after};

impl Agent {
    /// Leaves the brain with a transaction open for turn `n`, every turn before it applied.
    pub(super) async fn bring_up(&mut self, n: TurnNo) -> Result<(), Failed> {
        let state = self.brain.begin(self.life, self.epoch).await?;
        let before = TurnNo(n.0.saturating_sub(1));
        if state.applied == before && state.chain == self.chain {
            return Ok(());
        }
        if state.applied > before {
            // Rule F3: at `Power` this is our bug; what to do after a loss of power at `Process` is the operator's.
            return Err(Failed::host(
                "ahead",
                format!("the brain has turn {}, the ledger ends at {before}", state.applied),
            ));
        }
        let mut applied = state.applied;
        let mut chain = state.chain;
        while applied < before {
            let ledger = &self.services.ledger;
            let missing = ledger
                .ended_after(self.plan.name.clone(), applied)
                .await
                .map_err(|error| Failed::ledger(&error))?;
            if missing.is_empty() {
                return Err(Failed::host(
                    "catch_up",
                    format!("the ledger lacks turn {} that the brain needs", applied.0 + 1),
                ));
            }
            for ended in missing {
                if ended.n.0 != applied.0 + 1 || ended.n > before {
                    let text = format!("turn {} follows turn {applied} in the ledger", ended.n);
                    return Err(Failed::host("catch_up", text));
                }
                let expected = ended.chain;
                let n = ended.n;
                let skipped = ended.ran.is_none();
                let hash = self.play_again(ended).await?;
                if !skipped && chain_after(chain, n, hash) != expected {
                    return Err(Failed::host("catch_up", format!("turn {n} has another past")));
                }
                self.brain.commit(n, expected).await?;
                (applied, chain) = (n, expected);
                self.brain.begin(self.life, self.epoch).await?;
                metrics::caught_up();
            }
        }
        if chain != self.chain {
            return Err(Failed::host("catch_up", "the brain's past is not the ledger's"));
        }
        Ok(())
    }

    /// Brings up a brain that has nothing to do, so that it neither pins the ledger (rule E6) nor is behind after a clean
    /// stop (rule E4); the store takes it to the disk from there.
    ///
    /// Only the machine's faults are told. Any other is met again by the next turn, which knows what to do about it.
    pub(super) async fn bring_up_idle(&mut self) -> Result<(), Failed> {
        let _permit = self.services.slots.acquire().await;
        let brought = self.bring_up(TurnNo(self.done.0 + 1)).await;
        self.brain.roll_back().await;
        match brought {
            Err(failed) if failed.blame == Blame::Environment => Err(failed),
            Err(failed) => {
                let (agent, cause) = (&self.plan.name, failed.cause);
                tracing::error!(%agent, cause, "the brain was not brought up: {}", failed.message);
                Ok(())
            }
            Ok(()) => {
                self.level = true;
                Ok(())
            }
        }
    }

    /// Re-runs one ended turn in the open transaction. Gives its hash.
    async fn play_again(&self, ended: EndedTurn) -> Result<loket_turn::Hash, Failed> {
        let Some(ran) = ended.ran else { return Ok(loket_turn::Hash::default()) };
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
            Err(Stopped::Failed(failed)) => {
                let text = format!("re-running turn {}: {}", ended.n, failed.message);
                return Err(Failed { message: text, blame: Blame::Host, ..failed });
            }
            Err(Stopped::Quarantined(text)) => return Err(Failed::host("diverged", text)),
            Err(Stopped::Parked(_)) => {
                return Err(Failed::host("diverged", "an ended turn waits again"));
            }
        };
        let context = again.context;
        let mut journal = context.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hash = journal
            .end(&reply)
            .map_err(|diverged| Failed::host("diverged", format!("{diverged:?}")))?;
        if hash != ran.hash {
            let text = format!("turn {} came out differently when re-run", ended.n);
            return Err(Failed::host("diverged", text));
        }
        Ok(hash)
    }
}
