//! A node with a kernel shard, a provider that echoes, a caller, and a table as full as wanted.

use crate::{GRANTS, PAYLOAD};
use loket_contract::{
    CallView, Flow, Operation, Performed, Provider, ProviderServices, provider_body,
};
use loket_kernel::{
    Address, Bound, Capability, Chain, Envelope, Grant, GrantId, GrantSet, Pattern, Scope,
};
use loket_ledger::{Durability, SqliteLedger};
use loket_runtime::{
    Authority, Body, CallEnvelope, Cargo, ChildContext, ChildFactory, ChildKind, ChildPlan, Clock,
    DoorSpec, LaneChoice, Mailbox, NodeConfig, NodeSpec, PrincipalSpec, Reply, Runtime, Service,
    SupervisorNode, TreeSpec, WorkerNode, kernel_body,
};
use loket_supervision::machine::{ChildSpec, Exit, Flags};
use loket_turn::{EffectClass, Failure, Ledger};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// What is called.
pub(crate) const ECHO: &str = "bench.echo";

/// No measurement is silent for longer.
const SILENCE: Duration = Duration::from_secs(600);

/// Makes grants that share nothing with each other.
#[derive(Default)]
pub(crate) struct Law(u64);

impl Law {
    /// `count` grants, of which one covers [`ECHO`].
    pub(crate) fn grants(&mut self, count: u32) -> Arc<GrantSet> {
        let others = (1..count).map(|n| format!("other{n}.kv"));
        let mut grant = |name: String| {
            self.0 += 1;
            let mut scope = Scope::new();
            scope.insert("models", Bound::Names(vec![Pattern::parse("fast").unwrap()]));
            let capability = Capability::parse(&name).unwrap();
            Grant::new(capability, Arc::new(scope), None, Vec::new(), None, GrantId(self.0))
        };
        let all = std::iter::once("bench".to_owned()).chain(others).map(&mut grant).collect();
        Arc::new(GrantSet::new(all).unwrap())
    }
}

struct Echo;

impl Provider for Echo {
    type Prepared = Vec<u8>;

    fn operations(&self) -> &'static [Operation] {
        const ALL: &[Operation] = &[Operation {
            capability: ECHO,
            class: EffectClass::Pure,
            scope: &[],
            flow: Flow::NONE,
            tokens: false,
            summary: "answers with its arguments",
        }];
        ALL
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Vec<u8>, Failure> {
        Ok(call.args.to_vec())
    }

    fn perform(&mut self, args: Vec<u8>) -> Performed {
        Performed::Done(Ok(args))
    }
}

/// So many calls by this caller; told what they took.
struct Job(u64, Address, crossbeam_channel::Sender<f64>);

struct Factory {
    authority: Arc<Authority>,
    services: ProviderServices,
    desk: Mailbox<Job>,
}

impl ChildFactory for Factory {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        let services = self.services.clone();
        Ok(match &*child.name {
            "kernel" => kernel_body(Arc::clone(&self.authority), services.clock),
            "echo" => provider_body(services, |_| Ok(Echo)),
            _ => {
                let desk = self.desk.clone();
                Box::new(move |context| Box::pin(caller(desk, context)))
            }
        })
    }
}

async fn caller(desk: Mailbox<Job>, mut context: ChildContext) -> Exit {
    context.control.started();
    let kernel = context.lane.kernel().clone();
    loop {
        let Job(calls, from, done) = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            job = desk.recv() => job,
        };
        let (name, mut args): (Arc<str>, _) = (ECHO.into(), vec![b'x'; PAYLOAD]);
        let began = Instant::now();
        for _ in 0..calls {
            args = call(&kernel, &name, from, args).await;
        }
        let _ = done.send(began.elapsed().as_nanos() as f64 / calls.max(1) as f64);
    }
}

async fn call(
    kernel: &Mailbox<CallEnvelope>,
    name: &Arc<str>,
    from: Address,
    args: Vec<u8>,
) -> Vec<u8> {
    let (reply, answer) = oneshot::channel();
    let (capability, chain, deadline) = (Arc::clone(name), Chain::default(), None);
    let cargo = Cargo { turn: None, reply };
    kernel.send(Envelope { from, capability, args, chain, deadline, cargo }).unwrap();
    match answer.await {
        Ok(Reply::Done { outcome: Ok(result), .. }) => result,
        other => panic!("{other:?}"),
    }
}

/// A node that runs.
pub(crate) struct Node {
    runtime: Option<Runtime>,
    ledger: Arc<SqliteLedger>,
    desk: Mailbox<Job>,
    _dir: TempDir,
}

impl Node {
    /// With so many agents in the table, one of which calls. `metered`: the metrics count, as in a node; else they go nowhere.
    pub(crate) fn new(agents: u32, metered: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if metered {
            metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
        }
        let node = loket_runtime::Node::new(NodeConfig::default()).unwrap();
        let clock: Clock = node.clock().clone();
        let (now, durability) = (clock.clone(), Durability::Process);
        let options = loket_ledger::Options {
            durability,
            clock: Arc::new(move || now.now().0),
            ..loket_ledger::Options::new(dir.path())
        };
        let ledger = SqliteLedger::open(options, Box::new(|_| {})).unwrap();
        let services = ProviderServices { ledger: Arc::clone(&ledger) as Arc<dyn Ledger>, clock };
        let desk = Mailbox::new(1);
        let authority = Arc::clone(node.authority());
        let factory = Factory { authority, services, desk: desk.clone() };
        let runtime = node.run(tree(agents), Arc::new(factory), None).unwrap();
        runtime.wait_up().unwrap();
        Self { runtime: Some(runtime), ledger, desk, _dir: dir }
    }

    /// Nanoseconds for one of so many calls, one after the other.
    pub(crate) fn calls(&self, calls: u64) -> f64 {
        let place = self.runtime.as_ref().and_then(|all| all.node().registry().find("caller"));
        let place = place.unwrap();
        let (principal, incarnation) = (place.principal().unwrap(), place.incarnation());
        let (done, told) = crossbeam_channel::bounded(1);
        self.desk.send(Job(calls, Address { principal, incarnation }, done)).unwrap();
        told.recv_timeout(SILENCE).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.control().stop(false);
            let _ = runtime.wait_at_most(10_000);
        }
        self.ledger.stop();
    }
}

fn tree(agents: u32) -> TreeSpec {
    let mut law = Law::default();
    let crowd = (1..agents).map(|n| {
        let name = format!("crowd/{n}").into();
        PrincipalSpec { name, grants: law.grants(GRANTS) }
    });
    let principals = crowd.collect();
    let caller =
        WorkerNode { grants: Some(law.grants(GRANTS)), ..worker("caller", DoorSpec::Closed) };
    let serves = Some(Service::new("echo", [ECHO]).unwrap());
    let echo = WorkerNode { serves, ..worker("echo", DoorSpec::Provider { capacity: 4_096 }) };
    TreeSpec {
        name: "path".into(),
        principals,
        system: supervisor("system", vec![worker("kernel", DoorSpec::Kernel), echo]),
        root: supervisor("root", vec![caller]),
        seed: 1,
    }
}

fn supervisor(id: &str, children: Vec<WorkerNode>) -> SupervisorNode {
    let children = children.into_iter().map(NodeSpec::Worker).collect();
    let (spec, flags) = (ChildSpec::supervisor(id), Flags::default());
    SupervisorNode { spec, flags, children, forgets: false }
}

fn worker(name: &'static str, door: DoorSpec) -> WorkerNode {
    WorkerNode {
        spec: ChildSpec::worker(name),
        kind: Arc::new(ChildKind::System(name, 0)),
        door,
        lane: LaneChoice::Lane(0),
        grants: None,
        serves: None,
        watchdog: None,
        last_incarnation: 0,
    }
}
