//! The table: who may call, with which grants, and who serves what. Immutable; a change makes a new one
//! that shares all that did not change. Never copied per agent, never locked.

use crate::grant::{Grant, GrantId, GrantSet, Prefixes};
use crate::lookup::{Index, Radix, hash};
use crate::{Capability, Moment, Principal, Route};
use std::{collections::BTreeMap, sync::Arc};

/// One principal. Its own allocation, so that badges count references on a line no other lane writes.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: Arc<str>,
    pub(crate) incarnation: u64,
    pub(crate) grants: Arc<GrantSet>,
    /// The same set once more: one step less on the way to a grant.
    pub(crate) set: GrantSet,
}

/// A capability that is served, and the hashes that the search for its grant needs.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    capability: Capability,
    pub(crate) route: Route,
    pub(crate) prefixes: Prefixes,
}

#[derive(Debug, Default)]
struct Routes {
    served: Vec<Served>,
    index: Index,
}

type Leases = BTreeMap<GrantId, Vec<(Capability, Moment)>>;

/// All that admission knows. A clone is four reference counts.
#[derive(Clone, Debug, Default)]
pub struct Table {
    principals: Radix<Row>,
    routes: Arc<Routes>,
    revoked: Arc<Vec<GrantId>>,
    leases: Arc<Leases>,
}

impl Table {
    /// With a provider for exactly this capability, in place of the one it had.
    pub fn with_route(&self, capability: Capability, route: Route) -> Self {
        self.with_routes([(capability, route)])
    }

    /// With a provider for each of these capabilities; copies the routes once.
    pub fn with_routes(&self, routes: impl IntoIterator<Item = (Capability, Route)>) -> Self {
        let mut by_name: BTreeMap<_, _> =
            self.capabilities().map(|(c, r)| (c.clone(), r)).collect();
        by_name.extend(routes);
        let served: Vec<Served> = (by_name.into_iter())
            .filter_map(|(capability, route)| {
                Some(Served {
                    prefixes: Prefixes::of(capability.as_str())?,
                    capability,
                    route,
                })
            })
            .collect();
        let index = Index::new(
            served
                .iter()
                .map(|s| hash(s.capability.as_str().as_bytes())),
        );
        Self {
            routes: Arc::new(Routes { served, index }),
            ..self.clone()
        }
    }

    /// With a principal, in place of the one that had its index.
    pub fn with_principal(
        &self,
        principal: Principal,
        name: Arc<str>,
        incarnation: u64,
        grants: Arc<GrantSet>,
    ) -> Self {
        self.with_principals([(principal, name, incarnation, grants)])
    }

    /// With these principals; copies each part of the tree at most once.
    pub fn with_principals(
        &self,
        rows: impl IntoIterator<Item = (Principal, Arc<str>, u64, Arc<GrantSet>)>,
    ) -> Self {
        let mut table = self.clone();
        for (principal, name, incarnation, grants) in rows {
            let row = Row {
                name,
                incarnation,
                set: GrantSet::clone(&grants),
                grants,
            };
            table.principals.set(principal.0, Some(Arc::new(row)));
        }
        table
    }

    /// With a principal in its next life; the same table if there is no such principal.
    pub fn with_incarnation(&self, principal: Principal, incarnation: u64) -> Self {
        self.changed(principal, |row| row.incarnation = incarnation)
    }

    /// With other grants for a principal; the same table if there is no such principal.
    pub fn with_grants(&self, principal: Principal, grants: Arc<GrantSet>) -> Self {
        self.changed(principal, |row| {
            row.set = GrantSet::clone(&grants);
            row.grants = grants;
        })
    }

    fn changed(&self, principal: Principal, change: impl FnOnce(&mut Row)) -> Self {
        let mut table = self.clone();
        if let Some(row) = self.row(principal) {
            let mut row = Row::clone(row);
            change(&mut row);
            table.principals.set(principal.0, Some(Arc::new(row)));
        }
        table
    }

    /// Without a principal.
    pub fn without_principal(&self, principal: Principal) -> Self {
        let mut table = self.clone();
        if self.row(principal).is_some() {
            table.principals.set(principal.0, None);
        }
        table
    }

    /// Without a grant and all that was attenuated from it, whoever holds it, for good.
    pub fn revoke(&self, grant: GrantId) -> Self {
        let mut table = self.clone();
        if let Err(at) = self.revoked.binary_search(&grant) {
            Arc::make_mut(&mut table.revoked).insert(at, grant);
        }
        table
    }

    /// The grants revoked so far, in order of their ids: what has to outlive the process.
    pub fn revoked(&self) -> &[GrantId] {
        &self.revoked
    }

    /// With an approval: calls under the grant, of the capability or below it, pass before `until`.
    pub fn with_lease(&self, grant: GrantId, capability: Capability, until: Moment) -> Self {
        let mut table = self.clone();
        let leases = Arc::make_mut(&mut table.leases).entry(grant).or_default();
        leases.retain(|(held, _)| *held != capability);
        leases.push((capability, until));
        table
    }

    /// Without the leases that are over at `now`.
    pub fn without_old_leases(&self, now: Moment) -> Self {
        let mut table = self.clone();
        Arc::make_mut(&mut table.leases).retain(|_, leases| {
            leases.retain(|(_, until)| now < *until);
            !leases.is_empty()
        });
        table
    }

    /// A principal's name in the tree.
    pub fn name(&self, principal: Principal) -> Option<&Arc<str>> {
        self.row(principal).map(|row| &row.name)
    }

    /// A principal's grants.
    pub fn grants(&self, principal: Principal) -> Option<&Arc<GrantSet>> {
        self.row(principal).map(|row| &row.grants)
    }

    /// A principal's present life.
    pub fn incarnation(&self, principal: Principal) -> Option<u64> {
        self.row(principal).map(|row| row.incarnation)
    }

    /// Who serves exactly this capability.
    pub fn route(&self, capability: &str) -> Option<Route> {
        self.served(capability).map(|served| served.route)
    }

    /// All that is served and by whom, in order of the names.
    pub fn capabilities(&self) -> impl Iterator<Item = (&Capability, Route)> {
        self.routes
            .served
            .iter()
            .map(|served| (&served.capability, served.route))
    }

    /// A served capability whose name is at most two slips from this one, for a hint. Not for the hot
    /// path: looks at every route.
    pub fn nearest(&self, name: &str) -> Option<&Capability> {
        let near = |c: &Capability| c.as_str().len().abs_diff(name.len()) <= 2;
        let all = self
            .capabilities()
            .map(|(capability, _)| capability)
            .filter(|c| near(c));
        let (slips, best) = all.map(|c| (slips(c.as_str(), name), c)).min()?;
        (slips <= 2).then_some(best)
    }

    #[inline]
    pub(crate) fn row(&self, principal: Principal) -> Option<&Arc<Row>> {
        self.principals.get(principal.0)
    }

    #[inline]
    pub(crate) fn served(&self, name: &str) -> Option<&Served> {
        let Routes { served, index } = &*self.routes;
        let same = |at: usize| served[at].capability.as_str() == name;
        index
            .find(hash(name.as_bytes()), same)
            .map(|at| &served[at])
    }

    #[inline]
    pub(crate) fn is_revoked(&self, grant: &Grant) -> bool {
        let dead = |id: &GrantId| self.revoked.binary_search(id).is_ok();
        !self.revoked.is_empty() && (dead(&grant.id()) || grant.lineage().iter().any(dead))
    }

    pub(crate) fn leased(&self, grant: GrantId, name: &str, now: Moment) -> bool {
        let leases = self.leases.get(&grant).map_or(&[][..], Vec::as_slice);
        leases
            .iter()
            .any(|(capability, until)| capability.covers(name) && now < *until)
    }
}

/// Levenshtein's distance in bytes.
fn slips(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let swap = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = swap.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
