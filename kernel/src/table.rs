//! The table: who may call, with which grants, and who serves what. Immutable; a change makes a new
//! one that shares all that did not change. Never copied per agent, never locked.

use crate::grant::{GrantId, GrantSet, Prefixes};
use crate::lookup::{Index, Radix, hash};
use crate::{Capability, Moment, Principal, Route};
use std::{collections::BTreeMap, sync::Arc};

/// What badges and refusals keep of a principal. An allocation of its own for each, so that they
/// count references on a line that no other lane writes.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: Arc<str>,
    /// Here, so that this line is fetched while the grants are searched, not after.
    pub(crate) incarnation: u64,
    pub(crate) grants: Arc<GrantSet>,
}

/// One principal: what admission asks first lies in the tree itself, one miss less on the way.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) set: GrantSet,
    pub(crate) row: Arc<Row>,
}

impl Entry {
    fn new(name: Arc<str>, incarnation: u64, grants: Arc<GrantSet>) -> Self {
        let set = GrantSet::clone(&grants);
        Self { set, row: Arc::new(Row { name, incarnation, grants }) }
    }
}

/// A capability that is served, and the hashes that the search for its grant needs.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    capability: Capability,
    pub(crate) route: Route,
    pub(crate) prefixes: Prefixes,
}

type Leases = BTreeMap<GrantId, Vec<(Capability, Moment)>>;

/// All that admission knows. A clone is four reference counts.
#[derive(Clone, Debug, Default)]
pub struct Table {
    principals: Radix<Entry>,
    routes: Index<Served>,
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
        let served = by_name.into_iter().filter_map(|(capability, route)| {
            let prefixes = Prefixes::of(capability.as_str())?;
            Some((hash(capability.as_str().as_bytes()), Served { prefixes, capability, route }))
        });
        let served: Vec<(u64, Served)> = served.collect();
        Self { routes: Index::new(served.into_iter()), ..self.clone() }
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
            table.principals.set(principal.0, Some(Entry::new(name, incarnation, grants)));
        }
        table
    }

    /// With a principal in its next life; the same table if there is no such principal.
    pub fn with_incarnation(&self, principal: Principal, incarnation: u64) -> Self {
        let renew = |old: &Row| Entry::new(old.name.clone(), incarnation, old.grants.clone());
        self.replaced(principal, self.entry(principal).map(|old| renew(&old.row)))
    }

    /// With other grants for a principal; the same table if there is no such principal.
    pub fn with_grants(&self, principal: Principal, grants: Arc<GrantSet>) -> Self {
        let renew = |old: &Row| Entry::new(old.name.clone(), old.incarnation, grants);
        self.replaced(principal, self.entry(principal).map(|old| renew(&old.row)))
    }

    /// Without a principal.
    pub fn without_principal(&self, principal: Principal) -> Self {
        self.replaced(principal, None)
    }

    fn replaced(&self, principal: Principal, entry: Option<Entry>) -> Self {
        let mut table = self.clone();
        if self.entry(principal).is_some() {
            table.principals.set(principal.0, entry);
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

    /// A served capability whose name is at most two slips from this one, for a hint. Not for the
    /// hot path: looks at every route.
    pub fn nearest(&self, name: &str) -> Option<&Capability> {
        let near = |c: &Capability| c.as_str().len().abs_diff(name.len()) <= 2;
        let all = self.capabilities().map(|(capability, _)| capability).filter(|c| near(c));
        let (slips, best) = all.map(|c| (slips(c.as_str(), name), c)).min()?;
        (slips <= 2).then_some(best)
    }

    #[inline]
    pub(crate) fn entry(&self, principal: Principal) -> Option<&Entry> {
        self.principals.get(principal.0)
    }

    #[inline]
    pub(crate) fn served(&self, name: &str) -> Option<&Served> {
        self.routes.find(hash(name.as_bytes()), |served| served.capability.as_str() == name)
    }

    #[inline]
    pub(crate) fn is_revoked(&self, set: &GrantSet, at: u32) -> bool {
        let dead = |id: &GrantId| self.revoked.binary_search(id).is_ok();
        !self.revoked.is_empty()
            && (dead(&set.at(at).id()) || set.at(at).lineage().iter().any(dead))
    }

    pub(crate) fn leased(&self, grant: GrantId, name: &str, now: Moment) -> bool {
        let leases = self.leases.get(&grant).map_or(&[][..], Vec::as_slice);
        leases.iter().any(|(capability, until)| capability.covers(name) && now < *until)
    }
}

#[rustfmt::skip]
impl Table {
    /// A principal's name in the tree.
    pub fn name(&self, of: Principal) -> Option<&Arc<str>> { Some(&self.entry(of)?.row.name) }
    /// A principal's grants.
    pub fn grants(&self, of: Principal) -> Option<&Arc<GrantSet>> {
        Some(&self.entry(of)?.row.grants)
    }
    /// A principal's present life.
    pub fn incarnation(&self, of: Principal) -> Option<u64> {
        Some(self.entry(of)?.row.incarnation)
    }
    /// Who serves exactly this capability.
    pub fn route(&self, capability: &str) -> Option<Route> { Some(self.served(capability)?.route) }
    /// The grants revoked so far, in order of their ids: what has to outlive the process.
    pub fn revoked(&self) -> &[GrantId] { &self.revoked }
    /// All that is served and by whom, in no order.
    pub fn capabilities(&self) -> impl Iterator<Item = (&Capability, Route)> {
        self.routes.iter().map(|served| (&served.capability, served.route))
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
