//! Grants: the right to a capability. They come from the fleet file or by [`Grant::attenuate`] from
//! one that is held, and a child is never wider than its parent. Never looks at a clock or a
//! principal.

use crate::lookup::{Index, hash};
use crate::name::{Capability, MAX_NAME, MAX_SEGMENTS};
use crate::{Moment, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most grants in one set.
pub const MAX_GRANTS: usize = 4096;
/// Most approval rules in one grant: they are looked through at each call.
pub const MAX_RULES: usize = 64;
/// Most attenuations between a grant and the fleet file: they are looked through once one is
/// revoked.
pub const MAX_DEPTH: usize = 16;

/// Names a grant in the whole fleet, and its generation: never used again, even for the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(pub u64);

/// Names a budget of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetRef(pub u64);

errors! {
    /// Why a grant or a set of grants cannot be.
    pub enum GrantError {
        /// two grants of one set are for {capability}
        Twice(capability: Capability) = "K121",
        /// the set has more than {MAX_GRANTS} grants
        TooMany = "K122",
        /// the parent does not cover {capability}
        Capability(capability: Capability) = "K123",
        /// the scope is not within the parent's, key by key
        Scope = "K124",
        /// the budget is not the parent's
        Budget = "K125",
        /// the expiry is later than the parent's
        Expiry = "K126",
        /// the grant has more than {MAX_RULES} approval rules
        TooManyRules = "K127",
        /// the grant is attenuated more than {MAX_DEPTH} times
        TooDeep = "K128",
        /// the id {id:?} is the parent's or that of one above it
        Id(id: GrantId) = "K129",
    }
}

/// The right to a capability and all below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    capability: Capability,
    scope: Arc<Scope>,
    budget: Option<BudgetRef>,
    approve: Arc<[Capability]>,
    expires: Option<Moment>,
    id: GrantId,
    /// The ids above this grant, the oldest first, so that revoking any of them reaches it.
    lineage: Arc<[GrantId]>,
}

/// What a holder asks of [`Grant::attenuate`].
#[derive(Clone, Debug)]
pub struct Attenuation {
    /// The parent's capability or one below it.
    pub capability: Capability,
    /// A scope within the parent's.
    pub scope: Arc<Scope>,
    /// No later than the parent's; nothing means the parent's.
    pub expires: Option<Moment>,
    /// The parent's, if it has one; nothing means the parent's.
    pub budget: Option<BudgetRef>,
    /// Approval rules besides the parent's, which all stay.
    pub approve: Vec<Capability>,
}

impl Grant {
    /// A grant of the fleet file. `approve`: names that, and below which, each call needs a lease.
    pub fn new(
        capability: Capability,
        scope: Arc<Scope>,
        budget: Option<BudgetRef>,
        approve: Vec<Capability>,
        expires: Option<Moment>,
        id: GrantId,
    ) -> Self {
        let (approve, lineage) = (approve.into(), Arc::default());
        Self { capability, scope, budget, approve, expires, id, lineage }
    }

    /// A grant that gives no more than this one in capability, scope, budget and expiry, and needs
    /// at least its approvals. Dies with it.
    pub fn attenuate(&self, ask: Attenuation, id: GrantId) -> Result<Self, GrantError> {
        let expires = ask.expires.or(self.expires);
        if !self.capability.covers(ask.capability.as_str()) {
            return Err(GrantError::Capability(ask.capability));
        } else if !ask.scope.within(&self.scope) {
            return Err(GrantError::Scope);
        } else if self.budget.is_some() && ask.budget.is_some() && self.budget != ask.budget {
            return Err(GrantError::Budget);
        } else if self.expires.is_some_and(|parent| expires > Some(parent)) {
            return Err(GrantError::Expiry);
        } else if id == self.id || self.lineage.contains(&id) {
            return Err(GrantError::Id(id));
        } else if self.lineage.len() == MAX_DEPTH {
            return Err(GrantError::TooDeep);
        }
        let mut approve = self.approve.to_vec();
        for rule in ask.approve {
            if !approve.iter().any(|held| held.covers(rule.as_str())) {
                approve.push(rule);
            }
        }
        if approve.len() > MAX_RULES {
            return Err(GrantError::TooManyRules);
        }
        let lineage = self.lineage.iter().copied().chain([self.id]).collect();
        let (capability, budget) = (ask.capability, ask.budget.or(self.budget));
        let (scope, approve) = (ask.scope, approve.into());
        Ok(Self { capability, scope, budget, approve, expires, id, lineage })
    }
}

#[rustfmt::skip]
impl Grant {
    /// What the grant is for.
    pub fn capability(&self) -> &Capability { &self.capability }
    /// What the provider is to hold the arguments to.
    pub fn scope(&self) -> &Arc<Scope> { &self.scope }
    /// The budget that calls draw on.
    pub fn budget(&self) -> Option<BudgetRef> { self.budget }
    /// The names that need an approval lease.
    pub fn approve(&self) -> &[Capability] { &self.approve }
    /// When the grant ends.
    pub fn expires(&self) -> Option<Moment> { self.expires }
    /// The grant's id.
    pub fn id(&self) -> GrantId { self.id }
    /// The grant that this one was attenuated from.
    pub fn parent(&self) -> Option<GrantId> { self.lineage.last().copied() }
    /// The ids above this grant, the oldest first.
    pub fn lineage(&self) -> &[GrantId] { &self.lineage }
}

/// The hashes of a name and of what is above it, shortest first; made once per route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefixes {
    count: usize,
    ends: [u16; MAX_SEGMENTS],
    hashes: [u64; MAX_SEGMENTS],
}

impl Prefixes {
    /// `None` for what is too long, or has too many segments, to be a name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut all = Self { count: 0, ends: [0; MAX_SEGMENTS], hashes: [0; MAX_SEGMENTS] };
        if name.len() > MAX_NAME {
            return None;
        }
        let dots = name.match_indices('.').map(|(at, _)| at);
        for end in dots.chain([name.len()]) {
            *all.ends.get_mut(all.count)? = end as u16;
            all.hashes[all.count] = hash(&name.as_bytes()[..end]);
            all.count += 1;
        }
        Some(all)
    }
}

/// Longest name that is kept in a key; longer ones are looked up in the grant.
const INLINE: usize = 42;

/// What admission asks of a grant, on one cache line: over a million grants each line is a miss.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Key {
    pub(crate) ends: Option<Moment>,
    pub(crate) at: u32,
    pub(crate) has_rules: bool,
    length: u8,
    name: [u8; INLINE],
}

impl Key {
    fn new(at: usize, grant: &Grant) -> (u64, Self) {
        let text = grant.capability.as_str().as_bytes();
        let (mut name, length) = ([0; INLINE], text.len().min(INLINE));
        name[..length].copy_from_slice(&text[..length]);
        let (length, ends, at) = (text.len().min(INLINE + 1) as u8, grant.expires, at as u32);
        (hash(text), Self { ends, at, has_rules: !grant.approve.is_empty(), length, name })
    }
}

/// The grants of one principal, or of a template that many share. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct GrantSet {
    grants: Arc<[Grant]>,
    keys: Index<Key>,
    /// Bit n is set if a grant's name has n + 1 segments: no other length is worth a probe.
    depths: u8,
}

impl GrantSet {
    /// Takes grants for different capabilities, within [`MAX_GRANTS`], [`MAX_RULES`],
    /// [`MAX_DEPTH`].
    pub fn new(grants: Vec<Grant>) -> Result<Self, GrantError> {
        if grants.len() > MAX_GRANTS {
            return Err(GrantError::TooMany);
        }
        for grant in &grants {
            if grant.approve.len() > MAX_RULES {
                return Err(GrantError::TooManyRules);
            } else if grant.lineage.len() > MAX_DEPTH {
                return Err(GrantError::TooDeep);
            }
        }
        let mut names: Vec<&Capability> = grants.iter().map(Grant::capability).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(GrantError::Twice(pair[0].clone()));
        }
        let keys = Index::new(grants.iter().enumerate().map(|(at, grant)| Key::new(at, grant)));
        let dots = |grant: &Grant| grant.capability.as_str().matches('.').count();
        let depths = grants.iter().fold(0, |bits, grant| bits | 1 << dots(grant));
        Ok(Self { grants: grants.into(), keys, depths })
    }

    /// The grants in the order they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.grants.iter()
    }

    /// The set that allows nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The grant that decides about a name: of those that cover it the one with most segments.
    pub fn longest_match(&self, name: &str) -> Option<&Grant> {
        self.find(name, &Prefixes::of(name)?).map(|key| self.at(key.at))
    }

    /// The key of the deciding grant, given the prefixes of `name`.
    #[inline]
    pub(crate) fn find(&self, name: &str, prefixes: &Prefixes) -> Option<&Key> {
        let mut depths = (0..prefixes.count).rev().filter(|depth| self.depths >> depth & 1 == 1);
        depths.find_map(|depth| {
            let prefix = name.as_bytes().get(..usize::from(prefixes.ends[depth]))?;
            self.keys.find(prefixes.hashes[depth], |key| match key.name.get(..key.length.into()) {
                Some(name) => name == prefix,
                None => self.at(key.at).capability.as_str().as_bytes() == prefix,
            })
        })
    }

    #[inline]
    pub(crate) fn at(&self, at: u32) -> &Grant {
        &self.grants[at as usize]
    }
}

impl TryFrom<Vec<Grant>> for GrantSet {
    type Error = GrantError;
    fn try_from(grants: Vec<Grant>) -> Result<Self, GrantError> {
        Self::new(grants)
    }
}

impl From<GrantSet> for Vec<Grant> {
    fn from(set: GrantSet) -> Self {
        set.grants.to_vec()
    }
}
