//! The table: who may call, with which grants, and who serves what. Immutable; a change makes a new
//! one that shares all that did not change. Never copied per agent, never locked.

use crate::grant::{GrantId, GrantSet, Prefixes, prefixes};
use crate::lookup::{Index, Radix, find, get, hash, index, set};
use crate::{Capability, Moment, Principal, Route};
use std::{collections::BTreeMap, sync::Arc};

/// What badges and refusals keep of a principal: their counts are on a line no other lane writes.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: Arc<str>,
    pub(crate) incarnation: u64,
    pub(crate) grants: Arc<GrantSet>,
}

/// One principal: what admission asks first lies in the tree itself, one miss less on the way.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) grants: GrantSet,
    pub(crate) row: Arc<Row>,
}

/// A capability that is served, and the hashes that the search for its grant needs.
#[derive(Debug)]
pub(crate) struct Served {
    capability: Capability,
    pub(crate) route: Route,
    pub(crate) prefixes: Prefixes,
}

/// All that admission knows. A clone is four reference counts.
#[derive(Clone, Debug, Default)]
pub struct Table {
    principals: Radix<Entry>,
    routes: Index<Served>,
    revoked: Arc<Vec<GrantId>>,
    /// Few: each is a person's answer.
    leases: Arc<BTreeMap<(GrantId, Capability), Moment>>,
}

impl Table {
    /// With a provider for exactly each of these, in place of the one it had. Copies all routes.
    pub fn with_routes(&self, routes: impl IntoIterator<Item = (Capability, Route)>) -> Self {
        let old = self.capabilities().map(|(capability, route)| (capability.clone(), route));
        let all: BTreeMap<Capability, Route> = old.chain(routes).collect();
        let served = all.into_iter().map(|(capability, route)| {
            let prefixes = prefixes(&capability);
            (hash(capability.as_str().as_bytes()), Served { capability, route, prefixes })
        });
        Self { routes: index(served), ..self.clone() }
    }

    /// With a principal, in place of the one that had its index.
    #[rustfmt::skip]
    pub fn with_principal(
        &self, who: Principal, name: Arc<str>, incarnation: u64, grants: Arc<GrantSet>,
    ) -> Self {
        let (mut table, near) = (self.clone(), GrantSet::clone(&grants));
        let row = Arc::new(Row { name, incarnation, grants });
        set(&mut table.principals, who.0, Some(Entry { grants: near, row }));
        table
    }

    /// With a principal in its next life; the same table if there is no such principal.
    pub fn with_incarnation(&self, who: Principal, incarnation: u64) -> Self {
        let Some(Entry { row, .. }) = self.entry(who) else { return self.clone() };
        self.with_principal(who, row.name.clone(), incarnation, row.grants.clone())
    }

    /// With other grants for a principal; the same table if there is no such principal.
    pub fn with_grants(&self, who: Principal, grants: Arc<GrantSet>) -> Self {
        let Some(Entry { row, .. }) = self.entry(who) else { return self.clone() };
        self.with_principal(who, row.name.clone(), row.incarnation, grants)
    }

    /// Without a principal.
    pub fn without_principal(&self, who: Principal) -> Self {
        let mut table = self.clone();
        if self.entry(who).is_some() {
            set(&mut table.principals, who.0, None);
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
        Arc::make_mut(&mut table.leases).insert((grant, capability), until);
        table
    }

    /// Without the leases that are over at `now`.
    pub fn without_old_leases(&self, now: Moment) -> Self {
        let mut table = self.clone();
        Arc::make_mut(&mut table.leases).retain(|_, until| now < *until);
        table
    }

    #[inline]
    pub(crate) fn served(&self, name: &str) -> Option<&Served> {
        find(&self.routes, hash(name.as_bytes()), |served| served.capability.as_str() == name)
    }

    #[inline]
    pub(crate) fn is_revoked(&self, set: &GrantSet, at: u16) -> bool {
        let dead = |id: &GrantId| self.revoked.binary_search(id).is_ok();
        !self.revoked.is_empty()
            && (dead(&set.at(at).id()) || set.at(at).lineage().iter().any(dead))
    }

    pub(crate) fn leased(&self, grant: GrantId, name: &str, now: Moment) -> bool {
        let mut leases = self.leases.iter().filter(|((of, _), _)| *of == grant);
        leases.any(|((_, capability), until)| capability.covers(name) && now < *until)
    }
}

#[rustfmt::skip]
impl Table {
    pub(crate) fn entry(&self, of: Principal) -> Option<&Entry> { get(&self.principals, of.0) }
    fn row(&self, of: Principal) -> Option<&Row> { Some(&self.entry(of)?.row) }
    /// A principal's name in the tree.
    pub fn name(&self, of: Principal) -> Option<&Arc<str>> { Some(&self.row(of)?.name) }
    /// A principal's grants.
    pub fn grants(&self, of: Principal) -> Option<&Arc<GrantSet>> { Some(&self.row(of)?.grants) }
    /// A principal's present life.
    pub fn incarnation(&self, of: Principal) -> Option<u64> { Some(self.row(of)?.incarnation) }
    /// Who serves exactly this capability.
    pub fn route(&self, capability: &str) -> Option<Route> { Some(self.served(capability)?.route) }
    /// The grants revoked so far, in order of their ids: what has to outlive the process.
    pub fn revoked(&self) -> &[GrantId] { &self.revoked }
    /// All that is served and by whom, in no order.
    pub fn capabilities(&self) -> impl Iterator<Item = (&Capability, Route)> {
        self.routes.iter().flatten().map(|served| (&served.capability, served.route))
    }
}
