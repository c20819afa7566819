//! Work that takes several events: stop these in reverse, then start those in order.
//!
//! At most one job is under way. A start, a group restart, a call that starts or stops, and the end
//! of the supervisor are all jobs; what happens meanwhile is deferred, except the end, which takes
//! over at once.

use std::ops::Range;

use super::child::{Life, Seq};
use super::event::{Answer, ApiError, Order};
use super::exit::Exit;
use super::report::Context;
use super::spec::{ChildId, Stop, Strategy};
use super::supervisor::{Deferred, Supervisor};
use super::view::Phase;

/// All children.
pub(super) const ALL: Range<Seq> = 0..Seq::MAX;
/// No child.
pub(super) const NONE: Range<Seq> = 0..0;

/// This child alone.
pub(super) fn only(seq: Seq) -> Range<Seq> {
    seq..seq + 1
}

/// What a job is for.
#[derive(Debug, Clone)]
pub(super) enum Why {
    /// The first start of all children.
    Boot,
    /// A restart of this child, and of its group; a failed start is tried again.
    Restart { of: ChildId },
    /// `start_child`; a failed start takes the spec away again.
    StartChild { tag: u64 },
    /// `restart_child`; a failed start leaves the child undefined.
    RestartChild { tag: u64 },
    /// `terminate_child`.
    Terminate { tag: u64 },
    /// The end.
    Shutdown { reason: Exit },
}

/// A job under way. The ranges shrink as it goes on.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) why: Why,
    pub(super) stop: Range<Seq>,
    pub(super) start: Range<Seq>,
    /// For the caller, if there is one.
    pub(super) answer: Answer,
}

impl Job {
    pub(super) fn new(why: Why, stop: Range<Seq>, start: Range<Seq>) -> Self {
        Self { why, stop, start, answer: Answer::Done }
    }

    pub(super) fn tag(&self) -> Option<u64> {
        match self.why {
            Why::StartChild { tag } | Why::RestartChild { tag } | Why::Terminate { tag } => {
                Some(tag)
            }
            Why::Boot | Why::Restart { .. } | Why::Shutdown { .. } => None,
        }
    }
}

impl Supervisor {
    /// Goes on with the job until it must wait for a child, or is done.
    pub(super) fn advance(&mut self) {
        while let Some(mut job) = self.job.take() {
            let parallel = self.stops_in_parallel();
            if self.stopping > 0 && !parallel {
                self.job = Some(job);
                return;
            }
            if let Some(seq) = self.children.last_of(&mut job.stop) {
                self.job = Some(job);
                self.begin_stop(seq);
                continue;
            }
            if self.stopping > 0 || self.starting {
                self.job = Some(job);
                return;
            }
            if let Some(seq) = self.children.first_of(&mut job.start) {
                self.job = Some(job);
                self.begin_start(seq);
                continue;
            }
            self.finish(job);
        }
    }

    fn stops_in_parallel(&self) -> bool {
        self.flags.stop == Stop::Parallel || self.flags.strategy == Strategy::SimpleOneForOne
    }

    fn finish(&mut self, job: Job) {
        if let Some(tag) = job.tag() {
            self.reply(tag, job.answer);
            return;
        }
        match job.why {
            Why::Boot => {
                self.phase = Phase::Up;
                self.out.push(Order::Up);
            }
            Why::Shutdown { reason } => self.end(reason),
            _ => {}
        }
    }

    /// All children are gone.
    fn end(&mut self, reason: Exit) {
        self.phase = Phase::Ended;
        for tag in std::mem::take(&mut self.stop_tags) {
            self.reply(tag, Answer::Done);
        }
        self.out.push(Order::Exit { reason });
    }

    /// Begins to end: whatever is under way or waiting is given up.
    pub(super) fn begin_shutdown(&mut self, reason: Exit) {
        if matches!(self.phase, Phase::Stopping | Phase::Ended) {
            return;
        }
        self.phase = Phase::Stopping;
        if let Some(tag) = self.job.as_ref().and_then(Job::tag) {
            self.reply(tag, Answer::Error(ApiError::Stopping));
        }
        self.job = Some(Job::new(Why::Shutdown { reason }, ALL, NONE));
        for deferred in std::mem::take(&mut self.deferred) {
            if let Deferred::Call { tag, .. } = deferred {
                self.reply(tag, Answer::Error(ApiError::Stopping));
            }
        }
        self.deferred_calls = 0;
    }

    /// A start has failed; what follows depends on why it was tried (sections 1.2, 1.6, 1.9).
    pub(super) fn start_failed(&mut self, seq: Seq, reason: Exit) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        self.starting = false;
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        child.last_exit = Some(Box::new(reason.clone()));
        child.life = Life::Undefined;
        match job.why {
            Why::Boot => {
                let child = child.id.clone();
                self.report(Context::StartError, Some(reason.clone()), seq);
                self.begin_shutdown(Exit::FailedToStart { child, reason: Box::new(reason) });
                return;
            }
            Why::Restart { .. } => {
                self.job = Some(job);
                self.report(Context::StartError, Some(reason.clone()), seq);
                // What was not started yet waits for the retry: this job is over.
                self.job = None;
                return self.restart_failed(seq, &reason);
            }
            Why::StartChild { .. } | Why::RestartChild { .. } => {
                let forget = matches!(job.why, Why::StartChild { .. });
                job.answer = Answer::Error(ApiError::StartFailed(reason.clone()));
                self.job = Some(job);
                self.report(Context::StartError, Some(reason), seq);
                if forget {
                    self.children.remove(seq);
                } else {
                    self.settle(seq);
                }
                return;
            }
            Why::Terminate { .. } | Why::Shutdown { .. } => {}
        }
        self.job = Some(job);
    }

    /// A start has succeeded (`Some`) or was declined (`None`).
    pub(super) fn start_done(&mut self, incarnation: Option<u64>) {
        self.starting = false;
        if let Some(job) = &mut self.job {
            job.answer = Answer::Started(incarnation);
        }
    }
}
