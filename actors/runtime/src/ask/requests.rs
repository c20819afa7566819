//! Several requests under way at once, each under a label of the caller's.

use super::CallError;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Requests in one collection.
pub const REQUESTS_MAX: usize = 10_000;

/// An answer on its way. Dropping it gives it up; the request is handled all the same.
pub struct Request<R>(Pin<Box<dyn Future<Output = Result<R, CallError>>>>);

impl<R> Request<R> {
    pub(super) fn new(answer: impl Future<Output = Result<R, CallError>> + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl<R> fmt::Debug for Request<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request")
    }
}

impl<R> Future for Request<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// An answer with the label of its request.
pub type Labelled<L, R> = (L, Result<R, CallError>);

type Waiting<L, R> = future::Map<Request<R>, Label<L, R>>;
type Label<L, R> = Box<dyn FnOnce(Result<R, CallError>) -> Labelled<L, R>>;

/// See [`REQUESTS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{REQUESTS_MAX} requests are in the collection already")]
pub struct TooManyRequests;

impl TooManyRequests {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "too_many_requests"
    }
}

/// OTP's collection of request ids: answers are taken as they come, each leaves the collection with its answer.
pub struct Requests<L, R>(FuturesUnordered<Waiting<L, R>>);

impl<L, R> Default for Requests<L, R> {
    fn default() -> Self {
        Self(FuturesUnordered::new())
    }
}

impl<L, R> fmt::Debug for Requests<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requests({})", self.0.len())
    }
}

impl<L: 'static, R: 'static> Requests<L, R> {
    /// Puts a request in.
    ///
    /// # Errors
    /// [`TooManyRequests`]; the request is given up.
    pub fn add(&mut self, label: L, request: Request<R>) -> Result<(), TooManyRequests> {
        if self.0.len() >= REQUESTS_MAX {
            return Err(TooManyRequests);
        }
        let label: Label<L, R> = Box::new(move |answer| (label, answer));
        self.0.push(request.map(label));
        Ok(())
    }

    /// Ready with the next answer; `None` when the collection is empty. Dropping the future loses none.
    pub async fn next(&mut self) -> Option<Labelled<L, R>> {
        self.0.next().await
    }

    /// The next answer, if one is there.
    pub fn check(&mut self) -> Option<Labelled<L, R>> {
        self.0.next().now_or_never().flatten()
    }

    /// How many answers are to come.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
