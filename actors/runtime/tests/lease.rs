//! Approvals of the kernel's table: whose they are, and how long they last.
#![allow(clippy::unwrap_used)]

use loket_kernel::{
    Address, Admission, Capability, Chain, Envelope, Grant, GrantId, GrantSet, Moment, Principal,
    Route, Scope, Table, admit,
};
use loket_runtime::Authority;
use std::sync::Arc;

const NOW: Moment = Moment(1_000);
const LATER: Moment = Moment(2_000);

fn name(text: &str) -> Capability {
    Capability::parse(text).unwrap()
}

/// What the kernel would say to a call of this principal.
fn verdict(authority: &Authority, who: Principal, capability: &str, at: Moment) -> &'static str {
    let table = Table::clone(&authority.table())
        .with_routes([(name("mail.send"), Route(0)), (name("mail.read"), Route(0))]);
    let envelope = Envelope {
        from: Address { principal: who, incarnation: 1 },
        capability: capability.into(),
        args: Vec::new(),
        chain: Chain::default(),
        deadline: None,
        cargo: (),
    };
    match admit(&table, envelope, at) {
        Admission::Admitted(_) => "admitted",
        Admission::Hold(_) => "held",
        Admission::Refused(..) => "refused",
    }
}

/// A template's grants, which its children share: all of `mail`, of which `send` needs an approval.
fn shared() -> Arc<GrantSet> {
    let scope = Arc::new(Scope::default());
    let mail = Grant::new(name("mail"), scope, None, vec![name("mail.send")], None, GrantId(1));
    Arc::new(GrantSet::new(vec![mail]).unwrap())
}

#[test]
fn a_lease_is_for_one_principal_and_one_call() {
    let authority = Arc::new(Authority::default());
    let grants = shared();
    let enrol = |who: &str| authority.enrol(who.into(), 1, Arc::clone(&grants)).unwrap();
    let (one, other) = (enrol("w/1"), enrol("w/2"));
    let say = |who, at| verdict(&authority, who, "mail.send", at);
    assert_eq!((say(one, NOW), say(other, NOW)), ("held", "held"));
    let lease = authority.lease(one, "mail.send", LATER).unwrap();
    let own = authority.lease(other, "mail.send", LATER).unwrap();
    drop(own);
    assert_eq!((say(one, NOW), say(other, NOW)), ("admitted", "held"), "not its sibling's");
    assert_eq!(say(one, LATER), "held", "it ends by itself");
    drop(lease);
    assert_eq!(say(one, NOW), "held", "and with the call's answer");
    assert!(authority.lease(one, "mail.read", LATER).is_none(), "nothing asks there");
    assert_eq!(verdict(&authority, one, "mail.read", NOW), "admitted");
}

#[test]
fn revoking_the_templates_grant_reaches_its_children() {
    let authority = Arc::new(Authority::default());
    let one = authority.enrol("w/1".into(), 1, shared()).unwrap();
    authority.set_grants(one, shared());
    authority.revoke(GrantId(1));
    assert_eq!(verdict(&authority, one, "mail.read", NOW), "refused");
}
