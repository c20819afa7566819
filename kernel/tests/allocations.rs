//! Admission allocates nothing, and an index is no larger than it must be: counted by the allocator
//! itself.
#![allow(unsafe_code, clippy::unwrap_used)]

use loket_kernel::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to `System` as it came; counting touches a thread-local number that
// needs neither allocation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        BYTES.with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn counted<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let before = TAKEN.with(Cell::get);
    let made = run();
    (made, TAKEN.with(Cell::get) - before)
}

#[test]
fn no_verdict_allocates() {
    let cap = |name: &str| Capability::parse(name).unwrap();
    let grant = |name: &str, id, rules| {
        Grant::new(cap(name), Arc::default(), None, rules, None, GrantId(id))
    };
    let grants = vec![grant("a", 1, vec![]), grant("b", 2, vec![cap("b")]), grant("d", 4, vec![])];
    let grants = Arc::new(GrantSet::new(grants).unwrap());
    let routes = ["a.x", "b.x", "c.x", "d.x"].map(|name| (cap(name), Route(0)));
    let table = Table::default().with_routes(routes).revoke(GrantId(4));
    let table = table.with_principal(Principal(70_000), "agent".into(), 1, grants.clone());
    let huge = "z".repeat(1 << 16);
    for (name, expected) in [
        ("a.x", "admitted"),
        ("b.x", "hold"),
        ("c.x", "K003"),
        ("d.x", "K009"),
        ("a.y", "K001"),
        ("A", "K002"),
        (&huge, "K002"),
    ] {
        for pinned in [false, true] {
            let envelope = Envelope {
                from: Address { principal: Principal(70_000), incarnation: 1 },
                capability: name.into(),
                args: vec![0; 64],
                chain: Chain::default(),
                deadline: None,
                cargo: [0_u64; 4],
            };
            let (admission, taken) = counted(|| match pinned {
                false => admit(&table, envelope, Moment(0)),
                true => admit_pinned(&table, &grants, envelope, Moment(0)),
            });
            let got = match &admission {
                Admission::Admitted(_) => "admitted",
                Admission::Hold(_) => "hold",
                Admission::Refused(refusal, _) => refusal.code.code(),
            };
            assert!(
                got == expected || (pinned && expected == "K009" && got == "admitted"),
                "{got}"
            );
            assert_eq!(taken, 0, "{expected} allocates");
        }
    }
    // The counter does count.
    assert_eq!(counted(|| Box::new(1)).1, 1);
}

/// At most 8/3 slots for each grant, of a cache line each, made once and then moved to where they
/// are shared; the rest is for the grants themselves.
#[test]
fn a_set_of_grants_takes_no_more_than_its_size_wants() {
    let grant = |n: usize| {
        let name = Capability::parse(&format!("tool.n{n}")).unwrap();
        Grant::new(name, Arc::default(), None, vec![], None, GrantId(n as u64))
    };
    for number in [100, 1_000, MAX_GRANTS] {
        let grants: Vec<Grant> = (0..number).map(grant).collect();
        let before = BYTES.with(Cell::get);
        let set = GrantSet::new(grants).unwrap();
        let each = (BYTES.with(Cell::get) - before) / number;
        println!("{number} grants: {each} bytes each");
        assert!(each <= 600, "{each} bytes for each of {number} grants");
        assert_eq!(set.iter().len(), number);
    }
}
