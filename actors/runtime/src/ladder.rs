//! What is done about a child that makes no progress, by its `watchdog` bounds: told at `soft`, interrupted at `hard`, killed with the
//! reason `hung` a moment later; and if it keeps its thread, the thread is taken out of service.
//!
//! Without bounds nothing is done. Start reading at [`Ladder::busy`], for children that wait too long, and [`Ladder::poll`], for those
//! that keep their lane.

use crate::quarantine::Quarantine;
use crate::{Place, Registry, metrics};
use loket_supervision::fleet::Watchdog;
use std::sync::Arc;

/// How long an interrupted child may take to note its failed attempt and end, milliseconds; never longer than `hard` itself.
const GRACE_MS: u64 = 1_000;

/// How far up a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    Ground,
    Soft,
    Hard,
    Over,
}

impl Rung {
    fn number(number: u8) -> Self {
        match number {
            0 => Self::Ground,
            1 => Self::Soft,
            2 => Self::Hard,
            _ => Self::Over,
        }
    }

    /// Where a child is after `ms`. One rung at a look: nobody is killed who was not interrupted, or interrupted untold.
    fn after(self, bounds: Watchdog, ms: u64) -> Self {
        Self::of(bounds, ms).min(Self::number(self as u8 + 1)).max(self)
    }

    fn of(bounds: Watchdog, ms: u64) -> Self {
        let over = bounds.hard_ms.saturating_add(GRACE_MS.min(bounds.hard_ms));
        match ms {
            ms if ms >= over => Self::Over,
            ms if ms >= bounds.hard_ms => Self::Hard,
            ms if ms >= bounds.soft_ms => Self::Soft,
            _ => Self::Ground,
        }
    }
}

pub(crate) struct Ladder(Quarantine);

impl Ladder {
    pub(crate) fn new(quarantine: Quarantine) -> Self {
        Self(quarantine)
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Looks at all children that said that they are busy.
    pub(crate) fn busy(&self, now_ms: u64) {
        self.0.registry.each_watched(&mut |place, bounds| {
            let Some(cell) = place.cell() else { return };
            // Who waits for a provider that is restarted does not hang. Asked before, since the pause is counted out at its end.
            if cell.progress.paused_on().is_some() {
                return;
            }
            let Some(since_ms) = cell.progress.busy_since_ms() else { return };
            let ms = now_ms.saturating_sub(since_ms);
            let rung = Rung::number(cell.progress.warned()).after(bounds, ms);
            if rung > Rung::Ground && cell.progress.warn(rung as u8) {
                act(place, rung, ms);
            }
        });
    }

    /// Looks at a child whose poll keeps its lane for `ms`; it has come to `before` by this poll.
    pub(crate) fn poll(&self, place: u64, ms: u64, before: Rung) -> Rung {
        let Some((place, bounds)) = self.0.registry.watched(place) else { return before };
        let rung = before.after(bounds, ms);
        if rung <= before {
            return before;
        }
        match rung {
            Rung::Over => {
                metrics::hung(place.kind(), "killed");
                self.0.take(&place);
            }
            rung => act(&place, rung, ms),
        }
        rung
    }
}

fn act(place: &Place, rung: Rung, ms: u64) {
    let Some(cell) = place.cell() else { return };
    let child = &*place.name;
    match rung {
        Rung::Ground => {}
        Rung::Soft => {
            metrics::hung(place.kind(), "soft");
            tracing::warn!(child, ms, "busy with one piece of work for longer than `soft`");
            cell.tell_slow();
        }
        Rung::Hard => {
            metrics::hung(place.kind(), "hard");
            tracing::error!(
                child,
                ms,
                "busy with one piece of work for longer than `hard`: interrupted"
            );
            cell.progress.interrupt();
        }
        Rung::Over => {
            metrics::hung(place.kind(), "killed");
            tracing::error!(child, ms, "does not end when interrupted: killed");
            cell.kill_hung();
        }
    }
}
