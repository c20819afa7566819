//! The tree in the hands of those who may change it: the operator's socket, the `agent` and `chaos` providers. Nobody else
//! gets one.
//!
//! Every method only puts a request into a control lane; none waits for a child. Start reading at [`TreeControl`]; the API of
//! one supervisor is [`SupervisorHandle`].

use crate::registry::SUPERVISOR;
use crate::signals::Signal;
use crate::{ChildKind, Place, PlaceState, Registry, SupervisorHandle, TreeError, TreeView};
use loket_supervision::machine::{ApiError, Exit};
use std::pin::Pin;
use std::sync::Arc;

/// The supervisor of what every node has.
const SYSTEM: &str = "system";

/// An answer of the tree on its way. The request is under way already: dropping the future does not take it back.
pub type TreeFuture<T> = Pin<Box<dyn Future<Output = Result<T, ControlError>> + Send>>;

/// Why the tree did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody of that name.
    #[error("{}", no_child(.0))]
    NoChild(String),
    /// The top of the tree: nobody is above it to restart it.
    #[error(
        "{0} is the fleet itself and no child: `loket stop` ends it in order, `loket stop --now` at once"
    )]
    Top(String),
    /// It does not run at this moment.
    #[error("{0} does not run")]
    NotRunning(String),
    /// It waits for its next restart.
    #[error("{0} does not run: it waits for its restart; `loket terminate {0}` cancels that")]
    Waits(String),
    /// The root of the fleet file: its end is the fleet's.
    #[error(
        "{0} is the root of the fleet, and its end would be the fleet's: `loket stop` ends the fleet"
    )]
    Root(String),
    /// Its place is there to be seen, its spec is not.
    #[error(
        "{0} has ended for good, for a Temporary child's spec goes with its end: a restart of its \
         supervisor starts it again, and so does a reload that changes it; one that was terminated by hand \
         then waits for `loket restart`"
    )]
    Gone(String),
    /// An instance of a SimpleOneForOne supervisor.
    #[error(
        "{0} is a dynamic child: its supervisor alone restarts it, and one that was terminated is gone until it is spawned again"
    )]
    Dynamic(String),
    /// A part of the node itself, without which nothing works.
    #[error("{0} belongs to the node itself: without it no agent works")]
    System(String),
    /// Only a SimpleOneForOne supervisor has dynamic children.
    #[error("{0} is no SimpleOneForOne supervisor")]
    NotDynamic(String),
    /// The name is taken.
    #[error("there is a child {0} already")]
    Taken(String),
    /// Too many requests wait at that supervisor.
    #[error("{0} has too many requests waiting")]
    Busy(String),
    /// Of a worker, or of nobody.
    #[error("{0} is no supervisor")]
    NotSupervisor(String),
    /// A part of a child that stays what it is as long as the child is there.
    #[error("{child}: its {part} cannot change while it is there; delete it and start it again")]
    Fixed {
        /// Which child.
        child: String,
        /// What.
        part: &'static str,
    },
    /// What is to be started makes no sense.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The supervisor said no.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

/// What is wrong and what helps, for who has named a child that is not there.
fn no_child(name: &str) -> String {
    let helps = match name.contains('/') {
        true => ": a dynamic child that has ended for good is there again once it is spawned again",
        false => "; `loket tree` names them",
    };
    format!("there is no child {name}{helps}")
}

impl ControlError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoChild(_) | Self::Gone(_) => "not_found",
            Self::Top(_) => "not_a_child",
            Self::NotRunning(_) | Self::Waits(_) => "noproc",
            Self::System(_) | Self::Root(_) => "system_child",
            Self::Dynamic(_) => "simple_one_for_one",
            Self::NotDynamic(_) => "not_dynamic",
            Self::Taken(_) => "already_started",
            Self::Busy(_) => "busy",
            Self::NotSupervisor(_) => "not_supervisor",
            Self::Fixed { .. } => "fixed",
            Self::Tree(error) => error.code(),
            Self::Refused(error) => error.code(),
        }
    }
}

/// A dynamic child to start: all else is its supervisor's template's.
#[derive(Debug, Clone)]
pub struct DynamicSpec {
    /// Its registered name, `UNDER/NAME`.
    pub name: Arc<str>,
    /// What the factory makes of it.
    pub kind: Arc<ChildKind>,
    /// The number of its last life, from the ledger; 0 for none.
    pub last_incarnation: u64,
}

/// Changes the running tree.
pub trait TreeControl: Send + Sync + 'static {
    /// Kills a child (a supervisor with all below it); its supervisor does what its specs say.
    ///
    /// # Errors
    /// [`ControlError::NoChild`], [`ControlError::NotRunning`], and [`ControlError::Top`]: that is [`TreeControl::stop`]'s.
    fn kill(&self, name: &str) -> Result<(), ControlError>;
    /// The tree as it is now.
    fn snapshot(&self) -> Option<TreeView>;
    /// Restarts since this process began, of children that are gone by now, too.
    fn restarts(&self) -> u64;
    /// One child and all below it as it is now.
    fn view(&self, name: &str) -> Option<TreeView>;
    /// The names of the workers that run and that `wanted` takes.
    fn living(&self, wanted: &dyn Fn(&Place) -> bool) -> Vec<Arc<str>>;
    /// Starts a child under a SimpleOneForOne supervisor; ready with its incarnation once it is up.
    fn start_dynamic(&self, under: &str, child: DynamicSpec) -> TreeFuture<u64>;
    /// Ends a dynamic child; ready once it is gone.
    fn stop_dynamic(&self, name: &str) -> TreeFuture<()>;
    /// The API of one supervisor: OTP's `supervisor` module.
    ///
    /// # Errors
    /// [`ControlError::NoChild`], [`ControlError::NotSupervisor`].
    fn supervisor(&self, name: &str) -> Result<SupervisorHandle, ControlError>;
    /// The API of the supervisor above a child of the fleet file.
    ///
    /// # Errors
    /// [`ControlError::NoChild`], [`ControlError::Top`], [`ControlError::Root`], [`ControlError::System`].
    fn above(&self, child: &str) -> Result<SupervisorHandle, ControlError>;
    /// Ends the node: in order, or at once.
    fn stop(&self, now: bool);
}

/// The tree of a node; made before it runs, so that factories can hold it.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) registry: Arc<Registry>,
    /// The name of the top supervisor, once there is one.
    pub(crate) top: Arc<std::sync::OnceLock<Arc<str>>>,
}

impl Control {
    fn place(&self, name: &str) -> Result<Arc<Place>, ControlError> {
        self.registry.find(name).ok_or_else(|| ControlError::NoChild(name.to_owned()))
    }

    /// A handle that has not looked yet whether there is such a supervisor.
    fn handle(&self, supervisor: &str) -> SupervisorHandle {
        SupervisorHandle::new(Arc::clone(&self.registry), supervisor)
    }
}

impl TreeControl for Control {
    fn kill(&self, name: &str) -> Result<(), ControlError> {
        if self.top.get().is_some_and(|top| **top == *name) {
            return Err(ControlError::Top(name.to_owned()));
        }
        let place = self.place(name)?;
        let Some(life) = place.life() else {
            return Err(match place.state() {
                PlaceState::Restarting => ControlError::Waits(name.to_owned()),
                _ => ControlError::NotRunning(name.to_owned()),
            });
        };
        life.kill();
        Ok(())
    }

    fn snapshot(&self) -> Option<TreeView> {
        self.registry.view(self.top.get()?)
    }

    fn restarts(&self) -> u64 {
        self.registry.restarts()
    }

    fn view(&self, name: &str) -> Option<TreeView> {
        self.registry.view(name)
    }

    fn living(&self, wanted: &dyn Fn(&Place) -> bool) -> Vec<Arc<str>> {
        self.registry.living(wanted)
    }

    fn start_dynamic(&self, under: &str, child: DynamicSpec) -> TreeFuture<u64> {
        if self.registry.find(&child.name).is_some() {
            let taken = ControlError::Taken(child.name.to_string());
            return Box::pin(std::future::ready(Err(taken)));
        }
        let started = self.handle(under).start_instance(child);
        Box::pin(async move { Ok(started.await?.unwrap_or(0)) })
    }

    fn stop_dynamic(&self, name: &str) -> TreeFuture<()> {
        let under = self.place(name).and_then(|place| {
            place.supervisor().cloned().ok_or_else(|| ControlError::NotDynamic(name.to_owned()))
        });
        match under {
            Ok(under) => self.handle(&under).terminate_child(name),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn supervisor(&self, name: &str) -> Result<SupervisorHandle, ControlError> {
        match self.place(name)?.kind() {
            SUPERVISOR => Ok(self.handle(name)),
            _ => Err(ControlError::NotSupervisor(name.to_owned())),
        }
    }

    fn above(&self, child: &str) -> Result<SupervisorHandle, ControlError> {
        let mut place = self.place(child)?;
        let own = place.supervisor.clone().ok_or_else(|| ControlError::Top(child.to_owned()))?;
        // The two below the top are the node's: what it works with, and the root, whose end is the fleet's.
        while let Some(above) = place.supervisor.clone().filter(|above| above.supervisor.is_some())
        {
            place = above;
        }
        if &*place.name == SYSTEM {
            return Err(ControlError::System(child.to_owned()));
        }
        if &*place.name == child {
            return Err(ControlError::Root(child.to_owned()));
        }
        Ok(self.handle(&own.name))
    }

    fn stop(&self, now: bool) {
        let top = self.top.get().and_then(|top| self.registry.find(top));
        let Some(signals) = top.and_then(|top| top.signals()) else {
            return;
        };
        signals.push(match now {
            true => Signal::Kill,
            false => Signal::Stop(Exit::Shutdown),
        });
    }
}
