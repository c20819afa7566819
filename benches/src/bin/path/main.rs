//! The path of a native call by itself, without guests: for counting its instructions, for a profiler, and for a quick figure.
//!
//! `path admit|refuse|call|call-bare AGENTS CALLS` does so much and prints nanoseconds for one; `call-bare` is without a recorder of
//! metrics. Twice as many calls take as many instructions
//! more as that many calls do: `benches/instructions.sh` counts so. Start reading at [`node::Node`].
#![allow(clippy::disallowed_methods, reason = "it measures, by the machine's clock")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

mod node;

use loket_kernel::{Address, Admission, Chain, Envelope, Moment, Principal, Route, Table, admit};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the arguments.
const PAYLOAD: usize = 64;

/// Grants of each agent.
const GRANTS: u32 = 20;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, agents, calls] = &*words else { return usage() };
    let (Ok(agents), Ok(calls)) = (agents.parse::<u32>(), calls.parse::<u64>()) else {
        return usage();
    };
    let ns = match &**what {
        "admit" => admission(agents, calls, true),
        "refuse" => admission(agents, calls, false),
        "call" => node::Node::new(agents.max(1), true).calls(calls),
        "call-bare" => node::Node::new(agents.max(1), false).calls(calls),
        _ => return usage(),
    };
    println!("{what}: {ns:.1} ns");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: path admit|refuse|call|call-bare AGENTS CALLS");
    ExitCode::from(2)
}

/// Hot admissions, with the making of their envelopes.
fn admission(agents: u32, calls: u64, allowed: bool) -> f64 {
    let mut law = node::Law::default();
    let served = [(loket_kernel::Capability::parse(node::ECHO).unwrap(), Route(0))];
    let table = (0..agents.max(1)).fold(Table::default().with_routes(served), |table, n| {
        table.with_principal(Principal(n), format!("agent/{n}").into(), 1, law.grants(GRANTS))
    });
    let table = match allowed {
        true => table,
        false => table.with_grants(Principal(0), Arc::default()),
    };
    let name: Arc<str> = node::ECHO.into();
    let mut args = vec![b'x'; PAYLOAD];
    let began = Instant::now();
    for _ in 0..calls {
        let envelope = Envelope {
            from: Address { principal: Principal(0), incarnation: 1 },
            capability: Arc::clone(&name),
            args,
            chain: Chain::default(),
            deadline: None,
            cargo: (),
        };
        args = match admit(black_box(&table), envelope, Moment(1_000)) {
            Admission::Admitted(admitted) if allowed => black_box(admitted).into_parts().2,
            Admission::Refused(_, envelope) if !allowed => black_box(envelope).args,
            other => panic!("{other:?}"),
        };
    }
    began.elapsed().as_nanos() as f64 / calls.max(1) as f64
}
