//! A node with scripted children, for the tests of the runtime. Every wait is for an event, with a bound.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, dead_code, unreachable_pub)]

use crossbeam_channel::{Receiver, Sender, unbounded};
use loket_kernel::{
    Address, Capability, Chain, Grant, GrantId, GrantSet, Moment, Principal, Scope,
};
use loket_runtime::{
    Body, Cargo, ChildContext, ChildFactory, ChildKind, ChildPlan, Clock, Door, DoorSpec, Lane,
    LaneChoice, Node, NodeConfig, NodeSpec, ProviderWork, Reply, Running, Runtime, Service,
    SupervisorNode, TreeSpec, WorkerNode, kernel_body,
};
use loket_supervision::machine::{ChildSpec, Exit, Flags};
use loket_turn::EffectClass;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// No event of these tests takes longer, on the slowest machine.
pub const BOUND: Duration = Duration::from_secs(30);

type Make = Arc<dyn Fn(ChildContext) -> Running + Send + Sync>;

/// Makes bodies by the children's names and keeps what they tell.
#[derive(Clone)]
pub struct Script {
    bodies: Arc<Mutex<HashMap<String, Make>>>,
    other: Arc<Mutex<Option<Make>>>,
    tell: Sender<String>,
    told: Receiver<String>,
}

impl Script {
    pub fn new() -> Self {
        let (tell, told) = unbounded();
        Self { bodies: Arc::default(), other: Arc::default(), tell, told }
    }

    /// What a child's incarnations do. The others start, wait for the stop and tell both.
    pub fn on<F, Fut>(&self, name: &str, make: F)
    where
        F: Fn(ChildContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Exit> + 'static,
    {
        let make: Make = Arc::new(move |context| Box::pin(make(context)));
        self.bodies.lock().unwrap().insert(name.to_owned(), make);
    }

    /// What all children do that are told nothing of their own.
    pub fn otherwise<F, Fut>(&self, make: F)
    where
        F: Fn(ChildContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Exit> + 'static,
    {
        *self.other.lock().unwrap() = Some(Arc::new(move |context| Box::pin(make(context))));
    }

    pub fn teller(&self) -> Sender<String> {
        self.tell.clone()
    }

    pub fn next(&self) -> String {
        self.told.recv_timeout(BOUND).unwrap()
    }

    /// Takes what is told until this comes.
    pub fn until(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next() {
                text if text == wanted => return before,
                text => before.push(text),
            }
        }
    }

    /// Takes what is told until all of these have come, in any order.
    pub fn until_all(&self, wanted: &[&str]) {
        let mut missing = wanted.to_vec();
        while !missing.is_empty() {
            let told = self.next();
            missing.retain(|text| *text != told);
        }
    }

    pub fn rest(&self) -> Vec<String> {
        self.told.try_iter().collect()
    }
}

pub async fn obedient(mut context: ChildContext, tell: Sender<String>) -> Exit {
    let _ = tell.send(format!("{} {} up", context.name, context.incarnation));
    context.control.started();
    context.control.stop().await;
    let _ = tell.send(format!("{} {} stops", context.name, context.incarnation));
    Exit::Shutdown
}

struct Factory {
    script: Script,
    node: Mutex<Option<(Arc<loket_runtime::Authority>, Clock)>>,
}

impl ChildFactory for Factory {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        if matches!(&*child.spec, ChildKind::System("kernel", _)) {
            let node = self.node.lock().unwrap();
            let (authority, clock) = node.as_ref().unwrap();
            return Ok(kernel_body(Arc::clone(authority), clock.clone()));
        }
        if &*child.name == "unbuildable" {
            return Err(Exit::crash(
                loket_supervision::machine::Cause::Start,
                loket_supervision::machine::Blame::Config,
                "no such thing",
            ));
        }
        let own = self.script.bodies.lock().unwrap().get(&*child.name).cloned();
        let make = own.or_else(|| self.script.other.lock().unwrap().clone());
        let tell = self.script.teller();
        Ok(Box::new(move |context| match make {
            Some(make) => make(context),
            None => Box::pin(obedient(context, tell)),
        }))
    }
}

pub fn worker(id: &str) -> WorkerNode {
    WorkerNode {
        spec: ChildSpec::worker(id),
        kind: Arc::new(ChildKind::System("test", 0)),
        door: DoorSpec::Closed,
        lane: LaneChoice::Any,
        grants: None,
        serves: None,
        watchdog: None,
        last_incarnation: 0,
    }
}

pub fn provider(id: &str, capacity: usize, capabilities: &[&str]) -> WorkerNode {
    WorkerNode {
        door: DoorSpec::Provider { capacity },
        serves: Some(Service::new(id, capabilities.iter().copied()).unwrap()),
        ..worker(id)
    }
}

pub fn caller(id: &str, capabilities: &[&str]) -> WorkerNode {
    WorkerNode { grants: Some(grants(capabilities)), ..worker(id) }
}

pub fn grants(capabilities: &[&str]) -> Arc<GrantSet> {
    let grant = |(at, name): (usize, &&str)| {
        let name = Capability::parse(name).unwrap();
        let id = GrantId(at as u64 + 1);
        Grant::new(name, Arc::new(Scope::default()), None, Vec::new(), None, id)
    };
    let all = capabilities.iter().enumerate().map(grant).collect();
    Arc::new(GrantSet::new(all).unwrap())
}

pub fn kernel(lane: usize) -> WorkerNode {
    WorkerNode {
        kind: Arc::new(ChildKind::System("kernel", lane)),
        door: DoorSpec::Kernel,
        lane: LaneChoice::Lane(lane),
        ..worker(&format!("kernel/{lane}"))
    }
}

/// A shard on this lane, `s/LANE`, that answers `s.get` with its lane's number.
pub fn shard(script: &Script, lane: usize) -> WorkerNode {
    let name = format!("s/{lane}");
    script.on(&name, move |mut context| async move {
        let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
        context.control.started();
        loop {
            let work = tokio::select! {
                () = context.control.stop() => return Exit::Shutdown,
                work = mailbox.recv() => work,
            };
            if let ProviderWork::Call(call) = work {
                let lane = context.lane.index().unwrap().to_string();
                let _ = call.into_parts().3.reply.send(done(lane.into_bytes()));
            }
        }
    });
    let serves = Some(Service::new("s", ["s.get"]).unwrap());
    WorkerNode { lane: LaneChoice::Lane(lane), serves, ..provider(&name, 8, &[]) }
}

pub fn supervisor(id: &str, flags: Flags, children: Vec<NodeSpec>) -> SupervisorNode {
    SupervisorNode { spec: ChildSpec::supervisor(id), flags, children, forgets: false }
}

pub fn workers(all: Vec<WorkerNode>) -> Vec<NodeSpec> {
    all.into_iter().map(NodeSpec::Worker).collect()
}

/// Many restarts allowed: the test is about something else.
pub fn lenient() -> Flags {
    Flags { intensity: 1_000, ..Flags::default() }
}

/// Runs a node of `lanes` lanes with kernel shards and this root.
pub fn run(lanes: usize, script: &Script, root: SupervisorNode) -> Runtime {
    let config = NodeConfig { lanes, ..NodeConfig::default() };
    run_with(config, script, root)
}

pub fn run_with(config: NodeConfig, script: &Script, root: SupervisorNode) -> Runtime {
    run_telling(config, script, root, loket_runtime::Hooks::default())
}

pub fn run_telling(
    config: NodeConfig,
    script: &Script,
    root: SupervisorNode,
    hooks: impl Into<loket_runtime::Hooks>,
) -> Runtime {
    let lanes = config.lanes + usize::from(config.operator_lane);
    let node = Node::new(config).unwrap();
    let parts = (Arc::clone(node.authority()), node.clock().clone());
    let factory = Factory { script: script.clone(), node: Mutex::new(Some(parts)) };
    let tree = TreeSpec {
        name: "top".into(),
        principals: Vec::new(),
        system: supervisor("system", lenient(), workers((0..lanes).map(kernel).collect())),
        root,
        seed: 1,
    };
    node.run(tree, Arc::new(factory), hooks).unwrap()
}

pub fn stop(runtime: Runtime) -> Exit {
    runtime.control().stop(false);
    let exit = runtime.wait();
    runtime.close(30_000).unwrap();
    exit
}

/// A provider's body: answers every call with its incarnation, dies on the words `panic` and `hang`.
pub async fn serve(mut context: ChildContext) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else {
        return Exit::NoProc;
    };
    context.control.started();
    loop {
        let work = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            work = mailbox.recv() => work,
        };
        if let ProviderWork::Call(call) = work {
            let (_, _, args, cargo) = call.into_parts();
            assert!(args != b"panic", "asked to");
            let _ = cargo.reply.send(done(context.incarnation.to_string().into_bytes()));
        }
        tokio::task::yield_now().await;
    }
}

pub fn done(result: Vec<u8>) -> Reply {
    let class = EffectClass::Pure;
    Reply::Done { class, outcome: Ok(result), recorded_ms: None, effect: None }
}

pub fn address(runtime: &Runtime, name: &str) -> Address {
    let place = runtime.node().registry().find(name).unwrap();
    Address { principal: place.principal().unwrap(), incarnation: place.incarnation() }
}

/// Sends a call through the lane's kernel shard.
pub fn call(lane: &Lane, from: Address, name: &str, args: &[u8]) -> oneshot::Receiver<Reply> {
    let (reply, answer) = oneshot::channel();
    let envelope = loket_runtime::CallEnvelope {
        from,
        capability: name.into(),
        args: args.to_vec(),
        chain: Chain::default(),
        deadline: None,
        cargo: Cargo { turn: None, reply },
    };
    lane.kernel().send(envelope).unwrap();
    answer
}

/// The answer's text, `CODE: TEXT` of a failure, or `dropped`.
pub fn text(answer: oneshot::Receiver<Reply>) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = runtime.block_on(async { tokio::time::timeout(BOUND, answer).await });
    match answer.unwrap() {
        Ok(Reply::Done { outcome: Ok(result), .. }) => String::from_utf8(result).unwrap(),
        Ok(Reply::Done { outcome: Err(failure), .. }) => failure.to_string(),
        Ok(Reply::Deferred { .. }) => "deferred".to_owned(),
        Ok(Reply::Held(_)) => "held".to_owned(),
        Ok(Reply::Away(provider)) => format!("away: {}", provider.name()),
        Ok(Reply::Unanswered(why)) => format!("unanswered: {why}"),
        Err(_) => "dropped".to_owned(),
    }
}

pub fn nobody() -> Principal {
    Principal(u32::MAX)
}

pub fn manual() -> (Clock, NodeConfig) {
    let clock = Clock::manual(Moment(1_000_000));
    (clock.clone(), NodeConfig { clock, ..NodeConfig::default() })
}

/// A call of the re-run part of a turn.
pub fn rerun(
    grants: std::sync::Arc<loket_kernel::GrantSet>,
    clock_ms: u64,
) -> loket_runtime::TurnCall {
    use loket_turn::{Begin, CallNo, Hash, Journal, Life, Live, MessageId, Mode, TurnKey, TurnNo};
    let hash = Hash::default();
    let begin = Begin {
        module: hash,
        settings: hash,
        grants: hash,
        memory_bytes: 0,
        output_bytes: 0,
        calls_max: 10,
        pure_version: 1,
        time_ms: clock_ms,
        seed: 1,
    };
    let (life, message, agent) = (Life(1), MessageId([1; 16]), std::sync::Arc::from("c"));
    let turn = loket_runtime::TurnContext {
        key: TurnKey { agent, life, incarnation: 1, n: TurnNo(1) },
        message,
        on_the_way: Vec::new(),
        seed: 1,
        settings: "{}".into(),
        pinned: grants,
        journal: Journal::new(life, message, Mode::CatchUp, begin, true, Vec::new()).into(),
        purse: None,
    };
    let live = Live { call: CallNo(1), life, message, pure_only: true, resend: None };
    loket_runtime::TurnCall { turn: turn.into(), live, clock_ms }
}
