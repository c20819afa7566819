//! A real node under a virtual clock whose children do what they are told: start, fail, decline, end with a reason, refuse to
//! stop. The supervisor under test is `sup`, a Temporary child of the lenient `root`, started as OTP's tests start theirs.
//! Every wait is for an event, with a bound.

pub use crate::cast::*;
pub use crate::specs::*;
use loket_kernel::Moment;
use loket_runtime::{
    Clock, ControlError, Hooks, Node, NodeConfig, NodeSpec, Place, Runtime, SupervisorHandle,
    TreeControl, TreeSpec,
};
use loket_supervision::machine::*;
use loket_supervision::story::Row;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No event of these tests takes longer, on the slowest machine. `OTP_SUITE_BOUND_S` may say otherwise, in seconds: for mutations,
/// whose end is often awaited in vain.
pub fn bound() -> Duration {
    let told = std::env::var("OTP_SUITE_BOUND_S").ok().and_then(|told| told.parse().ok());
    Duration::from_secs(told.unwrap_or(120))
}

/// The node.
pub struct Stage {
    pub runtime: Runtime,
    pub control: Arc<dyn TreeControl>,
    pub clock: Clock,
    pub cast: Cast,
    reported: Arc<Mutex<Vec<Row>>>,
}

impl Stage {
    /// A node with a lenient root that has no children.
    pub fn new() -> Self {
        Self::with_root(lenient(Strategy::OneForOne), Vec::new())
    }

    fn with_root(flags: Flags, children: Vec<NodeSpec>) -> Self {
        Self::with_cast(flags, children, Cast::default())
    }

    /// A node with this root, whose children were told something before it starts.
    pub fn with_cast(flags: Flags, children: Vec<NodeSpec>, cast: Cast) -> Self {
        let clock = Clock::manual(Moment(1_000_000));
        let config = NodeConfig { lanes: 2, clock: clock.clone(), ..NodeConfig::default() };
        let node = Node::new(config).unwrap();
        let tree = TreeSpec {
            name: "top".into(),
            principals: Vec::new(),
            system: node_of("system", Flags::default(), Vec::new()),
            root: node_of("root", flags, children),
            seed: 1,
        };
        let told = cast.clone();
        let on_gone = move |name: &str, why: &str| {
            told.with(|roles| roles.gone.push((name.to_owned(), why.to_owned())));
        };
        let reported = Arc::<Mutex<Vec<Row>>>::default();
        let keep = Arc::clone(&reported);
        let on_report = move |row| keep.lock().unwrap().push(row);
        let hooks = Hooks {
            on_gone: Some(Arc::new(on_gone)),
            on_report: Some(Arc::new(on_report)),
            ..Hooks::default()
        };
        let runtime = node.run(tree, Arc::new(cast.clone()), hooks).unwrap();
        let control = runtime.control();
        Self { runtime, control, clock, cast, reported }
    }

    /// A stage with `sup` up and an empty log.
    pub fn up(flags: Flags, children: Vec<NodeSpec>) -> Self {
        let stage = Self::new();
        assert_eq!(stage.start(flags, children), Ok(Some(1)));
        stage.took();
        stage
    }

    /// Starts `sup`: OTP's `start_link`.
    pub fn start(
        &self,
        flags: Flags,
        children: Vec<NodeSpec>,
    ) -> Result<Option<u64>, ControlError> {
        self.runtime.wait_up().unwrap();
        let mut sup = node_of("sup", flags, children);
        sup.spec.restart = Restart::Temporary;
        wait(self.root().start_child(NodeSpec::Supervisor(sup)))
    }

    pub fn handle(&self, name: &str) -> SupervisorHandle {
        self.control.supervisor(name).unwrap()
    }

    pub fn root(&self) -> SupervisorHandle {
        self.handle("root")
    }

    pub fn sup(&self) -> SupervisorHandle {
        self.handle("sup")
    }

    /// How the next starts of a child go; then they work.
    pub fn starts(&self, name: &str, how: impl IntoIterator<Item = Start>) {
        self.cast.starts(name, how);
    }

    /// From now on every start of the child fails.
    pub fn fails_always(&self, name: &str) {
        self.cast.with(|roles| roles.failing.push(name.to_owned()));
    }

    pub fn at_stop(&self, name: &str, does: AtStop) {
        self.cast.with(|roles| roles.stops.insert(name.to_owned(), does));
    }

    /// The log so far, which is emptied.
    pub fn took(&self) -> String {
        self.cast.with(|roles| std::mem::take(&mut roles.log)).join(", ")
    }

    /// Blocks until the log has this line.
    pub fn until(&self, line: &str) {
        let found = |roles: &mut Roles| roles.log.iter().any(|had| had == line).then_some(());
        self.cast.find(line, found);
    }

    /// Tells the child to end; its supervisor may not have heard of it yet.
    pub fn tell(&self, name: &str, exit: Exit) {
        self.cast.with(|roles| roles.lives.remove(name)).unwrap().send(exit).unwrap();
    }

    /// The child ends by itself, and what follows is over.
    pub fn exits(&self, name: &str, exit: Exit) {
        let before = self.life(name);
        self.tell(name, exit);
        self.after(name, before);
    }

    /// The child is killed by a stranger, and what follows is over.
    pub fn kills(&self, name: &str) {
        let before = self.life(name);
        self.control.kill(name).unwrap();
        self.after(name, before);
    }

    fn after(&self, name: &str, before: Option<(u64, ChildState)>) {
        assert!(before.is_some(), "{name} does not run");
        self.poll(&format!("the end of {name}"), || self.life(name) != before);
        if let Some(above) = self.above(name) {
            settle(&above);
        }
    }

    /// The supervisor of a child, as long as there is one.
    fn above(&self, name: &str) -> Option<SupervisorHandle> {
        let place = self.runtime.node().registry().find(name)?;
        self.control.supervisor(place.supervisor()?).ok()
    }

    /// The life of a child as its supervisor knows it; `None` when it knows of none.
    pub fn life(&self, name: &str) -> Option<(u64, ChildState)> {
        let view = wait(self.above(name)?.which_child(name)).ok()?;
        Some((view.incarnation?, view.state))
    }

    /// The number of the child's life; 0 for none.
    pub fn inc(&self, name: &str) -> u64 {
        self.life(name).map_or(0, |(incarnation, _)| incarnation)
    }

    /// A child's place: it can be looked at after the child is gone.
    pub fn place(&self, name: &str) -> Arc<Place> {
        self.runtime.node().registry().find(name).unwrap()
    }

    /// Whether `sup` goes on, after all that waits there is served.
    pub fn lives(&self) -> bool {
        let Ok(sup) = self.control.supervisor("sup") else { return false };
        let served = code(wait(sup.delete_child("nobody at all")));
        ["not_found", "simple_one_for_one"].contains(&served)
    }

    /// Asks until it is so. Each question is answered by the supervisor, so this is no idle loop.
    pub fn poll(&self, what: &str, so: impl Fn() -> bool) {
        let since = Clock::machine(Moment(0));
        while !so() {
            assert!(u128::from(since.monotonic_ms()) < bound().as_millis(), "waited for {what}");
            std::thread::yield_now();
        }
    }

    /// Why a child was told to be gone for good; waits for it.
    pub fn gone(&self, name: &str) -> String {
        self.cast.find(&format!("{name} gone"), |roles| {
            let at = roles.gone.iter().position(|(gone, _)| gone == name)?;
            Some(roles.gone.remove(at).1)
        })
    }

    /// Whether a child was not told to be gone, after all that waits at `root` is served.
    pub fn is_up(&self, name: &str) -> bool {
        settle(&self.root());
        self.runtime.node().registry().find(name).is_some_and(|place| place.incarnation() > 0)
            && self.cast.with(|roles| roles.gone.iter().all(|(gone, _)| gone != name))
    }

    /// OTP's words, newest first: `b:pid a:restarting`.
    pub fn which(&self, sup: &SupervisorHandle) -> String {
        let word = |view: &ChildView| {
            let state = match view.state {
                ChildState::Undefined => "undefined",
                ChildState::Restarting { .. } => "restarting",
                _ => "pid",
            };
            format!("{}:{state}", view.id)
        };
        let all = wait(sup.which_children()).unwrap();
        all.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// OTP's four numbers of `sup`: specs, active, supervisors, workers.
    pub fn counts(&self) -> [usize; 4] {
        let counts = wait(self.sup().count_children()).unwrap();
        [counts.specs, counts.active, counts.supervisors, counts.workers]
    }

    /// The parent's exit signal `shutdown`; gives the reason of the end.
    pub fn stop_sup(&self) -> String {
        wait(self.root().terminate_child("sup")).unwrap();
        self.gone("sup")
    }

    /// An instance for SimpleOneForOne.
    pub fn instance(&self, name: &str) -> Result<Option<u64>, ControlError> {
        wait(self.sup().start_instance(instance(name)))
    }

    /// What the supervisors reported of a child: `start_error`, `child_terminated`.
    pub fn reports(&self, name: &str) -> Vec<Context> {
        self.rows(name).into_iter().map(|row| row.report.context).collect()
    }

    /// The same, whole.
    pub fn rows(&self, name: &str) -> Vec<Row> {
        let all = self.reported.lock().unwrap();
        all.iter().filter(|row| *row.report.offender.id == *name).cloned().collect()
    }
}

impl Drop for Stage {
    /// Ends the node at once: nothing of a test runs into the next one.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.control.stop(true);
            self.runtime.wait_at_most(bound().as_millis() as u64).unwrap();
        }
    }
}

/// Until all that waits at this supervisor is served, and nothing is under way: a call that changes nothing waits for its turn.
pub fn settle(sup: &SupervisorHandle) {
    let _ = wait(sup.delete_child("nobody at all"));
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(bound(), future).await }).unwrap()
}

/// The stable code of an error, or `ok`.
pub fn code<T>(answer: Result<T, ControlError>) -> &'static str {
    answer.err().map_or("ok", |error| error.code())
}
