//! The API of a supervisor (section 1.9): queries at once, the rest in its turn.

use std::sync::Arc;

use super::check::{check, check_child};
use super::child::{Child, Children, Life, Seq};
use super::event::{Answer, ApiError, Call, Change, Order};
use super::exit::Exit;
use super::job::{Job, NONE, Why, only};
use super::spec::{ChildSpec, Restart, SpecError, Strategy};
use super::supervisor::{Deferred, MAX_DEFERRED_CALLS, Supervisor};
use super::view::Phase;

impl Supervisor {
    pub(super) fn reply(&mut self, tag: u64, answer: Answer) {
        self.out.push(Order::Reply { tag, answer });
    }

    /// A call has come: answers a query, lets the rest wait for its turn.
    pub(super) fn on_call(&mut self, tag: u64, call: Call) {
        if matches!(self.phase, Phase::New | Phase::Ended) {
            return self.reply(tag, Answer::Error(ApiError::NoProc));
        }
        if let Some(answer) = self.query(&call) {
            return self.reply(tag, answer);
        }
        if call == Call::Stop {
            if self.stop_tags.len() >= MAX_DEFERRED_CALLS {
                return self.reply(tag, Answer::Error(ApiError::Busy(MAX_DEFERRED_CALLS)));
            }
            self.stop_tags.push(tag);
            return self.begin_shutdown(Exit::Normal);
        }
        if self.phase == Phase::Stopping {
            return self.reply(tag, Answer::Error(ApiError::Stopping));
        }
        if self.deferred_calls >= MAX_DEFERRED_CALLS {
            return self.reply(tag, Answer::Error(ApiError::Busy(MAX_DEFERRED_CALLS)));
        }
        self.deferred_calls += 1;
        self.deferred.push_back(Deferred::Call { tag, call });
    }

    fn query(&self, call: &Call) -> Option<Answer> {
        let one = |id: &str| {
            let seq = self.children.find(id)?;
            self.children.get(seq)
        };
        let not_found = Answer::Error(ApiError::NotFound);
        Some(match call {
            Call::WhichChildren => {
                Answer::Children(self.children.iter().rev().map(Child::view).collect())
            }
            Call::CountChildren => Answer::Counts(self.counts()),
            Call::GetChildSpec(id) => {
                one(id).map_or(not_found, |child| Answer::Spec(child.own_spec()))
            }
            Call::WhichChild(id) => one(id).map_or(not_found, |child| Answer::Child(child.view())),
            _ => return None,
        })
    }

    /// Serves a call whose turn has come: no job is under way.
    pub(super) fn serve_call(&mut self, tag: u64, call: Call) {
        let served = match call {
            Call::StartChild(spec) => self.start_child(tag, spec),
            Call::TerminateChild(id) => self.terminate_child(tag, &id),
            Call::TerminateLife { id, incarnation } => self.terminate_life(tag, &id, incarnation),
            Call::RestartChild(id) => self.restart_child(tag, &id),
            Call::DeleteChild(id) => self.delete_child(tag, &id),
            Call::Change(change) => self.change(change).map(|()| self.reply(tag, Answer::Done)),
            // Answered when they came.
            Call::WhichChildren
            | Call::CountChildren
            | Call::GetChildSpec(_)
            | Call::WhichChild(_)
            | Call::Stop => Ok(()),
        };
        if let Err(error) = served {
            self.reply(tag, Answer::Error(error));
        }
    }

    fn is_simple(&self) -> bool {
        self.flags.strategy == Strategy::SimpleOneForOne
    }

    fn start_child(&mut self, tag: u64, spec: ChildSpec) -> Result<(), ApiError> {
        let id = spec.id.clone();
        let spec = match (&self.template, id.is_empty()) {
            (Some(_), true) => return Err(SpecError::EmptyId.into()),
            (Some(template), false) => template.clone(),
            (None, _) => {
                check_child(&self.flags, &spec)?;
                Arc::new(spec)
            }
        };
        if let Some(child) = self.children.find(&id).and_then(|seq| self.children.get(seq)) {
            return Err(if child.has_pid() {
                ApiError::AlreadyStarted(child.incarnation)
            } else {
                ApiError::AlreadyPresent
            });
        }
        let full = |max: u32| self.children.len() >= usize::try_from(max).unwrap_or(usize::MAX);
        if let Some(max) = self.flags.max_children.filter(|&max| full(max)) {
            return Err(ApiError::MaxChildren(max));
        }
        let seq = self.children.push(id, spec);
        self.job = Some(Job::new(Why::StartChild { tag }, NONE, only(seq)));
        Ok(())
    }

    fn terminate_child(&mut self, tag: u64, id: &str) -> Result<(), ApiError> {
        let seq = self.children.find(id).ok_or(ApiError::NotFound)?;
        self.job = Some(Job::new(Why::Terminate { tag }, only(seq), NONE));
        Ok(())
    }

    fn terminate_life(&mut self, tag: u64, id: &str, incarnation: u64) -> Result<(), ApiError> {
        let child = self.children.find(id).and_then(|seq| self.children.get(seq));
        // A child that restarts goes by its last life that came up, as OTP's `{restarting, Pid}`, and by any tried since.
        let meant = child.is_some_and(|child| match child.life {
            Life::Restarting { .. } => (child.ran..=child.incarnation).contains(&incarnation),
            _ => child.incarnation == incarnation,
        });
        if meant {
            return self.terminate_child(tag, id);
        }
        if !self.children.has_been(id, incarnation) {
            return Err(ApiError::NotFound);
        }
        self.reply(tag, Answer::Done);
        Ok(())
    }

    fn restart_child(&mut self, tag: u64, id: &str) -> Result<(), ApiError> {
        let seq = self.undefined_child(id)?;
        self.job = Some(Job::new(Why::RestartChild { tag }, NONE, only(seq)));
        Ok(())
    }

    fn delete_child(&mut self, tag: u64, id: &str) -> Result<(), ApiError> {
        let seq = self.undefined_child(id)?;
        self.children.remove(seq);
        self.reply(tag, Answer::Done);
        Ok(())
    }

    /// The child that a call needs to be neither running nor restarting.
    fn undefined_child(&self, id: &str) -> Result<Seq, ApiError> {
        if self.is_simple() {
            return Err(ApiError::SimpleOneForOne);
        }
        let seq = self.children.find(id).ok_or(ApiError::NotFound)?;
        match self.children.get(seq).map(|child| &child.life) {
            Some(Life::Undefined) => Ok(seq),
            Some(Life::Restarting { .. }) => Err(ApiError::Restarting),
            Some(_) => Err(ApiError::Running),
            None => Err(ApiError::NotFound),
        }
    }

    /// OTP's code change: all or nothing.
    fn change(&mut self, change: Change) -> Result<(), ApiError> {
        let Change { flags, children: specs } = change;
        check(&flags, &specs)?;
        let simple = flags.strategy == Strategy::SimpleOneForOne;
        if simple != self.is_simple() {
            return Err(SpecError::SimpleChange.into());
        }
        self.flags = flags;
        if simple {
            self.template = specs.into_iter().next().map(Arc::new);
            self.follow_template();
            return Ok(());
        }
        reorder(&mut self.children, specs);
        Ok(())
    }
}

impl Supervisor {
    /// Instances follow a template that has changed. Only what was started as Temporary stays it: its
    /// settings were not kept, so nobody could restart it.
    fn follow_template(&mut self) {
        let Some(template) = self.template.clone() else {
            return;
        };
        let temporary = Arc::new(ChildSpec { restart: Restart::Temporary, ..(*template).clone() });
        for child in self.children.iter_mut() {
            child.spec = match child.spec.restart {
                Restart::Temporary => Arc::clone(&temporary),
                _ => Arc::clone(&template),
            };
        }
    }
}

/// The named specs in their new order, then the children that are named no more, in their old
/// order.
fn reorder(children: &mut Children, specs: Vec<ChildSpec>) {
    let mut old: Vec<Option<Child>> = children.take_all().into_iter().map(Some).collect();
    let places: std::collections::HashMap<_, _> = old
        .iter()
        .enumerate()
        .filter_map(|(place, child)| Some((child.as_ref()?.id.clone(), place)))
        .collect();
    for spec in specs {
        let known = places.get(&spec.id).and_then(|&place| old.get_mut(place)?.take());
        match known {
            Some(child) => children.adopt(Child { spec: Arc::new(spec), ..child }),
            None => children.push(spec.id.clone(), Arc::new(spec)),
        };
    }
    for child in old.into_iter().flatten() {
        children.adopt(child);
    }
}
