//! What is measured, and with how much of everything.

use loket_kernel::GrantSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A part of the path, each with all of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// (a) A guest's call to its host, as bare as wasmtime makes it.
    Host,
    /// (b) The same, with admission inside.
    Grant,
    /// (c) A native caller through kernel actor and provider actor on one lane.
    Native,
    /// (c') The same from a component guest.
    Guest,
    /// (d) A native caller whose provider is on another lane.
    Cross,
    /// (d) Callers, kernels and providers on all lanes at once.
    Lanes,
    /// (e) Durable turns, kept through the end of the process.
    Process,
    /// (e) Durable turns, kept through a loss of power.
    Power,
    /// A trap, until the next message is handled.
    Restart,
    /// A message for an agent that sleeps, until it is handled.
    Activation,
    /// A fleet, until all of its agents are up.
    Start,
    /// A dynamic child, until it has answered.
    Spawn,
    /// Messages between agents.
    Agents,
    /// kill -9, until open turns have ended.
    Recovery,
}

impl Tier {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Host,
        Self::Grant,
        Self::Native,
        Self::Guest,
        Self::Cross,
        Self::Lanes,
        Self::Process,
        Self::Power,
        Self::Restart,
        Self::Activation,
        Self::Start,
        Self::Spawn,
        Self::Agents,
        Self::Recovery,
    ];

    /// Those of a call's path and of a turn: what is measured when nothing is said.
    pub const PATH: &[Self] = Self::ALL.split_at(8).0;

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Grant => "grant",
            Self::Native => "native",
            Self::Guest => "guest",
            Self::Cross => "cross",
            Self::Lanes => "lanes",
            Self::Process => "process",
            Self::Power => "power",
            Self::Restart => "restart",
            Self::Activation => "activation",
            Self::Start => "start",
            Self::Spawn => "spawn",
            Self::Agents => "agents",
            Self::Recovery => "recovery",
        }
    }

    /// Its letter in the report.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Host => "a",
            Self::Grant => "b",
            Self::Native => "c",
            Self::Guest => "c'",
            Self::Cross | Self::Lanes => "d",
            Self::Process | Self::Power => "e",
            _ => "-",
        }
    }

    /// One line for people.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Host => "guest calls its host, nothing else",
            Self::Grant => "the same, and the grant is checked",
            Self::Native => "native caller, kernel actor, provider actor, one lane",
            Self::Guest => "component guest, kernel actor, provider actor, one lane",
            Self::Cross => "the provider is on another lane",
            Self::Lanes => "callers, kernels and providers on every lane",
            Self::Process => "durable turns that survive kill -9",
            Self::Power => "durable turns that survive a loss of power",
            Self::Restart => "from a trap's dead letter to the end of the next message",
            Self::Activation => "a message for a hibernated agent, until it is handled",
            Self::Start => "from exec of a fleet to all of its agents up",
            Self::Spawn => "an agent spawns another, until that has answered",
            Self::Agents => "agent.call to another agent, from one turn",
            Self::Recovery => "from kill -9 to the answers of open turns",
        }
    }

    /// The tiers of a name or a letter; empty when there are none.
    #[must_use]
    pub fn parse(word: &str) -> Vec<Self> {
        let word = match word {
            "c2" => "c'",
            "-" => return Vec::new(),
            other => other,
        };
        Self::ALL.into_iter().filter(|tier| tier.name() == word || tier.letter() == word).collect()
    }

    /// What is counted.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Process | Self::Power => "turn",
            Self::Restart => "restart",
            Self::Activation => "activation",
            Self::Start => "start",
            Self::Spawn => "agent",
            Self::Agents => "message",
            Self::Recovery => "recovery",
            _ => "call",
        }
    }

    /// Whether the work is another process's, of which only that is known what can be seen from outside.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Start | Self::Spawn | Self::Agents | Self::Recovery)
    }

    /// Whether its calls pass kernel and provider, and the counters must say so.
    #[must_use]
    pub fn is_proven(self) -> bool {
        matches!(self, Self::Native | Self::Guest | Self::Cross | Self::Lanes)
    }
}

/// What has been counted by the node's own metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Calls of a capability that kernel shards admitted.
    Admitted,
    /// Calls of a capability that providers answered.
    Answered,
    /// Brains that were opened, whatever the capability.
    Opened,
}

/// Reads a counter of a capability. Whoever installs the metrics' recorder gives it.
pub type Counts = Arc<dyn Fn(Counter, &str) -> u64 + Send + Sync>;

/// What is measured, and with how much of everything.
#[derive(Clone)]
pub struct Options {
    /// Which parts.
    pub tiers: Vec<Tier>,
    /// Agents in the kernel's table beside those that call.
    pub agents: u32,
    /// Grants of each of them.
    pub grants: u32,
    /// Agents of the fleet that `start` starts.
    pub starting: u32,
    /// Agents of `activation`, of which a fifth sleeps.
    pub sleeping: u32,
    /// Bytes of a call's arguments and of its answer.
    pub payload: usize,
    /// Seconds for each tier, over all repeats.
    pub seconds: u64,
    /// Repeats of each tier; the tiers take turns.
    pub repeats: usize,
    /// Callers at once, for throughput.
    pub callers: usize,
    /// Lanes of the tier `lanes`.
    pub lanes: usize,
    /// Where durable tiers write; a folder is made in it and removed.
    pub dir: PathBuf,
    /// More rows for the kernel's table: a fleet's own agents.
    pub rows: Vec<(Arc<str>, Arc<GrantSet>)>,
    /// The node's metrics. Without them nothing is proven.
    pub counts: Option<Counts>,
    /// The binary that runs the fleets which are measured from outside.
    pub binary: Option<PathBuf>,
    /// Allocations of the process so far, if this build counts them.
    pub allocations: Option<fn() -> u64>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("tiers", &self.tiers).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tiers: Tier::PATH.to_vec(),
            agents: 10_000,
            starting: 1_000,
            sleeping: 640,
            grants: 20,
            payload: 64,
            seconds: 4,
            repeats: 7,
            callers: 64,
            lanes: std::thread::available_parallelism().map_or(2, usize::from),
            dir: PathBuf::from("."),
            rows: Vec::new(),
            counts: None,
            binary: None,
            allocations: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_found_by_its_name_and_its_letter() {
        for tier in Tier::ALL {
            assert_eq!(Tier::parse(tier.name()), [tier]);
            assert!(tier.letter() == "-" || Tier::parse(tier.letter()).contains(&tier));
        }
        assert_eq!(Tier::parse("e"), [Tier::Process, Tier::Power]);
        assert_eq!(Tier::parse("c2"), [Tier::Guest]);
        assert!(Tier::parse("f").is_empty() && Tier::parse("-").is_empty());
        assert_eq!(
            (Tier::PATH.first(), Tier::PATH.last()),
            (Some(&Tier::Host), Some(&Tier::Power))
        );
    }
}
