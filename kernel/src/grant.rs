//! Grants: the right to a capability, from the fleet file or by [`Grant::attenuate`] from one that
//! is held; a child is never wider than its parent. Never looks at a clock or a principal.

use crate::lookup::{Index, find, hash, index};
use crate::{Capability, Moment, Scope};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// Most grants in one set.
pub const MAX_GRANTS: usize = 4096;
/// Most approval rules in one grant: they are looked through at each call.
pub const MAX_RULES: usize = 64;
/// Most attenuations between a grant and the fleet file: they are looked through for revoked ones.
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
        Twice(capability: Capability) = "K121", "two grants of one set are for {capability}";
        TooMany = "K122", "the set has more than {MAX_GRANTS} grants";
        Capability(capability: Capability) = "K123", "the parent does not cover {capability}";
        Scope = "K124", "the scope is not within the parent's, key by key";
        Budget = "K125", "the budget is not the parent's";
        Expiry = "K126", "the expiry is later than the parent's";
        TooManyRules = "K127", "the grant has more than {MAX_RULES} approval rules";
        TooDeep = "K128", "the grant is attenuated more than {MAX_DEPTH} times";
        Id(id: GrantId) = "K129", "{id:?} is the parent, above it, or another's child";
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

impl Grant {
    /// A grant of the fleet file, or what [`Grant::attenuate`] is asked for. `approve`: names that,
    /// and below which, each call needs a lease.
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

    /// What is asked for as a child of this grant, if it is no wider in capability, scope, budget
    /// and expiry. No budget or expiry means this grant's; its approvals are added. Dies with it.
    pub fn attenuate(&self, ask: Self) -> Result<Self, GrantError> {
        let (budget, expires) = (ask.budget.or(self.budget), ask.expires.or(self.expires));
        if !self.capability.covers(ask.capability.as_str()) {
            return Err(GrantError::Capability(ask.capability));
        } else if !ask.scope.within(&self.scope) {
            return Err(GrantError::Scope);
        } else if self.budget.is_some() && self.budget != budget {
            return Err(GrantError::Budget);
        } else if self.expires.is_some_and(|parent| expires > Some(parent)) {
            return Err(GrantError::Expiry);
        } else if !ask.lineage.is_empty() || ask.id == self.id || self.lineage.contains(&ask.id) {
            return Err(GrantError::Id(ask.id));
        }
        let covered = |rule: &&Capability| self.approve.iter().any(|r| r.covers(rule.as_str()));
        let added = ask.approve.iter().filter(|rule| !covered(rule));
        let approve = self.approve.iter().chain(added).cloned().collect();
        let lineage = self.lineage.iter().copied().chain([self.id]).collect();
        let child = Self { budget, expires, approve, lineage, ..ask };
        child.bounded().map(|()| child)
    }

    fn bounded(&self) -> Result<(), GrantError> {
        match (self.approve.len(), self.lineage.len()) {
            (..=MAX_RULES, ..=MAX_DEPTH) => Ok(()),
            (..=MAX_RULES, _) => Err(GrantError::TooDeep),
            _ => Err(GrantError::TooManyRules),
        }
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
    /// The ids above this grant, the oldest first, its parent's last.
    pub fn lineage(&self) -> &[GrantId] { &self.lineage }
}

/// The lengths and hashes of a name and of what is above it, shortest first; made once per route.
pub(crate) type Prefixes = Box<[(usize, u64)]>;

pub(crate) fn prefixes(of: &Capability) -> Prefixes {
    let ends = of.as_str().match_indices('.').map(|(at, _)| at).chain([of.as_str().len()]);
    ends.map(|end| (end, hash(&of.as_str().as_bytes()[..end]))).collect()
}

/// Longest name that is kept in a key; longer ones are looked up in the grant.
const INLINE: usize = 20;

/// What admission asks of a grant, two to a cache line: over a million grants each line is a miss.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct Key {
    /// `u64::MAX`: never.
    pub(crate) ends: Moment,
    pub(crate) at: u16,
    pub(crate) has_rules: bool,
    length: u8,
    name: [u8; INLINE],
}

impl Key {
    fn new(at: usize, grant: &Grant) -> (u64, Self) {
        let text = grant.capability.as_str().as_bytes();
        let (mut name, length) = ([0; INLINE], text.len().min(INLINE + 1) as u8);
        name.iter_mut().zip(text).for_each(|(to, byte)| *to = *byte);
        let (ends, at) = (grant.expires.unwrap_or(Moment(u64::MAX)), at as u16);
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
    /// Takes grants for different capabilities, at most [`MAX_GRANTS`] of them.
    pub fn new(grants: Vec<Grant>) -> Result<Self, GrantError> {
        if grants.len() > MAX_GRANTS {
            return Err(GrantError::TooMany);
        }
        let mut names = BTreeSet::new();
        for grant in &grants {
            grant.bounded()?;
            if !names.insert(&grant.capability) {
                return Err(GrantError::Twice(grant.capability.clone()));
            }
        }
        let keys = index(grants.iter().enumerate().map(|(at, grant)| Key::new(at, grant)));
        let dots = |grant: &Grant| grant.capability.as_str().matches('.').count();
        let depths = grants.iter().fold(0, |bits, grant| bits | 1 << dots(grant));
        Ok(Self { grants: grants.into(), keys, depths })
    }

    /// The key of the grant that decides: the longest that covers `name`, given its prefixes.
    #[inline]
    pub(crate) fn find(&self, name: &str, prefixes: &Prefixes) -> Option<&Key> {
        let all = prefixes.iter().enumerate().rev();
        all.filter(|(depth, _)| self.depths >> depth & 1 == 1).find_map(|(_, (end, hash))| {
            let prefix = name.as_bytes().get(..*end)?;
            find(&self.keys, *hash, |key| match key.name.get(..key.length.into()) {
                Some(name) => name == prefix,
                None => self.at(key.at).capability.as_str().as_bytes() == prefix,
            })
        })
    }
}

#[rustfmt::skip]
impl GrantSet {
    /// The grants in the order they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> { self.grants.iter() }
    pub(crate) fn at(&self, at: u16) -> &Grant { &self.grants[at as usize] }
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
