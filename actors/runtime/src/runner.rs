//! What runs a lane's futures: a thread, or a simulation's stage.

use actix_rt::ArbiterHandle;
use std::fmt;

/// See the module head.
pub(crate) enum Runner {
    /// A thread.
    Arbiter(ArbiterHandle),
    /// A simulation, step by step.
    #[cfg(feature = "simulation")]
    Stage(Option<usize>, std::sync::Arc<dyn crate::stage::Stage>),
}

impl Runner {
    /// Runs a future that is made there; `false` when nothing is run any more.
    pub(crate) fn spawn<F, Fut>(&self, make: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        match self {
            Self::Arbiter(arbiter) => arbiter.spawn_fn(move || {
                drop(actix_rt::spawn(make()));
            }),
            #[cfg(feature = "simulation")]
            Self::Stage(lane, stage) => stage.spawn(*lane, Box::new(move || Box::pin(make()))),
        }
    }

    /// Ends it, as soon as it is not stuck.
    pub(crate) fn stop(&self) {
        match self {
            Self::Arbiter(arbiter) => {
                arbiter.stop();
            }
            // Its futures are the simulation's, which never takes a lane out of service.
            #[cfg(feature = "simulation")]
            Self::Stage(..) => {}
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runner")
    }
}
