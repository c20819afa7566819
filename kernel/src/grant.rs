//! Grants: the right to a capability. They come from the fleet file or by [`Grant::attenuate`] from one
//! that is held, and a child is never wider than its parent. Never looks at a clock or a principal.

use crate::lookup::{Index, hash};
use crate::name::{Capability, MAX_NAME, MAX_SEGMENTS};
use crate::{Moment, Scope};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Most grants in one set.
pub const MAX_GRANTS: usize = 4096;
/// Most approval rules in one grant: they are looked through at each call.
pub const MAX_RULES: usize = 64;
/// Most attenuations between a grant and the fleet file: they are looked through once one is revoked.
pub const MAX_DEPTH: usize = 16;

/// Names a grant in the whole fleet, and its generation: never used again, even for the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(pub u64);

/// Names a budget of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetRef(pub u64);

/// Why a grant or a set of grants cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantError {
    /// Two grants of a set are for the same capability.
    Twice(Capability),
    /// A set of more than [`MAX_GRANTS`].
    TooMany,
    /// The parent does not cover the capability asked for.
    Capability(Capability),
    /// The scope asked for is not within the parent's.
    Scope,
    /// The budget asked for is not the parent's.
    Budget,
    /// The expiry asked for is later than the parent's.
    Expiry,
    /// More than [`MAX_RULES`] approval rules.
    TooManyRules,
    /// Attenuated more than [`MAX_DEPTH`] times.
    TooDeep,
    /// The new id is that of the parent or of one above it.
    Id(GrantId),
}

impl GrantError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Twice(_) => "K121",
            Self::TooMany => "K122",
            Self::Capability(_) => "K123",
            Self::Scope => "K124",
            Self::Budget => "K125",
            Self::Expiry => "K126",
            Self::TooManyRules => "K127",
            Self::TooDeep => "K128",
            Self::Id(_) => "K129",
        }
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(capability) => write!(f, "two grants for {capability}"),
            Self::TooMany => write!(f, "more than {MAX_GRANTS} grants"),
            Self::Capability(wanted) => write!(f, "the parent does not cover {wanted}"),
            Self::Scope => f.write_str("the scope is not within the parent's, key by key"),
            Self::Budget => f.write_str("the budget is not the parent's"),
            Self::Expiry => f.write_str("the expiry is later than the parent's"),
            Self::TooManyRules => write!(f, "more than {MAX_RULES} approval rules"),
            Self::TooDeep => write!(f, "attenuated more than {MAX_DEPTH} times"),
            Self::Id(id) => write!(f, "grant id {} is taken by a parent", id.0),
        }
    }
}

impl std::error::Error for GrantError {}

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
        Self {
            capability,
            scope,
            budget,
            approve,
            expires,
            id,
            lineage,
        }
    }

    /// A grant that gives no more than this one in capability, scope, budget and expiry, and needs at
    /// least its approvals. Dies with it.
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
        Ok(Self {
            capability,
            scope,
            budget,
            approve,
            expires,
            id,
            lineage,
        })
    }

    /// What the grant is for.
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// What the provider is to hold the arguments to.
    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The budget that calls draw on.
    pub fn budget(&self) -> Option<BudgetRef> {
        self.budget
    }

    /// The names that need an approval lease.
    pub fn approve(&self) -> &[Capability] {
        &self.approve
    }

    /// When the grant ends.
    pub fn expires(&self) -> Option<Moment> {
        self.expires
    }

    /// The grant's id.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The grant that this one was attenuated from.
    pub fn parent(&self) -> Option<GrantId> {
        self.lineage.last().copied()
    }

    /// The ids above this grant, the oldest first.
    pub fn lineage(&self) -> &[GrantId] {
        &self.lineage
    }
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
        let mut all = Self {
            count: 0,
            ends: [0; MAX_SEGMENTS],
            hashes: [0; MAX_SEGMENTS],
        };
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

#[derive(Debug, Default)]
struct Set {
    grants: Box<[Grant]>,
    index: Index,
}

/// The grants of one principal, or of a template that many share. Cheap to clone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct GrantSet(Arc<Set>);

impl GrantSet {
    /// Takes grants for different capabilities, within [`MAX_GRANTS`], [`MAX_RULES`], [`MAX_DEPTH`].
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
        let index = Index::new(
            grants
                .iter()
                .map(|g| hash(g.capability.as_str().as_bytes())),
        );
        Ok(Self(Arc::new(Set {
            grants: grants.into(),
            index,
        })))
    }

    /// The set that allows nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The grants in the order they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.0.grants.iter()
    }

    /// The grant that decides about a name: of those that cover it the one with most segments.
    pub fn longest_match(&self, name: &str) -> Option<&Grant> {
        self.find(name, &Prefixes::of(name)?).map(|at| self.at(at))
    }

    /// Where the deciding grant is, given the prefixes of `name`.
    #[inline]
    pub(crate) fn find(&self, name: &str, prefixes: &Prefixes) -> Option<usize> {
        let Set { grants, index } = &*self.0;
        (0..prefixes.count).rev().find_map(|depth| {
            let prefix = name.get(..usize::from(prefixes.ends[depth]));
            index.find(prefixes.hashes[depth], |at| {
                Some(grants[at].capability.as_str()) == prefix
            })
        })
    }

    #[inline]
    pub(crate) fn at(&self, at: usize) -> &Grant {
        &self.0.grants[at]
    }
}

impl PartialEq for GrantSet {
    fn eq(&self, other: &Self) -> bool {
        self.0.grants == other.0.grants
    }
}

impl Eq for GrantSet {}

impl TryFrom<Vec<Grant>> for GrantSet {
    type Error = GrantError;
    fn try_from(grants: Vec<Grant>) -> Result<Self, GrantError> {
        Self::new(grants)
    }
}

impl From<GrantSet> for Vec<Grant> {
    fn from(set: GrantSet) -> Self {
        set.0.grants.to_vec()
    }
}
