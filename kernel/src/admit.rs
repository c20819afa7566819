//! Admission: the one way from an envelope to a provider. Denies by default. Never allocates,
//! locks, reads a clock or looks at arguments; the only maker of [`Admitted`] and [`Badge`].

use crate::name::check;
use crate::table::{Entry, Row, Table};
use crate::{Address, BudgetRef, Capability, Chain, Envelope, Grant, GrantId, GrantSet};
use crate::{MAX_ARGS, Moment, Refusal, RefusalCode as Code, Route, Scope};
use std::sync::Arc;

/// What became of an envelope.
#[derive(Debug)]
pub enum Admission<C> {
    /// To be forwarded.
    Admitted(Admitted<C>),
    /// Granted, but somebody must approve first.
    Hold(Held<C>),
    /// Refused; the envelope comes back with the reason.
    Refused(Refusal, Envelope<C>),
}

/// Judges a call by the grants that the caller holds now. What fails first decides: caller known,
/// in its present life, args within [`MAX_ARGS`], deadline ahead, chain not full, name well-formed
/// and served, a grant covers it, the longest such is neither revoked nor expired, and approved.
pub fn admit<C>(table: &Table, envelope: Envelope<C>, now: Moment) -> Admission<C> {
    decide(table, None, envelope, now)
}

/// As [`admit`], but for a turn that is run again: judges by the grants pinned at its begin
/// (rules B1, F1), whatever was revoked since. Pass the turn's time as `now`.
#[rustfmt::skip]
pub fn admit_pinned<C>(
    table: &Table, grants: &GrantSet, envelope: Envelope<C>, now: Moment,
) -> Admission<C> {
    decide(table, Some(grants), envelope, now)
}

type Pinned<'g> = Option<&'g GrantSet>;

#[inline]
fn decide<C>(table: &Table, set: Pinned<'_>, envelope: Envelope<C>, now: Moment) -> Admission<C> {
    match judge(table, set, &envelope, now) {
        Ok((badge, route, None)) => {
            let Envelope { capability, args, cargo, .. } = envelope;
            Admission::Admitted(Admitted { badge, route, capability, args, cargo })
        }
        Ok((badge, _, Some(rule))) => Admission::Hold(Held { badge, rule, envelope }),
        Err((code, detail, row)) => {
            let (from, caller) = (envelope.from, row.cloned());
            let capability = envelope.capability.clone();
            Admission::Refused(Refusal { code, detail, from, caller, capability }, envelope)
        }
    }
}

/// The badge, the route, and the rule that asks for a lease if there is none.
type Verdict<'t> = Result<(Badge, Route, Option<Capability>), (Code, u64, Option<&'t Arc<Row>>)>;

#[inline]
fn judge<'t, C>(table: &'t Table, set: Pinned<'_>, call: &Envelope<C>, now: Moment) -> Verdict<'t> {
    let (caller, name, deadline) = (call.from, &*call.capability, call.deadline);
    let Some(Entry { grants, row }) = table.entry(caller.principal) else {
        return Err((Code::UnknownPrincipal, 0, None));
    };
    let no = |code, detail| Err((code, detail, Some(row)));
    if row.incarnation != caller.incarnation {
        return no(Code::StaleIncarnation, row.incarnation);
    } else if call.args.len() > MAX_ARGS {
        return no(Code::ArgsTooLarge, call.args.len() as u64);
    } else if let Some(late) = deadline.filter(|deadline| *deadline <= now) {
        return no(Code::DeadlinePassed, late.0);
    }
    let Some(chain) = call.chain.push(caller.principal) else { return no(Code::ChainTooLong, 0) };
    // What is served has a well-formed name, so the form is looked at only if nothing is found.
    let Some(served) = table.served(name) else {
        let malformed = check(name).is_err();
        return no(if malformed { Code::MalformedName } else { Code::UnknownCapability }, 0);
    };
    let (pinned, set) = (set, set.unwrap_or(grants));
    let Some(key) = set.find(name, &served.prefixes) else { return no(Code::NoGrant, 0) };
    if pinned.is_none() && table.is_revoked(set, key.at) {
        return no(Code::Revoked, set.at(key.at).id().0);
    } else if key.ends <= now && key.ends.0 < u64::MAX {
        return no(Code::Expired, set.at(key.at).id().0);
    }
    // The grant itself is not touched without need: it is a cache line of its own.
    let rules = if key.has_rules { set.at(key.at).approve() } else { &[] };
    let rule = rules.iter().find(|rule| rule.covers(name));
    let rule = rule.filter(|_| !table.leased(set.at(key.at).id(), name, now)).cloned();
    let (row, pinned, at) = (row.clone(), pinned.cloned(), key.at);
    Ok((Badge { caller, row, pinned, at, chain, deadline }, served.route, rule))
}

/// What a provider may know of a call's caller and rights. Only the kernel makes one.
#[derive(Clone, Debug)]
pub struct Badge {
    caller: Address,
    row: Arc<Row>,
    pinned: Option<GrantSet>,
    at: u16,
    chain: Chain,
    deadline: Option<Moment>,
}

#[rustfmt::skip]
impl Badge {
    /// Who calls, in which life.
    pub fn caller(&self) -> Address { self.caller }
    /// The caller's name in the tree.
    pub fn caller_name(&self) -> &Arc<str> { &self.row.name }
    /// The grant that decided.
    pub fn grant(&self) -> GrantId { self.deciding().id() }
    /// What the provider must hold the arguments to.
    pub fn scope(&self) -> &Arc<Scope> { self.deciding().scope() }
    /// The budget that the call draws on.
    pub fn budget(&self) -> Option<BudgetRef> { self.deciding().budget() }
    /// All who called, oldest first; the last is the caller.
    pub fn chain(&self) -> &Chain { &self.chain }
    /// From when on nobody waits for the answer.
    pub fn deadline(&self) -> Option<Moment> { self.deadline }
    fn deciding(&self) -> &Grant { self.pinned.as_ref().unwrap_or(&self.row.grants).at(self.at) }
}

/// A call that may be served. Only the kernel makes one, and providers take nothing else.
#[derive(Debug)]
pub struct Admitted<C> {
    badge: Badge,
    route: Route,
    capability: Arc<str>,
    args: Vec<u8>,
    cargo: C,
}

#[rustfmt::skip]
impl<C> Admitted<C> {
    /// Who calls, with what right.
    pub fn badge(&self) -> &Badge { &self.badge }
    /// Who serves it.
    pub fn route(&self) -> Route { self.route }
    /// What is called.
    pub fn capability(&self) -> &Arc<str> { &self.capability }
    /// The arguments as the caller made them.
    pub fn args(&self) -> &[u8] { &self.args }
    /// What travelled along.
    pub fn cargo(&self) -> &C { &self.cargo }
    /// The call taken apart; it cannot be put together again.
    pub fn into_parts(self) -> (Badge, Arc<str>, Vec<u8>, C) {
        (self.badge, self.capability, self.args, self.cargo)
    }
}

/// A call that is granted but needs an approval lease: see [`Table::with_lease`].
#[derive(Debug)]
pub struct Held<C> {
    /// Who calls, with what right.
    pub badge: Badge,
    /// The name in the grant's `approve` that asks for the lease.
    pub rule: Capability,
    /// The call, to be admitted again once there is a lease.
    pub envelope: Envelope<C>,
}

/// Brings admitted calls to providers' mailboxes; the kernel actor owns one.
pub trait Forward<C> {
    /// A call that could not be delivered, and why.
    type Undelivered;
    /// Delivers, or gives the call back with the reason. Never waits.
    fn forward(&self, to: Route, admitted: Admitted<C>) -> Result<(), Self::Undelivered>;
}
