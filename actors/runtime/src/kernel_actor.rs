//! The kernel actor: receives an envelope, has it admitted, forwards it. Nothing else, and nobody else does it.
//!
//! One shard per lane, all on the same table; an idle one handles its lane's calls in place. The reply goes straight from the
//! provider to the caller; only a call that does not get there is answered here. Frozen together with the kernel. Start reading
//! at [`kernel_body`].

use crate::forward::{Counts, LaneForward, bounce, hold, refuse};
use crate::{
    Authority, AuthorityReader, Body, CallEnvelope, ChildContext, Clock, Door, ScopeHints,
};
use loket_kernel::{Admission, Forward, Moment, admit, admit_pinned};
use loket_supervision::machine::{Blame, Cause, Exit};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Calls that a shard hands on before the lane's other tasks get their turn; the time is read once for all of them.
const BATCH_MAX: usize = 64;

/// The body of a kernel shard.
pub fn kernel_body(authority: Arc<Authority>, clock: Clock) -> Body {
    Box::new(move |context| Box::pin(run(authority, clock, context)))
}

async fn run(authority: Arc<Authority>, clock: Clock, mut context: ChildContext) -> Exit {
    let Door::Kernel(mailbox) = context.door.clone() else {
        return Exit::crash(Cause::Start, Blame::Host, "a kernel shard without a kernel's door");
    };
    let shard = Rc::new(RefCell::new(Shard {
        forward: LaneForward::new(&authority, context.lane.index()),
        table: authority.reader(),
        scopes: authority.scope_hints(),
        counts: Counts::new(),
        clock: clock.clone(),
    }));
    let (taking, mut time) = (Rc::clone(&shard), context.poll_time(clock.clone(), BATCH_MAX));
    let _in_place = context.take_in_place(&mailbox, move |slot| {
        let Ok(mut shard) = taking.try_borrow_mut() else { return };
        if let Some(envelope) = slot.take() {
            shard.handle(envelope, time.now());
        }
    });
    context.control.started();
    loop {
        let first = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            envelope = mailbox.recv() => envelope,
        };
        let now = clock.now();
        let mut next = Some(first);
        for _ in 0..BATCH_MAX {
            let Some(envelope) = next else { break };
            shard.borrow_mut().handle(envelope, now);
            next = mailbox.try_recv();
        }
        if let Some(envelope) = next {
            shard.borrow_mut().handle(envelope, now);
            tokio::task::yield_now().await;
        }
    }
}

struct Shard {
    forward: LaneForward,
    table: AuthorityReader,
    scopes: Arc<ScopeHints>,
    counts: Counts,
    clock: Clock,
}

impl Shard {
    fn handle(&mut self, envelope: CallEnvelope, now: Moment) {
        let began = self.counts.sample().then(|| self.clock.monotonic_ns());
        let table = self.table.table();
        // A turn that is run again is judged by the grants and the time of its begin (rule F1).
        let rerun = envelope.cargo.turn.as_ref().filter(|turn| turn.live.pure_only);
        let pinned = rerun.map(|turn| (Arc::clone(&turn.turn.pinned), Moment(turn.clock_ms)));
        let admission = match &pinned {
            Some((grants, then)) => admit_pinned(table, grants, envelope, *then),
            None => admit(table, envelope, now),
        };
        if let Some(began) = began {
            self.counts.took(self.clock.monotonic_ns().saturating_sub(began));
        }
        match admission {
            Admission::Admitted(admitted) => {
                let tally = self.counts.of(table, admitted.capability());
                tally.count(match self.forward.forward(admitted.route(), admitted) {
                    Ok(()) => "admitted",
                    Err(undelivered) => bounce(undelivered),
                });
            }
            Admission::Hold(held) => {
                self.counts.of(table, &held.envelope.capability).count("held");
                hold(held.rule.as_str(), held.envelope);
            }
            Admission::Refused(refusal, envelope) => {
                self.counts.of(table, &envelope.capability).count("refused");
                refuse(&self.scopes, table, &refusal, envelope);
            }
        }
    }
}
