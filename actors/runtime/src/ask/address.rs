//! Where a native child is asked.

use super::requests::Request;
use super::{Asked, CALL_TIMEOUT_MS, CallError, Parcel, Slot, Way};
use crate::cell::CellControl;
use crate::relations::Name;
use crate::{Clock, Door, Mailbox, Place, PlaceState, Registry, SendError};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// A native child by its name: requests of type `Q`, answers of type `R`. It holds no incarnation: who is there is asked.
pub struct Address<Q, R> {
    registry: Arc<Registry>,
    clock: Clock,
    name: Name,
    types: PhantomData<fn(Q) -> R>,
}

impl<Q, R> Clone for Address<Q, R> {
    fn clone(&self) -> Self {
        let (registry, clock) = (Arc::clone(&self.registry), self.clock.clone());
        Self { registry, clock, name: Arc::clone(&self.name), types: PhantomData }
    }
}

impl<Q, R> std::fmt::Debug for Address<Q, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.name)
    }
}

impl<Q: Send + 'static, R: Send + 'static> Address<Q, R> {
    /// The child of this name, whether it is there or not.
    pub fn new(registry: Arc<Registry>, clock: Clock, name: impl Into<Arc<str>>) -> Self {
        Self { registry, clock, name: name.into(), types: PhantomData }
    }

    /// The child's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Asks and waits for the answer, at most `timeout_ms`; [`CALL_TIMEOUT_MS`] is OTP's default.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, way: &Way, request: Q, timeout_ms: u64) -> Result<R, CallError> {
        self.send_request(way, request, timeout_ms)?.await
    }

    /// [`call`](Self::call) with [`CALL_TIMEOUT_MS`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_default(&self, way: &Way, request: Q) -> Result<R, CallError> {
        self.call(way, request, CALL_TIMEOUT_MS).await
    }

    /// Asks, and gives the answer on its way. The time begins here.
    ///
    /// # Errors
    /// What is known at once: all but `Timeout` and `Down`.
    pub fn send_request(
        &self,
        way: &Way,
        request: Q,
        timeout_ms: u64,
    ) -> Result<Request<R>, CallError> {
        way.to(&self.name)?;
        let (sender, answer) = oneshot::channel();
        let holder = Arc::new(OnceLock::new());
        let slot = Slot { sender, holder: Arc::clone(&holder) };
        self.put(Box::new(request), Some(slot), way.clone())?;
        let asked = Waited { name: Arc::clone(&self.name), holder, answer };
        let clock = self.clock.clone();
        let at_ms = clock.monotonic_ms().saturating_add(timeout_ms);
        let name = Arc::clone(&self.name);
        Ok(Request::new(async move {
            tokio::select! {
                biased;
                answer = asked.answer() => answer,
                () = clock.sleep_until(at_ms) => Err(CallError::Timeout { name, timeout_ms }),
            }
        }))
    }

    /// Tells, without an answer. Unlike OTP's it says when the message was not taken; the sender may ignore it.
    ///
    /// # Errors
    /// `NoProc`, `Overloaded`, `Restarting`.
    pub fn cast(&self, request: Q) -> Result<(), CallError> {
        self.put(Box::new(request), None, Way::default())
    }

    fn put(&self, parcel: Parcel, slot: Option<Slot>, way: Way) -> Result<(), CallError> {
        let place = self.registry.find(&self.name);
        let mailbox = place.as_deref().and_then(|place| Some((place, mailbox_of(place)?)));
        let Some((place, mailbox)) = mailbox else {
            return Err(CallError::NoProc(Arc::clone(&self.name)));
        };
        match place.state() {
            // Nobody reads the mailbox until then, and the caller may have something better to do.
            PlaceState::Restarting => {
                let at_ms = place.restart_at_ms().unwrap_or(0);
                let retry_after_ms = at_ms.saturating_sub(self.clock.monotonic_ms());
                let name = Arc::clone(&self.name);
                return Err(CallError::Restarting { name, retry_after_ms });
            }
            PlaceState::Stopped if self.registry.relations().living(&self.name).is_none() => {
                return Err(CallError::NoProc(Arc::clone(&self.name)));
            }
            _ => {}
        }
        mailbox.send(Asked { parcel, slot, way }).map_err(|rejected| match rejected.error {
            SendError::Overloaded(full) => CallError::Overloaded {
                name: Arc::clone(&self.name),
                depth: full.depth,
                capacity: full.capacity,
            },
            SendError::Closed => CallError::NoProc(Arc::clone(&self.name)),
        })
    }
}

fn mailbox_of(place: &Place) -> Option<&Mailbox<Asked>> {
    match place.door() {
        Door::Native(mailbox) => Some(mailbox),
        _ => None,
    }
}

/// A request that is out.
struct Waited {
    name: Name,
    /// The life that has taken it; none while it waits in the mailbox.
    holder: Arc<OnceLock<Arc<CellControl>>>,
    answer: oneshot::Receiver<Parcel>,
}

impl Waited {
    async fn answer<R: 'static>(self) -> Result<R, CallError> {
        let Self { name, holder, answer } = self;
        if let Ok(parcel) = answer.await {
            let answer = parcel.downcast().map(|answer| *answer);
            return answer.map_err(|_| CallError::Misunderstood(name));
        }
        match holder.get() {
            Some(life) => Err(CallError::Down { reason: life.end().await, name }),
            // It waited, and the mailbox was closed: the callee has ended for good.
            None => Err(CallError::NoProc(name)),
        }
    }
}
