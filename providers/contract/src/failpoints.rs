//! Fail points: places where a test has the process end, as `kill -9` would end it there. Only in builds with the feature `failpoints`,
//! which no shipped binary has; elsewhere every function here is nothing.
//!
//! `LOKET_FAILPOINT=POINT:CLASS:MARK` arms one: the process ends at the first call of that class whose arguments hold MARK. The places
//! are enumerated in [`Point`]; `tests/crash/points.sh` visits each with each class.
//!
//! `LOKET_STALL=MARK:MILLISECONDS` keeps the thread of the first turn whose message holds MARK for so long, as a bug would that does
//! not come back to its lane: `cli/tests/acceptance/stuck.rs`.

use loket_turn::EffectClass;

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The call was admitted and checked; nothing is written.
    BeforeIntent,
    /// The intent, of a class that has one, is durable; nothing was performed.
    AfterIntent,
    /// The call was performed; nothing of it is recorded.
    AfterCall,
    /// The result is as durable as its class asks, and on its way to the guest.
    AfterReply,
    /// The turn has ended in the ledger; its brain has not.
    AfterCompletion,
}

#[cfg(not(feature = "failpoints"))]
mod armed {
    use super::{EffectClass, Point};

    /// Whether these bytes hold the armed mark.
    #[inline]
    pub fn marked(_: &[u8]) -> bool {
        false
    }

    /// Ends the process when this is the armed place.
    #[inline]
    pub fn hit(_: Point, _: Option<EffectClass>, _: bool) {}

    /// Keeps the thread when this turn is armed for it.
    #[inline]
    pub fn stall(_: &[u8]) {}
}

#[cfg(feature = "failpoints")]
mod armed {
    use super::{EffectClass, Point};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    impl Point {
        fn as_str(self) -> &'static str {
            match self {
                Self::BeforeIntent => "before_intent",
                Self::AfterIntent => "after_intent",
                Self::AfterCall => "after_call",
                Self::AfterReply => "after_reply",
                Self::AfterCompletion => "after_completion",
            }
        }
    }

    /// Point, class and mark of the environment.
    fn armed() -> Option<&'static (String, String, String)> {
        static ARMED: OnceLock<Option<(String, String, String)>> = OnceLock::new();
        let read = || {
            let text = std::env::var("LOKET_FAILPOINT").ok()?;
            let mut words = text.splitn(3, ':').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?))
        };
        ARMED.get_or_init(read).as_ref()
    }

    /// Whether these bytes hold the armed mark.
    pub fn marked(bytes: &[u8]) -> bool {
        armed().is_some_and(|(_, _, mark)| {
            !mark.is_empty() && bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
        })
    }

    /// Keeps the thread when this turn is armed for it, once in a process.
    pub fn stall(message: &[u8]) {
        static DONE: AtomicBool = AtomicBool::new(false);
        let text = std::env::var("LOKET_STALL").unwrap_or_default();
        let Some((mark, ms)) = text.split_once(':') else { return };
        let holds = message.windows(mark.len().max(1)).any(|window| window == mark.as_bytes());
        if !holds || DONE.swap(true, Ordering::AcqRel) {
            return;
        }
        for _ in 0..ms.parse().unwrap_or(0_u64) / 10 {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends the process when this is the armed place.
    pub fn hit(point: Point, class: Option<EffectClass>, marked: bool) {
        let here = |(at, of, _): &(String, String, String)| {
            at == point.as_str() && class.is_none_or(|class| of == class.as_str())
        };
        if marked && armed().is_some_and(here) {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

pub use armed::{hit, marked, stall};
