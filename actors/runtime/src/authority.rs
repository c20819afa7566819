//! Who owns the kernel's table, and where routes lead.
//!
//! One writer at a time changes the table by swapping in a new one; readers hold a cached pointer and never lock. It decides
//! nothing: that is the kernel's. Start reading at [`Authority`].

use crate::{Mailbox, ProviderWork, Service};
use arc_swap::{ArcSwap, Cache};
use loket_kernel::{Capability, Grant, GrantId, GrantSet, Moment, Principal, Route, Table};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// Why a principal or a service could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// All numbers are used up: they are never used again, so that no late call can be taken for another's.
    #[error("no number is left for {0}")]
    Full(Arc<str>),
    /// A capability is served by another service already.
    #[error("{capability} is served by another service already, not by {service}")]
    Served {
        /// Which capability.
        capability: String,
        /// Who wanted it.
        service: Arc<str>,
    },
}

impl AuthorityError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full(_) => "principals_full",
            Self::Served { .. } => "served_twice",
        }
    }
}

/// Where a route leads: the mailboxes of a service's shards, by lane.
#[derive(Debug, Clone)]
pub struct RouteTarget {
    /// The service.
    pub service: Arc<str>,
    /// Each shard with its lane; `None` is the system arbiter. In the order they came.
    pub shards: Vec<(Option<usize>, Mailbox<ProviderWork>)>,
}

impl RouteTarget {
    fn is_served(&self) -> bool {
        !self.shards.is_empty()
    }

    /// The shard for callers of this lane: the lane's own, or one that is chosen by the lane's number.
    pub fn for_lane(&self, lane: Option<usize>) -> Option<&Mailbox<ProviderWork>> {
        if let [(_, only)] = &*self.shards {
            return Some(only);
        }
        let own = self.shards.iter().find(|(at, _)| *at == lane);
        let other = || self.shards.get(lane.unwrap_or(0) % self.shards.len().max(1));
        own.or_else(other).map(|(_, mailbox)| mailbox)
    }
}

type Routes = Vec<RouteTarget>;

/// The node's table and routes.
#[derive(Debug)]
pub struct Authority {
    table: ArcSwap<Table>,
    routes: ArcSwap<Routes>,
    scopes: OnceLock<Arc<ScopeHints>>,
    writer: Mutex<Writer>,
}

/// The scope that a grant of a capability must name, as RON, by the capability: for the text of refusals only.
pub type ScopeHints = HashMap<String, String>;

#[derive(Debug, Default)]
struct Writer {
    next_principal: u32,
    /// How many grants have been made one principal's own. See [`own`].
    owned: u64,
    services: HashMap<Arc<str>, Route>,
    principals: HashMap<Arc<str>, Principal>,
}

impl Default for Authority {
    fn default() -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::default()),
            routes: ArcSwap::from_pointee(Routes::new()),
            scopes: OnceLock::new(),
            writer: Mutex::default(),
        }
    }
}

impl Authority {
    /// The table as it is now.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// A reader for one thread that looks only at a pointer when nothing has changed.
    pub fn reader(self: &Arc<Self>) -> AuthorityReader {
        let table = Cache::new(TableOf(Arc::clone(self)));
        let routes = Cache::new(RoutesOf(Arc::clone(self)));
        AuthorityReader { table, routes }
    }

    /// Tells which scopes grants must name. Once, before the tree runs; later calls are ignored.
    pub fn explain_scopes(&self, hints: ScopeHints) {
        let _ = self.scopes.set(Arc::new(hints));
    }

    /// What was told of scopes.
    pub(crate) fn scope_hints(&self) -> Arc<ScopeHints> {
        self.scopes.get().cloned().unwrap_or_default()
    }

    /// Takes in who calls; none of them can until its first [`set_incarnation`](Self::set_incarnation) unless `incarnation` is
    /// its present life.
    ///
    /// # Errors
    /// [`AuthorityError::Full`].
    pub fn enrol(
        &self,
        name: Arc<str>,
        incarnation: u64,
        grants: Arc<GrantSet>,
    ) -> Result<Principal, AuthorityError> {
        let mut writer = crate::lock(&self.writer);
        let number = writer.next_principal;
        let Some(next) = number.checked_add(1) else {
            return Err(AuthorityError::Full(name));
        };
        writer.next_principal = next;
        let principal = Principal(number);
        writer.principals.insert(Arc::clone(&name), principal);
        let grants = own(&mut writer.owned, grants);
        self.change(&writer, |table| table.with_principal(principal, name, incarnation, grants));
        Ok(principal)
    }

    /// The principal of this name.
    pub fn principal(&self, name: &str) -> Option<Principal> {
        crate::lock(&self.writer).principals.get(name).copied()
    }

    /// Forgets a principal: its late calls are refused.
    pub fn dismiss(&self, principal: Principal) {
        let mut writer = crate::lock(&self.writer);
        if let Some(name) = self.table.load().name(principal) {
            writer.principals.remove(name);
        }
        self.change(&writer, |table| table.without_principal(principal));
    }

    /// A principal begins a new life: calls of the earlier ones are refused from now on.
    pub fn set_incarnation(&self, principal: Principal, incarnation: u64) {
        let writer = crate::lock(&self.writer);
        self.change(&writer, |table| table.with_incarnation(principal, incarnation));
    }

    /// Gives a principal other grants.
    pub fn set_grants(&self, principal: Principal, grants: Arc<GrantSet>) {
        let mut writer = crate::lock(&self.writer);
        let grants = own(&mut writer.owned, grants);
        self.change(&writer, |table| table.with_grants(principal, grants));
    }

    /// Lets calls of `capability` by this one principal pass where its grant asks for an approval, until the lease is dropped, or
    /// `until`. `None`: no grant of its covers the capability, or none asks.
    pub fn lease(
        self: &Arc<Self>,
        principal: Principal,
        capability: &str,
        until: Moment,
    ) -> Option<Lease> {
        let writer = crate::lock(&self.writer);
        let table = self.table.load();
        let grants = table.grants(principal)?;
        let covering = grants.iter().filter(|grant| grant.capability().covers(capability));
        let grant = covering.max_by_key(|grant| grant.capability().as_str().len())?;
        let asks = grant.approve().iter().any(|rule| rule.covers(capability));
        let (id, capability) = (grant.id(), Capability::parse(capability).ok()?);
        if !asks {
            return None;
        }
        let lease = Lease { of: Arc::clone(self), grant: id, capability: capability.clone() };
        self.change(&writer, |table| table.with_lease(id, capability, until));
        Some(lease)
    }

    /// Takes a grant away, and all that came of it.
    pub fn revoke(&self, grant: GrantId) {
        let writer = crate::lock(&self.writer);
        self.change(&writer, |table| table.revoke(grant));
    }

    /// Adds a shard of a service; the first one brings the service's capabilities into the table.
    ///
    /// # Errors
    /// [`AuthorityError::Served`], [`AuthorityError::Full`]; nothing has changed then.
    pub fn serve(
        &self,
        service: &Service,
        lane: Option<usize>,
        mailbox: Mailbox<ProviderWork>,
    ) -> Result<Route, AuthorityError> {
        let mut writer = crate::lock(&self.writer);
        let (table, now) = (self.table.load(), self.routes.load());
        let known = writer.services.get(&service.name).copied();
        let is_served =
            |route: Route| now.get(route.0 as usize).is_some_and(RouteTarget::is_served);
        let other = |route: Route| Some(route) != known && is_served(route);
        let taken = |name: &str| table.route(name).is_some_and(other);
        if let Some(taken) = service.capabilities.iter().find(|c| taken(c.as_str())) {
            let (capability, service) = (taken.as_str().to_owned(), Arc::clone(&service.name));
            return Err(AuthorityError::Served { capability, service });
        }
        let mut routes = Routes::clone(&now);
        let route = match known {
            Some(route) => route,
            None => {
                let number = u32::try_from(routes.len());
                let full = |_| AuthorityError::Full(Arc::clone(&service.name));
                let route = Route(number.map_err(full)?);
                let (name, shards) = (Arc::clone(&service.name), Vec::new());
                routes.push(RouteTarget { service: name, shards });
                writer.services.insert(Arc::clone(&service.name), route);
                route
            }
        };
        if let Some(target) = routes.get_mut(route.0 as usize) {
            target.shards.push((lane, mailbox));
        }
        // First the way, then the right to go it.
        self.routes.store(Arc::new(routes));
        let capabilities = service.capabilities.iter();
        let served: Vec<_> = capabilities.map(|name| (name.clone(), route)).collect();
        self.change(&writer, |table| table.with_routes(served));
        Ok(route)
    }

    /// Takes a shard out of its service, because its place is gone. A service without any is served by nobody, and another one
    /// may take its capabilities.
    pub(crate) fn withdraw(&self, mailbox: &Mailbox<ProviderWork>) {
        let _writer = crate::lock(&self.writer);
        let mut routes = Routes::clone(&self.routes.load());
        for target in &mut routes {
            target.shards.retain(|(_, shard)| !shard.is(mailbox));
        }
        self.routes.store(Arc::new(routes));
    }

    /// The writer's lock is held, so that no change is lost.
    fn change(&self, _writer: &Writer, change: impl FnOnce(&Table) -> Table) {
        let next = change(&self.table.load());
        self.table.store(Arc::new(next));
    }
}

/// A person's word for one call. See [`Authority::lease`].
#[derive(Debug)]
#[must_use = "dropped, it is taken back"]
pub struct Lease {
    of: Arc<Authority>,
    grant: GrantId,
    capability: Capability,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let writer = crate::lock(&self.of.writer);
        // Over at the beginning of time, and so taken out by the second step; the leases of others end later.
        let (over, capability) = (Moment(0), self.capability.clone());
        self.of.change(&writer, |table| {
            table.with_lease(self.grant, capability, over).without_old_leases(over)
        });
    }
}

/// The first id of grants that belong to one principal alone; those of fleet files are counted from 1.
const OWN_GRANTS: u64 = 1 << 63;

/// A set whose grants that ask for approvals are this principal's alone: the children of a template share their grants, and a
/// lease for one of them must not let another's call pass. Each is a child of the grant that it came from, so that revoking that
/// one still reaches it.
fn own(owned: &mut u64, grants: Arc<GrantSet>) -> Arc<GrantSet> {
    if grants.iter().all(|grant| grant.approve().is_empty()) {
        return grants;
    }
    let mut own = |grant: &Grant| {
        if grant.approve().is_empty() {
            return Ok(grant.clone());
        }
        let id = GrantId(OWN_GRANTS.saturating_add(*owned));
        *owned += 1;
        let (capability, scope) = (grant.capability().clone(), Arc::clone(grant.scope()));
        grant.attenuate(Grant::new(capability, scope, None, Vec::new(), None, id))
    };
    let set: Result<Vec<_>, _> = grants.iter().map(&mut own).collect();
    match set.and_then(GrantSet::new) {
        Ok(set) => Arc::new(set),
        Err(error) => {
            // Only a grant that was attenuated too often already. Denied by default, rather than leased to others.
            tracing::error!(
                "a set of grants cannot be made one principal's own, it grants nothing: {error}"
            );
            Arc::new(GrantSet::default())
        }
    }
}

/// One thread's view of the table and the routes.
pub struct AuthorityReader {
    table: Cache<TableOf, Arc<Table>>,
    routes: Cache<RoutesOf, Arc<Routes>>,
}

impl AuthorityReader {
    /// The table as it is now.
    #[inline]
    pub fn table(&mut self) -> &Table {
        self.table.load()
    }

    /// Where a route leads for callers of this lane.
    #[inline]
    pub fn target(&mut self, route: Route, lane: Option<usize>) -> Option<&Mailbox<ProviderWork>> {
        self.routes.load().get(route.0 as usize)?.for_lane(lane)
    }
}

struct TableOf(Arc<Authority>);

impl std::ops::Deref for TableOf {
    type Target = ArcSwap<Table>;
    fn deref(&self) -> &Self::Target {
        &self.0.table
    }
}

struct RoutesOf(Arc<Authority>);

impl std::ops::Deref for RoutesOf {
    type Target = ArcSwap<Routes>;
    fn deref(&self) -> &Self::Target {
        &self.0.routes
    }
}
