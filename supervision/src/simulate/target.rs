//! Whom a name means: an id, a path in the tree, or a dynamic child.

use crate::fleet::{Node, Strategy};
use crate::machine::ChildId;

use super::world::{Site, World};

/// A name that means no child.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fleet has no child \"{name}\"{}", hint(.near.as_deref()))]
pub struct UnknownChild {
    /// As it was given.
    pub name: String,
    /// The nearest name there is.
    pub near: Option<String>,
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

/// A child, by its supervisor's place.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// The root supervisor.
    Root,
    /// Of the file.
    Child(usize, ChildId),
    /// Of a SimpleOneForOne supervisor.
    Dynamic(usize, ChildId),
}

/// Finds a child by an id, by a path, or by `SUPERVISOR/NAME`.
pub(super) fn find(world: &World<'_>, name: &str) -> Result<Target, UnknownChild> {
    let root = world.sites.first();
    if root.is_some_and(|root| name == root.path) {
        return Ok(Target::Root);
    }
    for (place, site) in world.sites.iter().enumerate().filter(|(_, site)| !is_pool(site)) {
        let named = |child: &&Node| child.id() == name || site.path_of(child.id()) == name;
        if let Some(child) = site.spec.children.iter().find(named) {
            return Ok(Target::Child(place, child.id().into()));
        }
    }
    if let Some((supervisor, own)) = name.rsplit_once('/') {
        let pool = |site: &Site<'_>| {
            is_pool(site) && (site.spec.id == supervisor || site.path == supervisor)
        };
        let place = world.sites.iter().position(pool).filter(|_| !own.is_empty());
        if let Some((place, site)) = place.and_then(|at| Some((at, world.sites.get(at)?))) {
            return Ok(Target::Dynamic(place, format!("{}/{own}", site.spec.id).into()));
        }
    }
    Err(UnknownChild { name: name.to_owned(), near: nearest(world, name) })
}

fn nearest(world: &World<'_>, name: &str) -> Option<String> {
    let sites = world.sites.iter().filter(|site| !is_pool(site));
    let ids = sites.flat_map(|site| site.spec.children.iter().map(Node::id));
    let own = name.rsplit('/').next().unwrap_or(name);
    crate::fleet::nearest::nearest(own, ids).map(str::to_owned)
}

pub(super) fn is_pool(site: &Site<'_>) -> bool {
    site.spec.strategy == Strategy::SimpleOneForOne
}
