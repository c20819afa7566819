//! What a call of a turn that is run again is answered with.

use super::{End, Made, Unanswered};
use loket_contract::CODE_ENVIRONMENT;
use loket_contract::rerun::{Rerun, Sandbox};
use loket_runtime::{TurnCall, TurnContext};
use loket_turn::{
    Answered, Begin, CallNo, Diverged, EffectClass, Hash, Journal, Live, Outcome, Record, Step,
    Stop,
};
use std::sync::{Arc, MutexGuard, PoisonError};

/// How a call finds its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By its number, as a brain is brought up: another call at a number that has a record is a divergence (rules F1, C11).
    Number,
    /// By capability and arguments, whatever its number: for other code than the turn was run with.
    Call,
}

/// Where answers come from.
pub(super) struct Answers {
    by: By,
    context: Arc<TurnContext>,
    /// By call: the records that were not asked for yet, in order.
    free: Vec<Record>,
    classes: Vec<(CallNo, EffectClass)>,
    calls: u32,
    calls_max: u32,
    clock_ms: u64,
}

impl Answers {
    pub(super) fn new(
        by: By,
        begin: &Begin,
        records: &[Record],
        context: Arc<TurnContext>,
    ) -> Self {
        let classes = records.iter().map(|record| (record.call, record.class)).collect();
        let (calls_max, clock_ms) = (begin.calls_max, begin.time_ms);
        Self { by, context, free: records.to_vec(), classes, calls: 0, calls_max, clock_ms }
    }

    /// The answer, or how the turn ends here.
    pub(super) fn answer(
        &mut self,
        sandbox: &mut Sandbox,
        capability: String,
        args: Vec<u8>,
    ) -> Result<Made, End> {
        self.calls += 1;
        match self.by {
            By::Number => self.by_number(sandbox, capability, args),
            By::Call => self.by_call(sandbox, capability, args),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.context.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_number(
        &mut self,
        sandbox: &mut Sandbox,
        capability: String,
        args: Vec<u8>,
    ) -> Result<Made, End> {
        let step = self.journal().next_call(&capability, &args);
        let live = match step {
            Ok(Step::Answer(outcome)) => {
                let call = CallNo(self.calls);
                let class = self.classes.iter().find(|(at, _)| *at == call);
                let class = class.map_or(EffectClass::Pure, |(_, class)| *class);
                return Ok(Made { call, class, capability, args, outcome, recorded: true });
            }
            Ok(Step::Send(live)) => live,
            Err(Stop::Diverged(found)) => return Err(End::Diverged(found)),
            Err(stop) => return Err(End::Failed(over(&stop))),
        };
        let clock_ms = self.journal().clock_ms();
        let call = TurnCall { turn: Arc::clone(&self.context), live: live.clone(), clock_ms };
        let no_such = |rerun: String| {
            let recorded = "(no such call)".to_owned();
            End::Diverged(Diverged { call: live.call, recorded, rerun })
        };
        let shown = || format!("{capability} {}", String::from_utf8_lossy(&args));
        match sandbox.call(&call, &capability, &args) {
            Rerun::Answered(_, Err(failure)) if failure.code == CODE_ENVIRONMENT => {
                Err(End::Failed(failure.to_string()))
            }
            // A failure that the guest saw has a record (rule C6).
            Rerun::Answered(_, Err(failure)) => Err(no_such(format!("{}: {failure}", shown()))),
            Rerun::Impure(_) => Err(no_such(shown())),
            Rerun::Answered(class, outcome) => {
                let answered = Answered {
                    class,
                    outcome,
                    stamp_ms: clock_ms,
                    effect: None,
                    durable: false,
                    took_ms: 0,
                };
                let outcome = self.journal().finish(&live, &capability, &args, answered);
                Ok(Made { call: live.call, class, capability, args, outcome, recorded: false })
            }
        }
    }

    fn by_call(
        &mut self,
        sandbox: &mut Sandbox,
        capability: String,
        args: Vec<u8>,
    ) -> Result<Made, End> {
        let call = CallNo(self.calls);
        if self.calls > self.calls_max {
            return Err(End::Failed(over(&Stop::TooManyCalls { limit: self.calls_max })));
        }
        let same = |record: &Record| {
            record.capability == capability && record.args == args && record.outcome.is_some()
        };
        if let Some(at) = self.free.iter().position(same) {
            let record = self.free.remove(at);
            self.clock_ms = self.clock_ms.max(record.stamp_ms);
            if let Some(outcome) = record.outcome {
                let class = record.class;
                return Ok(Made { call, class, capability, args, outcome, recorded: true });
            }
        }
        let (life, message) = (self.context.key.life, self.context.message);
        let live = Live { call, life, message, pure_only: true, resend: None };
        let asked = TurnCall { turn: Arc::clone(&self.context), live, clock_ms: self.clock_ms };
        match sandbox.call(&asked, &capability, &args) {
            Rerun::Answered(_, Err(failure)) if failure.code == CODE_ENVIRONMENT => {
                Err(End::Failed(failure.to_string()))
            }
            Rerun::Answered(class, outcome) => {
                Ok(Made { call, class, capability, args, outcome, recorded: false })
            }
            Rerun::Impure(class) => {
                Err(End::Unanswered(Unanswered { call, class, capability, args }))
            }
        }
    }

    /// The end of the turn: its running hash, by number.
    pub(super) fn end(&mut self, reply: &Outcome) -> Result<Hash, Diverged> {
        match self.by {
            By::Number => self.journal().end(reply),
            By::Call => Ok(Hash::default()),
        }
    }

    /// Records that no call has asked for, by call.
    pub(super) fn left(self) -> Vec<Record> {
        if self.by == By::Call { self.free } else { Vec::new() }
    }
}

fn over(stop: &Stop) -> String {
    match stop {
        Stop::TooManyCalls { limit } => format!("more than {limit} calls in one turn"),
        _ => "more bytes of records than one turn may have".to_owned(),
    }
}
