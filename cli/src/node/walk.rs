//! All children of a fleet file, each with its supervisor.

use loket_supervision::fleet::{AgentSpec, Node, Strategy, SupervisorSpec};
use std::collections::HashMap;

/// Every child below a supervisor, in no order that means anything.
pub(super) fn children(root: &SupervisorSpec) -> Vec<(&SupervisorSpec, &Node)> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(supervisor) = open.pop() {
        for child in &supervisor.children {
            found.push((supervisor, child));
            if let Node::Supervisor(below) = child {
                open.push(below);
            }
        }
    }
    found
}

/// Every child below a supervisor by its id, but templates: nobody is called as they are.
pub(super) fn by_id(root: &SupervisorSpec) -> HashMap<&str, &Node> {
    let named = children(root).into_iter().filter(|(supervisor, _)| !is_pool(supervisor));
    named.map(|(_, child)| (child.id(), child)).collect()
}

/// A supervisor's own children by id.
pub(super) fn own(supervisor: &SupervisorSpec) -> HashMap<&str, &Node> {
    supervisor.children.iter().map(|child| (child.id(), child)).collect()
}

/// The agents that the file names one by one.
pub(super) fn static_agents(root: &SupervisorSpec) -> impl Iterator<Item = &AgentSpec> {
    agents(root).filter(|(supervisor, _)| !is_pool(supervisor)).map(|(_, agent)| agent)
}

/// The templates of SimpleOneForOne supervisors, each with its supervisor.
pub(super) fn templates(
    root: &SupervisorSpec,
) -> impl Iterator<Item = (&SupervisorSpec, &AgentSpec)> {
    agents(root).filter(|(supervisor, _)| is_pool(supervisor))
}

fn agents(root: &SupervisorSpec) -> impl Iterator<Item = (&SupervisorSpec, &AgentSpec)> {
    children(root).into_iter().filter_map(|(supervisor, child)| match child {
        Node::Agent(agent) => Some((supervisor, agent)),
        _ => None,
    })
}

fn is_pool(supervisor: &SupervisorSpec) -> bool {
    supervisor.strategy == Strategy::SimpleOneForOne
}

/// The agents that the file names at and below a child.
pub(super) fn named(node: &Node) -> Vec<&str> {
    match node {
        Node::Agent(agent) => vec![&agent.id],
        Node::Provider(_) => Vec::new(),
        Node::Supervisor(below) => static_agents(below).map(|agent| &*agent.id).collect(),
    }
}
