//! When a repeated timer is due, and what happens to the times that were missed.
//!
//! Pure: the moment is an argument. A schedule is kept as its text, so that a newer version of the calendar's rules (a country
//! changes its clocks) is used from its next time on. Start reading at [`Schedule::due`].

use crate::limits::{CRON_CATCH_UP_MAX, CRON_EXPR_BYTES_MAX, CRON_MISSED_AFTER_MS};
use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What becomes of the times that passed while nobody could be told: the fleet was stopped, or the inbox was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    Skip,
    /// One message for all of them.
    #[default]
    Once,
    /// One message each, for the latest [`CRON_CATCH_UP_MAX`] of them.
    All,
}

impl Missed {
    /// The word in arguments, answers and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }

    /// The policy of a word that [`as_str`](Self::as_str) gave.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Skip, Self::Once, Self::All].into_iter().find(|missed| missed.as_str() == word)
    }
}

/// Why a schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The expression cannot be read.
    #[error("{expr:?} is no cron expression: {why}")]
    Expr {
        /// The expression.
        expr: String,
        /// Why.
        why: String,
    },
    /// There is no such time zone.
    #[error("{0:?} is no time zone; use a name such as `Europe/Berlin` or `UTC`")]
    Zone(String),
    /// It is never due.
    #[error("{0:?} is never due after now")]
    Never(String),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Five fields (minute, hour, day, month, weekday), or six with seconds first.
    pub expr: String,
    /// The IANA name of the time zone.
    pub tz: String,
    /// What becomes of missed times.
    pub missed: Missed,
}

/// What a repeated timer does when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// A message is due now.
    pub tells: bool,
    /// When it is due next, Unix milliseconds; `None`: never again.
    pub next_ms: Option<u64>,
}

impl Schedule {
    /// The first time after `ms`, Unix milliseconds.
    ///
    /// # Errors
    /// [`ScheduleError`]: the text is no schedule, or never due again.
    pub fn next_after(&self, ms: u64) -> Result<u64, ScheduleError> {
        let (cron, zone) = self.parsed()?;
        after(&cron, zone, ms).ok_or_else(|| ScheduleError::Never(self.expr.clone()))
    }

    /// What is due at `now_ms` of a timer whose time was `due_ms`, not later than now.
    ///
    /// # Errors
    /// [`ScheduleError`], for a text that is no schedule (any more).
    pub fn due(&self, due_ms: u64, now_ms: u64) -> Result<Due, ScheduleError> {
        let (cron, zone) = self.parsed()?;
        let missed = now_ms.saturating_sub(due_ms) > CRON_MISSED_AFTER_MS;
        Ok(match (missed, self.missed) {
            (false, _) => Due { tells: true, next_ms: after(&cron, zone, due_ms) },
            (true, Missed::Skip) => Due { tells: false, next_ms: after(&cron, zone, now_ms) },
            (true, Missed::Once) => Due { tells: true, next_ms: after(&cron, zone, now_ms) },
            (true, Missed::All) => {
                // What lies further back than may be caught up is left out.
                let from_ms = due_ms.max(earliest(&cron, zone, now_ms));
                Due { tells: true, next_ms: after(&cron, zone, from_ms) }
            }
        })
    }

    fn parsed(&self) -> Result<(Cron, Tz), ScheduleError> {
        let bad = |why: String| ScheduleError::Expr { expr: self.expr.clone(), why };
        if self.expr.len() > CRON_EXPR_BYTES_MAX {
            return Err(bad(format!("longer than {CRON_EXPR_BYTES_MAX} bytes")));
        }
        let cron = Cron::from_str(&self.expr).map_err(|why| bad(why.to_string()))?;
        let zone = Tz::from_str(&self.tz).map_err(|_| ScheduleError::Zone(self.tz.clone()))?;
        Ok((cron, zone))
    }
}

fn at(zone: Tz, ms: u64) -> Option<DateTime<Tz>> {
    Some(DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)?.with_timezone(&zone))
}

fn after(cron: &Cron, zone: Tz, ms: u64) -> Option<u64> {
    let next = cron.find_next_occurrence(&at(zone, ms)?, false).ok()?;
    let next = u64::try_from(next.timestamp_millis()).ok()?;
    // A schedule never stands still, whatever the calendar does at a change of the clocks.
    (next > ms).then_some(next)
}

/// The earliest of the last [`CRON_CATCH_UP_MAX`] times up to `now_ms`.
fn earliest(cron: &Cron, zone: Tz, now_ms: u64) -> u64 {
    let Some(mut at) = at(zone, now_ms) else { return now_ms };
    for step in 0..CRON_CATCH_UP_MAX {
        match cron.find_previous_occurrence(&at, step == 0) {
            Ok(before) => at = before,
            Err(_) => break,
        }
    }
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    /// 2026-01-01T00:00:00Z.
    const START: u64 = 1_767_225_600_000;

    fn schedule(expr: &str, tz: &str, missed: Missed) -> Schedule {
        Schedule { expr: expr.into(), tz: tz.into(), missed }
    }

    #[test]
    fn the_next_time_is_after_and_in_its_zone() {
        let hourly = schedule("0 * * * *", "UTC", Missed::Once);
        assert_eq!(hourly.next_after(START), Ok(START + HOUR));
        assert_eq!(hourly.next_after(START + 1), Ok(START + HOUR));
        let berlin = schedule("0 9 * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(berlin.next_after(START), Ok(START + 8 * HOUR));
        let seconds = schedule("*/10 * * * * *", "UTC", Missed::Once);
        assert_eq!(seconds.next_after(START + 1), Ok(START + 10_000));
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        let bad = |expr: &str, tz: &str| schedule(expr, tz, Missed::Once).next_after(START);
        assert!(matches!(bad("61 * * * *", "UTC"), Err(ScheduleError::Expr { .. })));
        assert!(matches!(bad("* * * * *", "Mars/Olympus"), Err(ScheduleError::Zone(_))));
        assert!(matches!(bad("0 0 30 2 *", "UTC"), Err(ScheduleError::Never(_))));
        assert!(matches!(bad(&"1,".repeat(1_000), "UTC"), Err(ScheduleError::Expr { .. })));
    }

    #[test]
    fn a_clock_that_is_set_forward_or_back_gives_each_day_one_morning() {
        // Both changes of the clocks in Berlin in 2026 are in this year of mornings.
        let daily = schedule("30 2 * * *", "Europe/Berlin", Missed::Once);
        let (mut at, mut count) = (START + 90 * MINUTE, 1);
        while let Ok(next) = daily.next_after(at) {
            if next >= START + 365 * 24 * HOUR {
                break;
            }
            assert!((22 * HOUR..=27 * HOUR).contains(&(next - at)), "{at} {next}");
            (at, count) = (next, count + 1);
        }
        assert_eq!(count, 365);
    }

    #[test]
    fn missed_times_are_skipped_told_once_or_told_all() {
        let of = |missed| schedule("0 * * * *", "UTC", missed);
        let (due, now) = (START, START + 10 * HOUR + 5 * MINUTE);
        let next_ms = Some(START + 11 * HOUR);
        assert_eq!(of(Missed::Skip).due(due, now), Ok(Due { tells: false, next_ms }));
        assert_eq!(of(Missed::Once).due(due, now), Ok(Due { tells: true, next_ms }));
        let all = of(Missed::All);
        let (mut at, mut told) = (due, 0);
        while at <= now {
            let due = all.due(at, now).unwrap();
            told += usize::from(due.tells);
            at = due.next_ms.unwrap();
        }
        assert_eq!((told, at), (11, START + 11 * HOUR));
        // On time, or a little late, all are alike.
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let next_ms = Some(START + HOUR);
            assert_eq!(of(missed).due(due, due + 59_000), Ok(Due { tells: true, next_ms }));
        }
    }

    #[test]
    fn a_long_absence_is_caught_up_to_a_bound() {
        let all = schedule("* * * * *", "UTC", Missed::All);
        let now = START + 90 * 24 * HOUR;
        let (mut at, mut told) = (START, 0);
        while at <= now {
            let due = all.due(at, now).unwrap();
            told += usize::from(due.tells);
            at = due.next_ms.unwrap();
        }
        let most = CRON_CATCH_UP_MAX;
        assert!((most..=most + 2).contains(&told), "{told}");
    }
}
