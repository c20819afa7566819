//! The law, rule by rule: names, revocation, holds, refusals, chains, what is pinned.
#![allow(clippy::unwrap_used)]

use loket_kernel::*;
use std::sync::Arc;

const NOW: Moment = Moment(1_000);
const WHO: Principal = Principal(3);

fn cap(name: &str) -> Capability {
    Capability::parse(name).unwrap()
}

fn grant(name: &str, id: u64) -> Grant {
    Grant::new(cap(name), Arc::default(), None, Vec::new(), None, GrantId(id))
}

fn set(grants: Vec<Grant>) -> Arc<GrantSet> {
    Arc::new(GrantSet::new(grants).unwrap())
}

/// A table where `writer/3` in life 1 holds `grants` and these names are served.
fn table(grants: Vec<Grant>) -> Table {
    let names =
        ["store.brain", "store.brainx", "store.brain.kv.get", "llm.chat", "mcp.github.close"];
    let routes = names.iter().enumerate().map(|(n, name)| (cap(name), Route(n as u32)));
    Table::default().with_routes(routes).with_principal(WHO, "writer/3".into(), 1, set(grants))
}

fn envelope(name: &str) -> Envelope<()> {
    Envelope {
        from: Address { principal: WHO, incarnation: 1 },
        capability: name.into(),
        args: vec![1, 2, 3],
        chain: Chain::default(),
        deadline: None,
        cargo: (),
    }
}

fn code(admission: &Admission<()>) -> &'static str {
    match admission {
        Admission::Admitted(_) => "admitted",
        Admission::Hold(_) => "hold",
        Admission::Refused(refusal, _) => refusal.code.code(),
    }
}

fn call(table: &Table, name: &str) -> &'static str {
    code(&admit(table, envelope(name), NOW))
}

fn refusal(table: &Table, name: &str) -> Refusal {
    match admit(table, envelope(name), NOW) {
        Admission::Refused(refusal, _) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_have_the_form_and_nothing_else_has() {
    let (long, nine) = ("a".repeat(64), ["a"; 9].join("."));
    let eight = [long.as_str(); 8].join(".");
    assert_eq!(eight.len(), MAX_NAME);
    let second = format!("ab.{long}");
    for good in ["a", "store.brain", "mcp.x--create-49ssue", "a_b-c.0", &long, &eight, &second] {
        assert_eq!(cap(good).as_str(), good);
    }
    let bad = [
        ("", NameError::EmptySegment(0)),
        (".a", NameError::EmptySegment(0)),
        ("a.", NameError::EmptySegment(2)),
        ("a..b", NameError::EmptySegment(2)),
        ("a.B", NameError::BadByte(2, b'B')),
        ("a\0", NameError::BadByte(1, 0)),
        ("a b", NameError::BadByte(1, b' ')),
        ("st\u{43e}re", NameError::BadByte(2, 0xd0)),
        (&"a".repeat(65), NameError::SegmentTooLong(64)),
        (&format!("ab.{long}a"), NameError::SegmentTooLong(67)),
        (&nine, NameError::TooManySegments),
        (&format!("{eight}a"), NameError::TooLong),
    ];
    for (name, error) in bad {
        assert_eq!(Capability::parse(name).unwrap_err(), error, "{name:?}");
    }
}

#[test]
fn a_grant_covers_whole_segments_only() {
    let brain = cap("store.brain");
    assert!(brain.covers("store.brain") && brain.covers("store.brain.kv.get"));
    for other in ["store", "store.brainx", "store.brain_", "store.brai", "xstore.brain", ""] {
        assert!(!brain.covers(other), "{other}");
    }
    let long = "a".repeat(60);
    let held = ["store", "store.brain", "store.brain.kv.get", &long];
    let held = held.iter().zip(1..).map(|(name, id)| grant(name, id)).collect();
    let (below, beside) = (format!("{long}.b"), format!("{long}b"));
    let more = [below.as_str(), &beside, "store.brain.kv.put", "stor"];
    let table = table(held).with_routes(more.map(|name| (cap(name), Route(0))));
    let decides = |name: &str| match admit(&table, envelope(name), NOW) {
        Admission::Admitted(call) => Some(call.badge().grant().0),
        _ => None,
    };
    assert_eq!(decides("store.brain.kv.get"), Some(3));
    assert_eq!(decides("store.brain.kv.put"), Some(2));
    assert_eq!(decides("store.brainx"), Some(1));
    assert_eq!(decides("stor"), None);
    assert_eq!(decides(&below), Some(4));
    assert_eq!(decides(&beside), None);
    let twice = GrantSet::new(vec![grant("a.b", 1), grant("a", 2), grant("a.b", 3)]);
    assert_eq!(twice.unwrap_err(), GrantError::Twice(cap("a.b")));
}

/// Short names are kept beside the grants, long ones are looked up in them: the same for each length.
#[test]
fn names_of_every_length_find_their_own_grant() {
    let names: Vec<_> = (1..=64).map(|length| "a".repeat(length)).collect();
    let held = names.iter().zip(1..).map(|(name, id)| grant(name, id)).collect();
    let table = table(held).with_routes(names.iter().map(|name| (cap(name), Route(0))));
    for (name, id) in names.iter().zip(1..) {
        match admit(&table, envelope(name), NOW) {
            Admission::Admitted(call) => assert_eq!(call.badge().grant(), GrantId(id), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn forged_names_are_refused_and_shown_short_and_escaped() {
    let table = table(vec![grant("store.brain", 1)]);
    assert_eq!(call(&table, "store.brain.kv.get"), "admitted");
    assert_eq!(call(&table, "store.brainx"), "K003");
    assert_eq!(call(&table, "store.brain.kv.got"), "K001");
    let huge = "\u{202e}".repeat(22_000);
    for forged in ["", "Store.brain", "store.brain\0", "st\u{43e}re.brain", "store.brain.", &huge] {
        let refusal = refusal(&table, forged);
        let text = refusal.to_string();
        assert_eq!(refusal.code.code(), "K002", "{text}");
        assert!(text.len() < 1_000 && text.is_ascii(), "{text}");
        assert!(!text.bytes().any(|byte| byte.is_ascii_control()), "{text:?}");
    }
    assert!(refusal(&table, &"a".repeat(1 << 16)).to_string().contains("65536 bytes"));
}

#[test]
fn a_refusal_prints_the_line_that_would_allow_the_call() {
    let table = table(vec![grant("store.brain", 1)]);
    let text = refusal(&table, "llm.chat").to_string();
    assert!(text.starts_with("K003: "), "{text}");
    assert!(text.contains("writer/3") && text.ends_with(r#"(cap: "llm.chat"),"#), "{text}");
    // Nothing that the operator could write would allow this.
    assert!(!refusal(&table, "llm.caht").to_string().contains("cap:"));
    let stale = table.with_incarnation(WHO, 9);
    let text = refusal(&stale, "store.brain").to_string();
    assert!(text.starts_with("K005") && text.contains("life 1, now it is 9"), "{text}");
}

#[test]
fn what_ends_at_a_moment_is_over_at_it() {
    let ending =
        |at| Grant::new(cap("llm"), Arc::default(), None, Vec::new(), Some(Moment(at)), GrantId(1));
    assert_eq!(call(&table(vec![ending(1_001)]), "llm.chat"), "admitted");
    assert_eq!(call(&table(vec![ending(1_000)]), "llm.chat"), "K004");
    // An ended longer grant decides; a shorter one does not step in.
    let longer =
        Grant::new(cap("llm.chat"), Arc::default(), None, Vec::new(), Some(NOW), GrantId(2));
    assert_eq!(call(&table(vec![grant("llm", 1), longer]), "llm.chat"), "K004");
}

#[test]
fn a_hold_passes_with_a_lease_and_only_while_it_lasts() {
    let rules = vec![cap("mcp.github.close")];
    let github = Grant::new(cap("mcp.github"), Arc::default(), None, rules, None, GrantId(5));
    let table = table(vec![github]);
    let Admission::Hold(held) = admit(&table, envelope("mcp.github.close"), NOW) else { panic!() };
    assert_eq!((&held.rule, held.badge.grant()), (&cap("mcp.github.close"), GrantId(5)));
    let lease = |id, name: &str, until| table.with_lease(GrantId(id), cap(name), Moment(until));
    assert_eq!(code(&admit(&lease(5, "mcp.github.close", 1_001), held.envelope, NOW)), "admitted");
    assert_eq!(call(&lease(5, "mcp.github.close", 1_000), "mcp.github.close"), "hold");
    assert_eq!(call(&lease(5, "mcp.github.closed", 9_999), "mcp.github.close"), "hold");
    assert_eq!(call(&lease(6, "mcp.github.close", 9_999), "mcp.github.close"), "hold");
    let old = lease(5, "mcp.github.close", 1_001).without_old_leases(Moment(1_001));
    assert_eq!(call(&old, "mcp.github.close"), "hold");
    let young = lease(5, "mcp.github.close", 1_001).without_old_leases(NOW);
    assert_eq!(call(&young, "mcp.github.close"), "admitted");
}

#[test]
fn revoking_takes_the_subtree_wherever_it_is_held() {
    let top = grant("store", 1);
    let child = top.attenuate(grant("store.brain", 2)).unwrap();
    let leaf = child.attenuate(grant("store.brain", 3)).unwrap();
    assert_eq!(leaf.lineage(), [GrantId(1), GrantId(2)]);
    let cousin = top.attenuate(grant("store.brain", 4)).unwrap();
    // An id that is above already, and a grant that is another's child, cannot become a child.
    for taken in [grant("store.brain", 1), grant("store.brain", 3), cousin] {
        let id = taken.id();
        assert_eq!(leaf.attenuate(taken).unwrap_err(), GrantError::Id(id));
    }
    let verdicts = |table: &Table| {
        [&top, &child, &leaf]
            .map(|g| call(&table.with_grants(WHO, set(vec![g.clone()])), "store.brain"))
    };
    let before = table(Vec::new());
    assert_eq!(verdicts(&before), ["admitted"; 3]);
    assert_eq!(verdicts(&before.revoke(GrantId(3))), ["admitted", "admitted", "K009"]);
    assert_eq!(verdicts(&before.revoke(GrantId(2))), ["admitted", "K009", "K009"]);
    assert_eq!(verdicts(&before.revoke(GrantId(1))), ["K009"; 3]);
    assert_eq!(verdicts(&before), ["admitted"; 3], "a table never changes");
    let revoked = before.revoke(GrantId(3)).revoke(GrantId(1)).revoke(GrantId(3));
    assert_eq!(revoked.revoked(), [GrantId(1), GrantId(3)], "in order, each once");
    // What was pinned stays law for the turn that pinned it, and for nobody else.
    let gone = before.with_grants(WHO, set(vec![leaf.clone()])).revoke(GrantId(1));
    let pinned = GrantSet::new(vec![leaf]).unwrap();
    assert_eq!(code(&admit_pinned(&gone, &pinned, envelope("store.brain"), NOW)), "admitted");
    let Admission::Admitted(call) = admit_pinned(&gone, &pinned, envelope("store.brain"), NOW)
    else {
        panic!()
    };
    assert_eq!(call.badge().grant(), GrantId(3));
    let none = admit_pinned(&gone, &GrantSet::default(), envelope("store.brain"), NOW);
    assert_eq!(code(&none), "K003");
}

#[test]
fn a_chain_is_bounded_and_ends_with_the_caller() {
    let full = (0..16).try_fold(Chain::default(), |chain, n| chain.push(Principal(n))).unwrap();
    assert!(
        full.push(Principal(99)).is_none()
            && full.as_slice().last() == Some(&Principal(15))
            && full.as_slice().len() == MAX_CHAIN
    );
    let table = table(vec![grant("llm", 1)]);
    assert_eq!(code(&admit(&table, Envelope { chain: full, ..envelope("llm.chat") }, NOW)), "K008");
    let one = Chain::default().push(Principal(8)).unwrap();
    let Admission::Admitted(call) =
        admit(&table, Envelope { chain: one, ..envelope("llm.chat") }, NOW)
    else {
        panic!()
    };
    assert_eq!(call.badge().chain().as_slice(), [Principal(8), WHO]);
    assert_eq!((call.badge().caller_name().as_ref(), call.args()), ("writer/3", &[1, 2, 3][..]));
}

#[test]
fn arguments_pass_up_to_their_limit_and_not_beyond() {
    let table = table(vec![grant("llm", 1)]);
    let sized = |size| Envelope { args: vec![0; size], ..envelope("llm.chat") };
    assert_eq!(code(&admit(&table, sized(MAX_ARGS), NOW)), "admitted");
    assert_eq!(code(&admit(&table, sized(MAX_ARGS + 1), NOW)), "K007");
}

#[test]
fn a_badge_shows_the_rights_of_the_grant_that_decides() {
    let mut scope = Scope::new();
    scope.insert("tokens", Bound::AtMost(7));
    let (wide, narrow) = (Arc::new(Scope::new()), Arc::new(scope));
    let held = |name: &str, scope: &Arc<Scope>, budget, ends, id| {
        Grant::new(cap(name), scope.clone(), Some(BudgetRef(budget)), vec![], ends, GrantId(id))
    };
    let (upper, lower) =
        (held("llm", &wide, 1, None, 1), held("llm.chat", &narrow, 2, Some(Moment(9_000)), 2));
    assert_eq!((upper.expires(), lower.expires()), (None, Some(Moment(9_000))));
    let table = table(vec![upper.clone(), lower]);
    let Admission::Admitted(call) = admit(&table, envelope("llm.chat"), NOW) else { panic!() };
    let badge = call.badge();
    assert_eq!((badge.budget(), badge.scope().at_most("tokens")), (Some(BudgetRef(2)), Some(7)));
    // Pinned grants decide in place of those that are held now.
    let pinned = GrantSet::new(vec![upper]).unwrap();
    let Admission::Admitted(call) = admit_pinned(&table, &pinned, envelope("llm.chat"), NOW) else {
        panic!()
    };
    let badge = call.badge();
    assert_eq!((badge.budget(), badge.scope().unrestricted("tokens")), (Some(BudgetRef(1)), true));
}

#[test]
fn grants_are_bounded_in_rules_depth_and_number() {
    let ruled = |rules: usize| {
        let rules = (0..rules).map(|n| cap(&format!("a.r{n}"))).collect();
        Grant::new(cap("a"), Arc::default(), None, rules, None, GrantId(0))
    };
    let twice = [ruled(MAX_RULES), grant("a", 1)];
    assert!(GrantSet::new(vec![twice[0].clone()]).is_ok());
    assert_eq!(GrantSet::new(vec![ruled(MAX_RULES + 1)]).unwrap_err(), GrantError::TooManyRules);
    let one_more = Grant::new(cap("a"), Arc::default(), None, vec![cap("a.x")], None, GrantId(1));
    assert_eq!(twice[0].attenuate(one_more).unwrap_err(), GrantError::TooManyRules);
    assert!(twice[0].attenuate(twice[1].clone()).is_ok());
    let deepest = (1..=MAX_DEPTH as u64)
        .try_fold(grant("a", 0), |parent, id| parent.attenuate(grant("a", id)))
        .unwrap();
    assert_eq!(deepest.lineage().len(), MAX_DEPTH);
    assert_eq!(deepest.attenuate(grant("a", 99)).unwrap_err(), GrantError::TooDeep);
    let many = |number: usize| (0..number).map(|n| grant(&format!("g{n}"), n as u64)).collect();
    assert!(GrantSet::new(many(MAX_GRANTS)).is_ok());
    assert_eq!(GrantSet::new(many(MAX_GRANTS + 1)).unwrap_err(), GrantError::TooMany);
}

#[test]
fn a_refusal_says_the_number_that_goes_with_its_code() {
    let ended = Grant::new(cap("llm"), Arc::default(), None, vec![], Some(NOW), GrantId(41));
    let table = table(vec![ended, grant("store", 42)]).revoke(GrantId(42));
    let text = |envelope| match admit(&table, envelope, NOW) {
        Admission::Refused(refusal, _) => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    let ends = |envelope, code: &str, end: &str| {
        let text = text(envelope);
        assert!(text.starts_with(code) && text.ends_with(end), "{text}");
    };
    let line = |name: &str| format!("; this among its grants allows it: (cap: \"{name}\"),");
    ends(envelope("llm.chat"), "K004", &format!(": grant 41{}", line("llm.chat")));
    ends(envelope("store.brain"), "K009", &format!(": grant 42{}", line("store.brain")));
    ends(Envelope { args: vec![0; MAX_ARGS + 1], ..envelope("x") }, "K007", ": 1048577 bytes");
    ends(Envelope { deadline: Some(Moment(999)), ..envelope("x") }, "K010", ": 999 ms since 1970");
    ends(envelope("a..b"), "K002", "K103: the segment that should begin at byte 2 is empty");
    // A name that is shown whole is not said to go on.
    ends(envelope("not.there"), "K001", "called \"not.there\"");
    ends(envelope(&"a".repeat(81)), "K002", "is over 64 bytes");
    assert!(text(envelope(&"a".repeat(81))).contains("a\"... (81 bytes)"));
}

#[test]
fn grants_survive_being_pinned_and_do_not_widen() {
    let json = r#"[{"capability":"mcp.github","scope":{"tools":["list/*"],"n":7},"budget":4,
        "approve":["mcp.github.close"],"expires":9,"id":2,"lineage":[1]}]"#;
    let pinned: GrantSet = serde_json::from_str(json).unwrap();
    let again = serde_json::to_string(&pinned).unwrap();
    assert_eq!(serde_json::from_str::<GrantSet>(&again).unwrap(), pinned);
    let grant = pinned.iter().next().unwrap();
    assert!(grant.scope().allows("tools", "list/x") && grant.scope().at_most("n") == Some(7));
    assert_eq!((grant.lineage(), grant.budget()), (&[GrantId(1)][..], Some(BudgetRef(4))));
    for bad in [json.replace("mcp.github\"", "mcp..github\""), json.replace("list/*", "l*st")] {
        assert!(serde_json::from_str::<GrantSet>(&bad).is_err());
    }
}

#[test]
fn what_crosses_lanes_can_cross_them() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<(Table, GrantSet, Badge, Refusal)>();
    crosses::<(Envelope<u8>, Admission<u8>, Admitted<u8>, Held<u8>)>();
}

#[test]
fn a_change_leaves_what_it_does_not_touch() {
    let before = table(vec![grant("store", 1)]);
    let many = (0..5_000).map(|n| (Principal(n * 7), 1));
    let after = many.fold(before.clone(), |t, (who, life)| {
        t.with_principal(who, "other".into(), life, Arc::default())
    });
    let after = after.with_routes([(cap("new.one"), Route(9))]);
    assert_eq!(after.name(WHO).map(AsRef::as_ref), Some("writer/3"));
    assert!(Arc::ptr_eq(after.grants(WHO).unwrap(), before.grants(WHO).unwrap()));
    assert_eq!((after.route("new.one"), before.route("new.one")), (Some(Route(9)), None));
    assert_eq!(after.capabilities().count(), before.capabilities().count() + 1);
    assert!((0..5_000).all(|n| after.incarnation(Principal(n * 7)) == Some(1)));
    assert_eq!(after.incarnation(Principal(35_000)), None);
    assert_eq!(after.without_principal(WHO).name(WHO), None);
    assert_eq!(call(&after.without_principal(WHO), "store.brain"), "K006");
    let absent = Principal(u32::MAX);
    assert_eq!(after.with_incarnation(absent, 3).incarnation(absent), None);
    assert_eq!(after.with_grants(absent, Arc::default()).grants(absent), None);
}
