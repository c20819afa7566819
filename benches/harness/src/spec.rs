//! The agents of a measured node, by way of a fleet file: with the defaults that an agent of any fleet has.

use crate::BenchError;
use crate::guest::{CALLING, WRITING};
use loket_supervision::fleet::{
    self, AgentSpec, CapabilityFact, Catalog, ConfigError, ModuleFact, Node, ProviderFacts,
};

/// What a fleet file would say of them. Their grants are made apart.
const FLEET: &str = r#"Fleet(version: 1, name: "bench", root: Supervisor(children: [
    Agent(id: "calling", module: "bench-caller", limits: (deadline: "10m")),
    Agent(id: "writing", module: "echo", charge: Letter, max_attempts: 1, mailbox: (capacity: 100000)),
]))"#;

/// Nothing but modules, which are there.
struct Modules;

impl Catalog for Modules {
    fn provider_kinds(&self) -> Vec<String> {
        Vec::new()
    }

    fn check_provider(&self, kind: &str, _: &str) -> Result<ProviderFacts, ConfigError> {
        Err(ConfigError { message: format!("there is no provider {kind}"), offset: None })
    }

    fn system_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn builtin_capabilities(&self) -> Vec<CapabilityFact> {
        Vec::new()
    }

    fn module(&self, _: &str) -> ModuleFact {
        ModuleFact::Ok
    }
}

/// Which guest an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Calls as often as it is told.
    Calling,
    /// Writes once a turn.
    Writing,
}

/// An agent of this name.
pub(crate) fn agent(name: &str, guest: Guest) -> Result<AgentSpec, BenchError> {
    let parsed = fleet::parse(FLEET, "bench.ron", &[], &Modules);
    let (fleet, _) = parsed.map_err(|findings| {
        BenchError::Setup(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    let module = if guest == Guest::Calling { CALLING } else { WRITING };
    let specs = fleet.root.children.into_iter().filter_map(|child| match child {
        Node::Agent(spec) if spec.module == module => Some(spec),
        _ => None,
    });
    let mut specs = specs;
    let spec = specs.next().ok_or_else(|| BenchError::setup("the fleet has no such agent"))?;
    Ok(AgentSpec { id: name.to_owned(), ..spec })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_agents_are_made() {
        for guest in [Guest::Calling, Guest::Writing] {
            assert_eq!(agent("a/1", guest).unwrap().id, "a/1");
        }
    }
}
