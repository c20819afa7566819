//! Scopes, patterns and attenuation, over many random cases from fixed seeds; `PROPERTY_CASES` of
//! them, when a run on mutants asks for fewer.
#![allow(clippy::unwrap_used)]

use loket_kernel::*;
use std::sync::Arc;

fn cap(name: &str) -> Capability {
    Capability::parse(name).unwrap()
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const VALUES: [&str; 6] = ["a", "a/b", "a/b/c", "ab", "b", "*"];
const PATTERNS: [&str; 8] = ["a", "a/*", "a/b", "a/b/*", "ab", "b", "b/*", "*"];

fn scope(rng: &mut Rng) -> Scope {
    let mut scope = Scope::new();
    for key in ["x", "y"] {
        if rng.below(2) == 0 {
            continue;
        }
        let one = |rng: &mut Rng| Pattern::parse(PATTERNS[rng.below(8) as usize]).unwrap();
        let bound = match rng.below(3) {
            0 => Bound::AtMost(rng.below(4)),
            _ => Bound::Names((0..rng.below(4)).map(|_| one(rng)).collect()),
        };
        scope.insert(key, bound);
    }
    scope
}

#[test]
fn attenuation_only_narrows() {
    let names = ["a", "a.b", "a.b.c", "ab"];
    let (mut made, rng) = (0, &mut Rng(7));
    let wanted = std::env::var("PROPERTY_CASES").ok().and_then(|number| number.parse().ok());
    let chains: u64 = wanted.unwrap_or(100_000);
    for chain in 0..chains {
        let budget = [None, Some(BudgetRef(1))][rng.below(2) as usize];
        let ends = [None, Some(Moment(5))][rng.below(2) as usize];
        let parent_scope = Arc::new(scope(rng));
        let mut parent = Grant::new(
            cap(names[rng.below(2) as usize]),
            parent_scope,
            budget,
            vec![],
            ends,
            GrantId(0),
        );
        for id in 1..=4 {
            let keep = rng.below(2) == 0;
            let ask = Grant::new(
                cap(names[rng.below(4) as usize]),
                if keep { parent.scope().clone() } else { Arc::new(scope(rng)) },
                [None, Some(BudgetRef(rng.below(3)))][rng.below(2) as usize],
                vec![cap(names[rng.below(4) as usize])],
                [None, Some(Moment(rng.below(9)))][rng.below(2) as usize],
                GrantId(id),
            );
            let Ok(child) = parent.attenuate(ask) else { continue };
            made += 1;
            narrower(&parent, &child, chain);
            parent = child;
        }
    }
    assert!(made > chains / 2, "only {made} attenuations were allowed: the test says little");
}

/// Whatever the child lets through, the parent lets through: asked value by value, not
/// structurally.
fn narrower(parent: &Grant, child: &Grant, chain: u64) {
    for name in ["a", "a.b", "a.b.c", "a.b.c.d", "ab", "abc"] {
        let covered = child.capability().covers(name);
        assert!(!covered || parent.capability().covers(name), "chain {chain}: {name}");
        let held = |grant: &Grant| grant.approve().iter().any(|rule| rule.covers(name));
        assert!(held(child) || !held(parent), "chain {chain}: {name} lost its approval");
    }
    for key in ["x", "y"] {
        let (ours, theirs) = (child.scope(), parent.scope());
        // For both readings of an absent key: as "nothing" and as "all".
        for value in VALUES {
            assert!(!ours.allows(key, value) || theirs.allows(key, value), "chain {chain}");
        }
        assert!(!ours.unrestricted(key) || theirs.unrestricted(key), "chain {chain}");
        if let Some(limit) = theirs.at_most(key) {
            assert!(ours.at_most(key).is_some_and(|our| our <= limit), "chain {chain}");
        }
    }
    let end = |grant: &Grant| grant.expires().map_or(u64::MAX, |end| end.0);
    assert!(end(child) <= end(parent), "chain {chain}");
    assert!(parent.budget().is_none() || parent.budget() == child.budget(), "chain {chain}");
    assert_eq!(child.lineage().len(), parent.lineage().len() + 1);
}

#[test]
fn patterns_cover_exactly_what_they_match() {
    let all: Vec<Pattern> = PATTERNS.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    for (wide, narrow) in all.iter().flat_map(|w| all.iter().map(move |n| (w, n))) {
        if wide.covers(narrow) {
            assert!(
                VALUES.iter().all(|v| !narrow.matches(v) || wide.matches(v)),
                "{wide} {narrow}"
            );
        }
    }
    let covers = |wide: &str, narrow: &str| {
        Pattern::parse(wide).unwrap().covers(&Pattern::parse(narrow).unwrap())
    };
    assert!(
        covers("a/*", "a/b/*") && covers("a/*", "a/b") && covers("*", "a/*") && covers("a", "a")
    );
    assert!(
        !covers("a/*", "ab/*") && !covers("a/*", "a") && !covers("a", "a/*") && !covers("a/*", "*")
    );
    for (text, error) in
        [("", PatternError::Empty), ("a*", PatternError::Star), ("*/a", PatternError::Star)]
    {
        assert_eq!(Pattern::parse(text).unwrap_err(), error);
    }
    assert!(Pattern::parse(&"a".repeat(MAX_PATTERN)).is_ok());
    assert_eq!(Pattern::parse(&"a".repeat(MAX_PATTERN + 1)).unwrap_err(), PatternError::TooLong);
}

#[test]
fn a_pattern_matches_itself_or_what_goes_on_below_its_prefix() {
    let matched = |pattern: &str| {
        let pattern = Pattern::parse(pattern).unwrap();
        ["", "a", "a/", "a/b", "a/b/c", "ab", "b/c"].into_iter().filter(move |v| pattern.matches(v))
    };
    assert!(matched("a/*").eq(["a/b", "a/b/c"]));
    assert!(matched("a/b").eq(["a/b"]));
    assert!(matched("*").eq(["", "a", "a/", "a/b", "a/b/c", "ab", "b/c"]));
}

#[test]
fn a_bound_key_is_within_its_parents_key_only() {
    let scope = |bounds: &[(&str, Bound)]| {
        let mut scope = Scope::new();
        for (key, bound) in bounds {
            assert_eq!(scope.insert(*key, bound.clone()), None);
        }
        scope
    };
    let names =
        |all: &[&str]| Bound::Names(all.iter().map(|text| Pattern::parse(text).unwrap()).collect());
    let parent = scope(&[("size", Bound::AtMost(5)), ("path", names(&["a/*", "b"]))]);
    for (size, path, within) in [
        (5, names(&["a/b", "b"]), true),
        (4, names(&[]), true),
        (6, names(&["b"]), false),
        (5, names(&["c"]), false),
        (5, Bound::AtMost(1), false),
    ] {
        let child = scope(&[("size", Bound::AtMost(size)), ("path", path)]);
        assert_eq!(child.within(&parent), within, "{child:?}");
    }
    // A key more and a key less are both no narrowing, and so is another key.
    assert!(!scope(&[("size", Bound::AtMost(5))]).within(&parent));
    assert!(!parent.within(&scope(&[("size", Bound::AtMost(5))])));
    assert!(!scope(&[("x", Bound::AtMost(5)), ("path", names(&["b"]))]).within(&parent));
    let mut bound = parent.clone();
    assert_eq!(bound.insert("size", Bound::AtMost(9)), Some(Bound::AtMost(5)));
    assert_eq!((bound.at_most("size"), bound.keys().count()), (Some(9), 2));
    assert!(bound.keys().eq(["path", "size"]));
}

#[test]
fn a_scope_allows_what_a_list_names_and_is_silent_of_other_keys() {
    let mut scope = Scope::new();
    scope.insert("path", Bound::Names(vec![Pattern::parse("a/*").unwrap()]));
    scope.insert("size", Bound::AtMost(5));
    assert!(scope.allows("path", "a/b"));
    assert!(!scope.allows("path", "b") && !scope.allows("size", "5") && !scope.allows("x", "a/b"));
    assert!(scope.unrestricted("x"));
    assert!(!scope.unrestricted("path") && !scope.unrestricted("size"));
    assert_eq!((scope.names("size"), scope.at_most("path")), (None, None));
    assert_eq!(
        (scope.names("path").map(<[Pattern]>::len), scope.at_most("size")),
        (Some(1), Some(5))
    );
}

#[test]
fn an_expiry_may_stay_but_not_move_out() {
    let grant = |ends: Option<u64>, id| {
        Grant::new(cap("a"), Arc::default(), None, vec![], ends.map(Moment), GrantId(id))
    };
    let end = |child: Result<Grant, GrantError>| child.map(|grant| grant.expires());
    let parent = grant(Some(5), 0);
    assert_eq!(end(parent.attenuate(grant(Some(5), 1))), Ok(Some(Moment(5))));
    assert_eq!(end(parent.attenuate(grant(Some(6), 1))), Err(GrantError::Expiry));
    assert_eq!(end(parent.attenuate(grant(None, 1))), Ok(Some(Moment(5))));
    assert_eq!(end(grant(None, 0).attenuate(grant(Some(6), 1))), Ok(Some(Moment(6))));
}
