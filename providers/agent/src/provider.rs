//! The provider: which operation goes where.

use crate::args::{
    self, History, Kill, LetterArgs, List, Nothing, Shutdown, Spawn, Stop, Turn, Turns,
};
use crate::brains::{self, Brain, Brains, Keeping};
use crate::copying::Copying;
use crate::groups::{self, Grouping};
use crate::mail::{self, Mail};
use crate::once::Acts;
use crate::operator;
use crate::people::{self, People};
use crate::pools::Pools;
use crate::scope::allow;
use crate::settle::{self, Settle};
use crate::turns;
use crate::watch::{self, Watch};
use crate::whereis;
use loket_contract::{CallView, Operation, Performed, Provider, parse_args};
use loket_kernel::Capability;
use loket_runtime::{Clock, TreeControl, Waiters};
use loket_turn::{AgentName, Effect, Failure, IntentId, Ledger, LetterId, TurnNo};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;

/// Bytes of a dynamic child's own settings.
const SETTINGS_BYTES_MAX: usize = 64 * 1024;

/// Reports that one question gets when it does not say: a screen or two.
const HISTORY_LIMIT: usize = 100;

/// Reports that one answer may have: some megabytes of JSON.
pub const HISTORY_LIMIT_MAX: usize = 10_000;

/// What it works with.
#[derive(Clone)]
pub struct AgentServices {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The tree: kill, look, stop.
    pub tree: Arc<dyn TreeControl>,
    /// Who waits for which message.
    pub waiters: Arc<Waiters>,
    /// The node's clock.
    pub clock: Clock,
    /// The SimpleOneForOne supervisors.
    pub pools: Arc<Pools>,
    /// What supervisors reported.
    pub reports: Arc<dyn Reports>,
    /// Who applies a changed fleet file.
    pub reload: Arc<dyn Reload>,
    /// The files of brains.
    pub brains: Arc<dyn Brains>,
    /// How many ended turns of each agent are kept.
    pub keep_turns: u64,
    /// See [`Keeping::copying`].
    pub copying: Arc<Copying>,
    /// What was done to the tree for which call.
    pub acts: Arc<Acts>,
}

impl AgentServices {
    /// What the files of brains are kept with.
    fn keeping(&self) -> Keeping {
        let (ledger, brains) = (Arc::clone(&self.ledger), Arc::clone(&self.brains));
        let (clock, keep_turns) = (self.clock.clone(), self.keep_turns);
        let copying = Arc::clone(&self.copying);
        Keeping { ledger, brains, clock, keep_turns, copying }
    }
}

/// What became of a reload, as JSON, on its way.
pub type ReloadFuture = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

/// Applies a changed fleet file to the running fleet; whoever assembles the node does.
pub trait Reload: Send + Sync + 'static {
    /// Reads this file, or the one that the fleet was started with, and applies it; a dry run only tells what it would do.
    fn reload(&self, file: Option<String>, dry_run: bool) -> ReloadFuture;
}

/// Reports on their way, each as JSON, in the order they came; or in words why there are none.
pub type ReportsFuture = Pin<Box<dyn Future<Output = Result<Vec<Value>, String>> + Send>>;

/// What supervisors reported, kept by whoever assembles the node.
pub trait Reports: Send + Sync + 'static {
    /// The latest `limit` reports about a child, or of it as a supervisor; all without one.
    fn latest(&self, child: Option<String>, limit: usize) -> ReportsFuture;
}

/// The provider. It has no state of its own: any number of shards serve alike.
pub struct AgentProvider {
    services: AgentServices,
}

impl AgentProvider {
    /// A provider over these.
    pub fn new(services: AgentServices) -> Self {
        Self { services }
    }
}

/// A call after its check, and its key, if a turn asks: what it asks for is done once.
#[derive(Debug)]
pub struct Request {
    what: Prepared,
    of: Option<IntentId>,
}

/// What a call asks for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Prepared {
    /// `agent.send`.
    Send(Mail),
    /// `agent.call`.
    Call(Mail),
    /// `agent.spawn`: the effect, and how many more this turn spawns under the same supervisor.
    Spawn {
        /// The supervisor.
        under: AgentName,
        /// The child.
        agent: AgentName,
        /// Its own settings, JSON.
        settings: String,
        /// Children that this turn has staged there already.
        staged: usize,
        /// It stands in a turn.
        in_turn: bool,
    },
    /// `agent.stop`.
    Stop(AgentName, bool),
    /// `agent.list`.
    List(AgentName),
    /// `agent.whereis`.
    Whereis(String),
    /// `agent.monitor` and what belongs to it.
    Watch(Watch),
    /// `agent.group.*`.
    Grouping(Grouping),
    /// `agent.kill`.
    Kill(String),
    /// `agent.child.terminate`.
    Terminate(String),
    /// `agent.child.restart`.
    Restart(String),
    /// `agent.tree`.
    Tree,
    /// `agent.status`.
    Status,
    /// `agent.history`: about whom, and how many.
    History(Option<String>, usize),
    /// `agent.reload`: which file, and whether only to tell.
    Reload(Option<String>, bool),
    /// `agent.letters.list`.
    Letters,
    /// `agent.letters.show`.
    Letter(LetterId),
    /// `agent.letters.retry`.
    Retry(LetterId, bool),
    /// `agent.letters.drop`.
    Drop(LetterId),
    /// `agent.turns.list`.
    Turns(AgentName, Option<u64>, u32),
    /// `agent.turns.show`.
    Turn(AgentName, TurnNo),
    /// `agent.doubt.*` and `agent.quarantine.*`.
    Settle(Settle),
    /// `agent.brain.*`.
    Brain(Brain),
    /// `agent.shutdown`.
    Shutdown(bool),
    /// `human.ask`, and what is done about approvals, questions and timers.
    People(People),
}

impl Provider for AgentProvider {
    type Prepared = Request;

    fn operations(&self) -> &'static [Operation] {
        crate::OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Request, Failure> {
        let of = call.turn.map(|turn| turn.call_key());
        Ok(Request { what: self.check(call)?, of })
    }

    fn perform(&mut self, Request { what, of }: Request) -> Performed {
        let services = &self.services;
        match what {
            Prepared::Send(mail) => mail::send(services, mail),
            Prepared::Call(mail) => mail::call(services, mail),
            Prepared::Spawn { under, agent, settings, staged, in_turn } => {
                spawn(services, under, agent, settings, staged, in_turn)
            }
            Prepared::Stop(agent, in_turn) => stop(services, agent, in_turn),
            Prepared::List(under) => operator::list(services, under),
            Prepared::Whereis(name) => whereis::perform(services, &name),
            Prepared::Watch(watch) => watch::perform(services, watch),
            Prepared::Grouping(grouping) => groups::perform(services, grouping),
            Prepared::Kill(child) => operator::kill(services, child, of),
            Prepared::Terminate(child) => operator::terminate(services, child, of),
            Prepared::Restart(child) => operator::restart(services, child, of),
            Prepared::Tree => operator::tree(services),
            Prepared::Status => operator::status(services),
            Prepared::History(child, limit) => operator::history(services, child, limit),
            Prepared::Reload(file, dry_run) => operator::reload(services, file, dry_run),
            Prepared::Letters => operator::letters(services),
            Prepared::Letter(id) => operator::letter(services, id),
            Prepared::Retry(id, confirmed) => operator::retry(services, id, confirmed, of),
            Prepared::Drop(id) => operator::drop_letter(services, id, of),
            Prepared::Turns(agent, before, limit) => turns::list(services, agent, before, limit),
            Prepared::Turn(agent, n) => turns::show(services, agent, n),
            Prepared::Brain(what) => brains::perform(services.keeping(), what, of),
            Prepared::Settle(what) => settle::perform(services, what, of),
            Prepared::Shutdown(now) => operator::shutdown(services, now, of),
            Prepared::People(what) => people::perform(services, what, of),
        }
    }
}

impl AgentProvider {
    fn stop(&self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let args::Stop { agent } = parse_args::<Stop>(call)?;
        let under = agent.split('/').next().unwrap_or_default();
        allow(call, "under", under)?;
        if !agent.contains('/') || self.services.pools.bound(under).is_none() {
            let text = format!(
                "{agent:?} is no child of a SimpleOneForOne supervisor of this fleet: `loket terminate` stops others"
            );
            return Err(Failure::new("not_found", text));
        }
        Ok(Prepared::Stop(agent.into(), call.turn.is_some()))
    }

    fn check(&self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        match call.operation.capability {
            "agent.send" | "agent.call" => mail::prepare(call),
            "agent.spawn" => self.spawn(call),
            "agent.stop" => self.stop(call),
            "agent.list" => {
                let List { under } = parse_args(call)?;
                allow(call, "under", &under)?;
                Ok(Prepared::List(under.into()))
            }
            "agent.whereis" => whereis::prepare(call),
            "agent.monitor" | "agent.demonitor" | "agent.monitors" => watch::prepare(call),
            group if group.starts_with("agent.group.") => groups::prepare(call),
            "agent.kill" | "agent.child.terminate" | "agent.child.restart" => {
                let Kill { child } = parse_args(call)?;
                allow(call, "children", &child)?;
                Ok(match call.operation.capability {
                    "agent.kill" => Prepared::Kill(child),
                    "agent.child.terminate" => Prepared::Terminate(child),
                    _ => Prepared::Restart(child),
                })
            }
            "agent.reload" => {
                let args::Reload { file, dry_run } = parse_args(call)?;
                Ok(Prepared::Reload(file, dry_run))
            }
            "agent.shutdown" => {
                let Shutdown { now } = parse_args(call)?;
                Ok(Prepared::Shutdown(now))
            }
            "agent.turns.list" => {
                let Turns { agent, before, limit } = parse_args(call)?;
                Ok(Prepared::Turns(agent.into(), before, limit.unwrap_or(turns::LIMIT)))
            }
            "agent.turns.show" => {
                let Turn { agent, turn } = parse_args(call)?;
                Ok(Prepared::Turn(agent.into(), TurnNo(turn)))
            }
            brain if brain.starts_with("agent.brain.") => {
                brains::prepare(call).map(Prepared::Brain)
            }
            letters if letters.starts_with("agent.letters.") => letter(call, letters),
            settled
                if settled.starts_with("agent.doubt.")
                    || settled.starts_with("agent.quarantine.") =>
            {
                settle::prepare(call).map(Prepared::Settle)
            }
            "agent.history" => {
                let History { child, limit } = parse_args(call)?;
                let limit = limit.unwrap_or(HISTORY_LIMIT);
                if limit > HISTORY_LIMIT_MAX {
                    let text = format!("`limit` is {HISTORY_LIMIT_MAX} at most, not {limit}");
                    return Err(Failure::new("bad_args", text));
                }
                Ok(Prepared::History(child, limit))
            }
            name if people::is_ours(name) => people::prepare(call).map(Prepared::People),
            "agent.tree" => parse_args::<Nothing>(call).map(|_| Prepared::Tree),
            _ => parse_args::<Nothing>(call).map(|_| Prepared::Status),
        }
    }

    fn spawn(&self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let Spawn { under, name, settings } = parse_args(call)?;
        allow(call, "under", &under)?;
        if self.services.pools.bound(&under).is_none() {
            let text = format!("{under:?} is no SimpleOneForOne supervisor of this fleet");
            return Err(Failure::new("not_found", text));
        }
        // A child's name is one segment: it becomes part of addresses and of file names.
        if Capability::parse(&name).is_err() || name.contains('.') {
            let text = format!("{name:?} is no name: 1 to 64 of a-z, 0-9, `_` and `-`");
            return Err(Failure::new("bad_args", text));
        }
        let settings = serde_json::Value::Object(settings.unwrap_or_default()).to_string();
        if settings.len() > SETTINGS_BYTES_MAX {
            let text = format!("settings are over the limit of {SETTINGS_BYTES_MAX} bytes");
            return Err(Failure::new("too_large", text));
        }
        let agent: AgentName = format!("{under}/{name}").into();
        let staged = call.turn.map(|turn| turn.staged()).unwrap_or_default();
        let under: AgentName = under.into();
        let mut count = 0;
        for effect in &staged {
            match effect {
                Effect::Spawn { agent: other, .. } if *other == agent => {
                    return Err(already_started(&agent));
                }
                Effect::Spawn { under: other, .. } if *other == under => count += 1,
                _ => {}
            }
        }
        let in_turn = call.turn.is_some();
        Ok(Prepared::Spawn { under, agent, settings, staged: count, in_turn })
    }
}

fn letter(call: &CallView<'_>, capability: &str) -> Result<Prepared, Failure> {
    if capability == "agent.letters.list" {
        return parse_args::<Nothing>(call).map(|_| Prepared::Letters);
    }
    let LetterArgs { letter, confirmed } = parse_args(call)?;
    let id = LetterId(letter);
    Ok(match capability {
        "agent.letters.show" => Prepared::Letter(id),
        "agent.letters.retry" => Prepared::Retry(id, confirmed),
        _ => Prepared::Drop(id),
    })
}

fn already_started(agent: &str) -> Failure {
    Failure::new("already_started", format!("{agent} exists already"))
}

/// A row of the ledger at the end of the turn (rule A6); the tree starts it from there.
fn spawn(
    services: &AgentServices,
    under: AgentName,
    agent: AgentName,
    settings: String,
    staged: usize,
    in_turn: bool,
) -> Performed {
    if !in_turn {
        let text = "children are spawned by agents, in a turn";
        return Performed::failed(Failure::new("no_turn", text));
    }
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        let children = match services.ledger.dynamic_children().await {
            Ok(children) => children,
            Err(error) => return operator::ledger_failed(&error),
        };
        if children.iter().any(|child| child.agent == agent) {
            return Performed::failed(already_started(&agent));
        }
        let there = children.iter().filter(|child| child.under == under).count() + staged;
        if let Some(Some(bound)) = services.pools.bound(&under)
            && there >= bound as usize
        {
            let text = format!("{under} has {there} children, its bound is {bound}");
            return Performed::failed(Failure::retryable("max_children", text, None));
        }
        let result = json!({"agent": agent}).to_string().into_bytes();
        Performed::Staged { result, effect: Effect::Spawn { under, agent, settings } }
    }))
}

fn stop(services: &AgentServices, agent: AgentName, in_turn: bool) -> Performed {
    if in_turn {
        let result = b"{}".to_vec();
        return Performed::Staged { result, effect: Effect::Stop { agent } };
    }
    operator::remove(services, agent)
}
