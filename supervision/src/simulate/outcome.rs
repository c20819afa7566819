//! The tree as it stands at the end of a simulation.

use crate::fleet::Node;
use crate::machine::{ChildState, ChildView};

use super::target::is_pool;
use super::trace::Shown;
use super::world::{Site, World};

impl World<'_> {
    /// The tree from the root down.
    pub(super) fn tree(&self) -> Shown {
        let running = self.sites.first().is_some_and(|root| root.machine.is_some());
        let id = self.sites.first().map(|root| root.spec.id.clone()).unwrap_or_default();
        Shown {
            id,
            kind: "supervisor",
            state: if running { "running" } else { "stopped" },
            incarnation: 1,
            restarts: 0,
            last_exit: None,
            children: self.children_of(0),
        }
    }

    fn children_of(&self, place: usize) -> Vec<Shown> {
        let Some(site) = self.sites.get(place) else { return Vec::new() };
        if is_pool(site) {
            let living = site.machine.iter().flat_map(|machine| machine.children());
            return living.map(|view| shown(site, "agent", Some(&view), &view.id)).collect();
        }
        let one = |node: &Node| {
            let view = site.machine.as_ref().and_then(|machine| machine.child(node.id()));
            let kind = match node {
                Node::Supervisor(_) => "supervisor",
                Node::Provider(_) => "provider",
                Node::Agent(_) => "agent",
            };
            let mut own = shown(site, kind, view.as_ref(), node.id());
            let at = self.sites.iter().position(|below| {
                below
                    .above
                    .as_ref()
                    .is_some_and(|(above, id)| *above == place && **id == *node.id())
            });
            own.children = at.map(|at| self.children_of(at)).unwrap_or_default();
            own
        };
        site.spec.children.iter().map(one).collect()
    }
}

fn shown(site: &Site<'_>, kind: &'static str, view: Option<&ChildView>, id: &str) -> Shown {
    let state = match view.map(|view| view.state) {
        Some(ChildState::Restarting { .. }) => "restarting",
        None | Some(ChildState::Undefined | ChildState::Exited) => "stopped",
        Some(_) => "running",
    };
    Shown {
        id: id.to_owned(),
        kind,
        state,
        incarnation: site.last.get(id).copied().unwrap_or(0),
        restarts: view.map_or(0, |view| view.restarts),
        last_exit: view.and_then(|view| view.last_exit.as_ref()).map(ToString::to_string),
        children: Vec::new(),
    }
}
