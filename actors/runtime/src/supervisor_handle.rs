//! The API of one running supervisor, as OTP's `supervisor` module has it.
//!
//! Queries are answered in any state, also while a child starts or stops; the rest waits for its turn, as in OTP. Start reading
//! at [`SupervisorHandle`].

use crate::signals::{Ask, Brought, NewPlan};
use crate::{ControlError, DynamicSpec, NodeSpec, Registry, SupervisorNode, TreeFuture};
use loket_supervision::machine::{
    Answer, ApiError, Call, Change, ChildSpec, ChildView, Counts, Flags, Supervisor,
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A supervisor by its name: it reaches whichever life the supervisor has when it is asked.
///
/// Every request is under way when the method returns; dropping the future does not take it back. Errors of all of them:
/// [`ControlError::NoChild`] and [`ControlError::NotRunning`] when there is no such supervisor (any more),
/// [`ControlError::Busy`] when too much waits there, [`ControlError::Refused`] with what OTP would answer.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {
    registry: Arc<Registry>,
    name: Arc<str>,
}

impl SupervisorHandle {
    pub(crate) fn new(registry: Arc<Registry>, name: &str) -> Self {
        Self { registry, name: name.into() }
    }

    /// Its registered name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Starts a new child, a worker or a whole supervisor, last in start order. Ready with its incarnation once it is up, or
    /// `None` when it chose not to run; OTP `start_child/2`. It is not started again when its supervisor is.
    ///
    /// A refused start leaves nothing behind. [`ApiError::AlreadyStarted`] also when the name is taken elsewhere in the tree.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`]; [`ControlError::Tree`] for a spec that makes no sense.
    pub fn start_child(&self, child: NodeSpec) -> TreeFuture<Option<u64>> {
        let call = Call::StartChild(child.spec());
        self.started(call, Some(Brought::Child(Box::new(child))))
    }

    /// Starts an instance under a SimpleOneForOne supervisor; as [`start_child`](Self::start_child).
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`]; [`ControlError::NotDynamic`].
    pub fn start_instance(&self, child: DynamicSpec) -> TreeFuture<Option<u64>> {
        // Under SimpleOneForOne only the id of the spec is used.
        let call = Call::StartChild(ChildSpec::worker(Arc::clone(&child.name)));
        self.started(call, Some(Brought::Instance(Box::new(child))))
    }

    /// Stops a child; ready once it is gone. Its spec stays, unless it is Temporary or an instance; OTP `terminate_child/2`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn terminate_child(&self, id: &str) -> TreeFuture<()> {
        self.done(Call::TerminateChild(id.into()), None)
    }

    /// Stops this life of a child, OTP's `terminate_child/2` by pid: a life that is over already is no error, and its successor
    /// is left alone.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`]; [`ApiError::NotFound`] for a life that there never was.
    pub fn terminate_life(&self, id: &str, incarnation: u64) -> TreeFuture<()> {
        self.done(Call::TerminateLife { id: id.into(), incarnation }, None)
    }

    /// Starts a child whose spec is there and which does not run; OTP `restart_child/2`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn restart_child(&self, id: &str) -> TreeFuture<Option<u64>> {
        self.started(Call::RestartChild(id.into()), None)
    }

    /// Forgets the spec of a child that does not run; OTP `delete_child/2`. A child that its supervisor starts with comes back
    /// when the supervisor is restarted: see [`change`](Self::change).
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn delete_child(&self, id: &str) -> TreeFuture<()> {
        self.done(Call::DeleteChild(id.into()), None)
    }

    /// All children, newest first; OTP `which_children/1`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn which_children(&self) -> TreeFuture<Vec<ChildView>> {
        self.told(Call::WhichChildren, None, |answer| match answer {
            Answer::Children(children) => Some(children),
            _ => None,
        })
    }

    /// One child; OTP `which_child/2`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn which_child(&self, id: &str) -> TreeFuture<ChildView> {
        self.told(Call::WhichChild(id.into()), None, |answer| match answer {
            Answer::Child(child) => Some(child),
            _ => None,
        })
    }

    /// OTP's four numbers; OTP `count_children/1`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn count_children(&self) -> TreeFuture<Counts> {
        self.told(Call::CountChildren, None, |answer| match answer {
            Answer::Counts(counts) => Some(counts),
            _ => None,
        })
    }

    /// The spec of a child; OTP `get_childspec/2`.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn childspec(&self, id: &str) -> TreeFuture<ChildSpec> {
        self.told(Call::GetChildSpec(id.into()), None, |answer| match answer {
            Answer::Spec(spec) => Some(spec),
            _ => None,
        })
    }

    /// OTP's code change, and all or nothing: flags and specs are replaced by id, now and for the supervisor's later starts.
    /// What runs goes on running, with its new spec; new children are there but not started
    /// ([`restart_child`](Self::restart_child) does), and children that are not named any more stay until they are stopped and
    /// deleted. A worker's new kind counts from its next life on, its new grants at once; its door, its lane and what it serves
    /// stay. Of a supervisor among the children the new flags and children count from its next life on: give them to itself too.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`]; [`ControlError::Tree`], [`ControlError::Taken`] when a new child's name is somebody
    /// else's, [`ControlError::Fixed`].
    pub fn change(&self, flags: Flags, children: Vec<NodeSpec>) -> TreeFuture<()> {
        self.change_plan(flags, NewPlan { children, forgets: None })
    }

    /// [`change`](Self::change) to all that is in this plan, also to whether instances are forgotten with their supervisor.
    ///
    /// # Errors
    /// Those of [`change`](Self::change).
    pub fn change_to(&self, node: SupervisorNode) -> TreeFuture<()> {
        let SupervisorNode { flags, children, forgets, .. } = node;
        self.change_plan(flags, NewPlan { children, forgets: Some(forgets) })
    }

    fn change_plan(&self, flags: Flags, plan: NewPlan) -> TreeFuture<()> {
        let children = &plan.children;
        let specs: Vec<_> = children.iter().map(NodeSpec::spec).collect();
        // The machine looks again when the call's turn has come; here it speaks before anything else does.
        if let Err(error) = Supervisor::new(flags.clone(), specs.clone(), 0) {
            return Box::pin(std::future::ready(Err(ApiError::from(error).into())));
        }
        let call = Call::Change(Change { flags, children: specs });
        self.done(call, Some(Brought::Plan(plan)))
    }

    /// Ends the supervisor and all below it with reason `normal`; ready once it has ended. OTP 29 `stop/1`. Its own supervisor
    /// does what its specs say.
    ///
    /// # Errors
    /// Those of [`SupervisorHandle`].
    pub fn stop(&self) -> TreeFuture<()> {
        self.done(Call::Stop, None)
    }

    fn started(&self, call: Call, brought: Option<Brought>) -> TreeFuture<Option<u64>> {
        self.told(call, brought, |answer| match answer {
            Answer::Started(incarnation) => Some(incarnation),
            _ => None,
        })
    }

    fn done(&self, call: Call, brought: Option<Brought>) -> TreeFuture<()> {
        self.told(call, brought, |answer| matches!(answer, Answer::Done).then_some(()))
    }

    /// Asks; `take` takes the one kind of answer that fits the call.
    fn told<T: Send + 'static>(
        &self,
        call: Call,
        brought: Option<Brought>,
        take: fn(Answer) -> Option<T>,
    ) -> TreeFuture<T> {
        let asked = self.ask(call, brought);
        Box::pin(async move {
            match asked?.await {
                Ok(Ok(Answer::Error(error))) => Err(error.into()),
                Ok(Ok(answer)) => take(answer).ok_or(ControlError::Refused(ApiError::NotFound)),
                Ok(Err(error)) => Err(error),
                // The supervisor ended with the question unanswered.
                Err(_) => Err(ApiError::NoProc.into()),
            }
        })
    }

    fn ask(
        &self,
        call: Call,
        brought: Option<Brought>,
    ) -> Result<oneshot::Receiver<Result<Answer, ControlError>>, ControlError> {
        let name = || self.name.to_string();
        let place = self.registry.find(&self.name).ok_or_else(|| ControlError::NoChild(name()))?;
        let signals = place.signals().ok_or_else(|| ControlError::NotRunning(name()))?;
        let (reply, answer) = oneshot::channel();
        match signals.call(Ask { call, brought, reply }) {
            true => Ok(answer),
            false => Err(ControlError::Busy(name())),
        }
    }
}
