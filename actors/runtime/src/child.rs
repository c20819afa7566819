//! What a child of the tree is to the runtime: a body that runs as one incarnation, and the factory that makes it.
//!
//! The runtime knows neither providers nor wasmtime: whoever assembles a node plugs a [`ChildFactory`] in.

use crate::cell::CellControl;
use crate::lane_thread::LaneThread;
use crate::{Asked, Clock, ExitSignals, Lane, Mailbox, Presence, ProviderWork, Relations, forward};
use loket_supervision::machine::{Blame, Exit};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// One life of a child on its lane. Gives the reason of its end. A panic in it is caught by the cell.
///
/// What it runs beside itself belongs into [`Links::link`]: a task spawned on the arbiter would outlive a kill, and a panic in it
/// would end nothing.
pub type Running = Pin<Box<dyn Future<Output = Exit>>>;

/// Made where its supervisor reads its signals, run on the child's lane: the state of the child is made there and never leaves it.
pub type Body = Box<dyn FnOnce(ChildContext) -> Running + Send>;

/// How a spec becomes an actor. Called for each incarnation.
pub trait ChildFactory: Send + Sync + 'static {
    /// The body of a new incarnation.
    ///
    /// # Errors
    /// The reason why it cannot be made: taken for a failed start.
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit>;
}

/// Which child, which incarnation.
#[derive(Debug, Clone)]
pub struct ChildPlan {
    /// Its registered name.
    pub name: Arc<str>,
    /// The number of this life.
    pub incarnation: u64,
    /// What it is: the index of its spec in the fleet, opaque to the runtime.
    pub spec: Arc<ChildKind>,
}

/// What a worker child is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChildKind {
    /// An agent of the fleet file; for a dynamic child, its template with its own settings.
    Agent(Arc<loket_supervision::fleet::AgentSpec>),
    /// A provider of the fleet file.
    Provider(Box<loket_supervision::fleet::ProviderSpec>),
    /// A child that every fleet has: a kernel shard, a store shard, the ledger, `time`, `log`, `agent`. The word is the
    /// factory's.
    System(&'static str, usize),
}

impl ChildKind {
    /// The word in `tree`, logs and metric labels.
    pub fn as_str(&self) -> &'static str {
        self.word()
    }

    pub(crate) fn word(&self) -> &'static &'static str {
        match self {
            Self::Agent(_) => &"agent",
            Self::Provider(_) => &"provider",
            Self::System(..) => &"system",
        }
    }
}

/// What a body gets of the runtime.
#[derive(Debug)]
pub struct ChildContext {
    /// Its registered name.
    pub name: Arc<str>,
    /// The number of this life.
    pub incarnation: u64,
    /// Where it runs.
    pub lane: Lane,
    /// Its door: outlives incarnations.
    pub door: Door,
    /// Control messages; `Stop` is answered by ending soon with [`Exit::Shutdown`]. A kill does not ask: the body is dropped.
    pub control: Control,
    /// What lives and dies with this incarnation beside the body.
    pub links: Links,
    /// Monitors, links and groups of the node's children.
    pub relations: Relations,
    /// The number of its place, for the watchdog.
    pub(crate) place: u64,
    /// Who is to blame for a panic.
    pub(crate) blame: Blame,
}

/// How others reach a child. It belongs to the child's place in the tree, not to an incarnation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Door {
    /// A provider's mailbox.
    Provider(Mailbox<ProviderWork>),
    /// A kernel shard's mailbox.
    Kernel(Mailbox<crate::CallEnvelope>),
    /// The mailbox of a native child: requests of the node's own children.
    Native(Mailbox<Asked>),
    /// An agent is only woken: its messages stand in the ledger.
    Agent(Bell),
    /// Nobody reaches it.
    Closed,
}

/// How an agent is woken. A clone is the same bell.
#[derive(Debug, Clone)]
pub struct Bell {
    /// What is rung; another one once its hearer's thread was lost.
    rung: Arc<Mutex<Arc<Notify>>>,
    /// What this handle hears.
    heard: Arc<Notify>,
}

impl Default for Bell {
    fn default() -> Self {
        let heard = Arc::<Notify>::default();
        Self { rung: Arc::new(Mutex::new(Arc::clone(&heard))), heard }
    }
}

impl Bell {
    /// Wakes the agent, now or when it next listens.
    pub(crate) fn ring(&self) {
        crate::lock(&self.rung).notify_one();
    }

    /// Ready when it was rung since the last time.
    pub fn notified(&self) -> impl Future<Output = ()> {
        self.heard.notified()
    }
}

impl Door {
    /// A handle for the next incarnation.
    pub(crate) fn attach(&self) -> Self {
        match self {
            Self::Provider(mailbox) => Self::Provider(mailbox.attach()),
            Self::Kernel(mailbox) => Self::Kernel(mailbox.attach()),
            Self::Native(mailbox) => Self::Native(mailbox.attach()),
            Self::Agent(bell) => {
                let heard = Arc::clone(&crate::lock(&bell.rung));
                Self::Agent(Bell { rung: Arc::clone(&bell.rung), heard })
            }
            Self::Closed => Self::Closed,
        }
    }

    /// What was attached until now receives nothing more. What waits stays, but for calls whose turns wait elsewhere.
    pub(crate) fn fence(&self) {
        match self {
            Self::Provider(mailbox) => {
                mailbox.fence();
                mailbox.attach().leave();
                forward::unattended(mailbox);
            }
            Self::Kernel(mailbox) => mailbox.fence(),
            Self::Native(mailbox) => mailbox.fence(),
            Self::Agent(bell) => *crate::lock(&bell.rung) = Arc::default(),
            Self::Closed => {}
        }
    }

    /// Whose door it is. Nobody reads it before the first start.
    pub(crate) fn called(&self, name: &Arc<str>, clock: &Clock) {
        if let Self::Provider(mailbox) = self {
            mailbox.presence().called(name, clock);
            mailbox.leave();
        }
    }

    /// An incarnation reads it.
    pub(crate) fn enter(&self) {
        if let Self::Provider(mailbox) = self {
            mailbox.enter();
        }
    }

    /// The incarnation that read it is over: whoever sends finds nobody. What waits is for [`Self::unattended`].
    pub(crate) fn leave(&self) {
        if let Self::Provider(mailbox) = self {
            mailbox.leave();
        }
    }

    /// Gives back what waits and can wait elsewhere. It looks at every message, so a stop or a kill is not made to wait for it.
    pub(crate) fn unattended(&self) {
        if let Self::Provider(mailbox) = self {
            forward::unattended(mailbox);
        }
    }

    /// When the next incarnation is started, on the monotonic clock; `None`: at any moment.
    pub(crate) fn expect(&self, due_ms: Option<u64>) {
        if let Self::Provider(mailbox) = self {
            mailbox.presence().expect(due_ms);
            forward::unattended(mailbox);
        }
    }

    /// Nobody will read it any more: what waits is dropped, so that callers learn it.
    pub(crate) fn close(&self) {
        match self {
            Self::Provider(mailbox) => mailbox.close(),
            Self::Kernel(mailbox) => mailbox.close(),
            Self::Native(mailbox) => mailbox.close(),
            Self::Agent(_) | Self::Closed => {}
        }
    }

    /// Somebody is about to read it again.
    pub(crate) fn reopen(&self) {
        match self {
            Self::Provider(mailbox) => {
                mailbox.leave();
                mailbox.reopen();
            }
            Self::Kernel(mailbox) => mailbox.reopen(),
            Self::Native(mailbox) => mailbox.reopen(),
            Self::Agent(_) | Self::Closed => {}
        }
    }
}

/// The control lane of one incarnation: overtakes all work. A clone is the same control lane.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) cell: Arc<CellControl>,
    /// The thread it runs on, as the watchdog sees it.
    pub(crate) thread: Arc<LaneThread>,
}

impl Control {
    /// Tells the supervisor that the start is over. Must be called once, before work is taken; a body that ends before has
    /// failed to start.
    pub fn started(&mut self) {
        self.cell.started(&self.thread);
    }

    /// Notes that a message of this child became a dead letter (rule G5): its supervisor hears of it with the end of this
    /// incarnation, which is to follow.
    pub fn letter(&self) {
        self.cell.letter();
    }

    /// Tells the supervisor that the child chooses not to run (OTP `ignore`), instead of [`started`](Self::started): end soon.
    pub fn ignore(&mut self) {
        self.cell.ignore();
    }

    /// Ready when the child is asked to stop. May be awaited again and again.
    pub fn stop(&self) -> impl Future<Output = ()> {
        self.cell.stopping()
    }

    /// Exit signals of links come as messages from here on, instead of ending the child (OTP's `trap_exit`). Called before
    /// [`started`](Self::started) it misses none. A kill is no signal: it is not trapped.
    pub fn trap_exits(&mut self) -> ExitSignals {
        self.cell.trap_exits()
    }

    /// Ready when the child makes no progress: it should give its present work up and end with [`Exit::Hung`]. If it does not
    /// within a second it is killed.
    pub async fn interrupted(&self) {
        let mut notified = std::pin::pin!(self.cell.progress.interrupt_notify.notified());
        // From here on `notify_waiters` reaches us.
        notified.as_mut().enable();
        if !self.cell.progress.is_interrupted() {
            notified.await;
        }
    }

    /// Notes since when the child is busy with its oldest piece of work, monotonic milliseconds of the node's clock; `None`: it
    /// is not. What the watchdog's bounds are measured by, beside single polls.
    pub fn busy(&self, since_ms: Option<u64>) {
        self.cell.progress.busy(since_ms);
    }

    /// Notes whether the child waits for what a stuck thread holds: shown in `tree`.
    pub fn stuck(&self, stuck: bool) {
        self.cell.progress.set_stuck(stuck);
    }

    /// Notes that the child waits for a provider that is between two incarnations: shown in `tree`, and no time for the watchdog
    /// until what is given back is dropped.
    pub fn pause(&self, on: &Arc<Presence>, clock: &Clock) -> Paused {
        self.cell.progress.pause(Some(Arc::clone(on)));
        Paused {
            control: Arc::clone(&self.cell),
            clock: clock.clone(),
            since_ms: clock.monotonic_ms(),
        }
    }

    /// Whether the child was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.cell.is_stopping()
    }
}

/// A child that waits for a provider, until this is dropped. See [`Control::pause`].
#[derive(Debug)]
pub struct Paused {
    control: Arc<CellControl>,
    clock: Clock,
    since_ms: u64,
}

impl Paused {
    /// How long it has been so, milliseconds.
    pub fn ms(&self) -> u64 {
        self.clock.monotonic_ms().saturating_sub(self.since_ms)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // In this order: the watchdog, which looks in between, must not count the pause.
        self.control.progress.later(self.ms());
        self.control.progress.pause(None);
    }
}

/// A future that runs beside the body; it ends the incarnation when it ends.
pub(crate) type Linked = Pin<Box<dyn Future<Output = Exit>>>;

/// What belongs to one incarnation beside its body's own future. A clone is the same.
#[derive(Clone, Default)]
pub struct Links(Rc<RefCell<Option<Box<LinkList>>>>);

/// Agents link nothing, and are ten thousands.
#[derive(Default)]
struct LinkList {
    kept: Vec<Rc<dyn Any>>,
    /// Bounded by what the body links at its start.
    fresh: Vec<Linked>,
}

impl Links {
    /// Keeps state alive until the cell drops it in a `catch_unwind` of its own.
    ///
    /// For state whose `Drop` may panic: a panic in the body unwinds the body's variables, and a second panic in one of their
    /// drops would end the process. Kept here, the unwind only counts a reference down.
    pub fn keep(&self, state: Rc<dyn Any>) {
        self.0.borrow_mut().get_or_insert_default().kept.push(state);
    }

    /// Runs a future in the same cell: when it ends, the incarnation ends with that exit.
    pub fn link(&self, future: impl Future<Output = Exit> + 'static) {
        self.0.borrow_mut().get_or_insert_default().fresh.push(Box::pin(future));
    }

    pub(crate) fn take_fresh(&self) -> Vec<Linked> {
        self.0.borrow_mut().as_mut().map(|list| std::mem::take(&mut list.fresh)).unwrap_or_default()
    }

    pub(crate) fn take_kept(&self) -> Vec<Rc<dyn Any>> {
        self.0.borrow_mut().as_mut().map(|list| std::mem::take(&mut list.kept)).unwrap_or_default()
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}
