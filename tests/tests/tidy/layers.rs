//! Who may depend on whom. One row per crate; a crate without a row is an error, and so is a row without a crate.
//!
//! Own crates are an allow-list: the layers of ARCHITECTURE.md. Others are an allow-list for the pure crates and "only these
//! have it" for the heavy ones.

/// A crate's place in the layers.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    /// Crates of ours that it may name.
    pub(crate) ours: &'static [&'static str],
    /// All other crates that it may name, where it must stay pure.
    pub(crate) only: Option<&'static [&'static str]>,
    /// What it may not have, however long the way.
    pub(crate) never: &'static [&'static str],
}

pub(crate) const PURE: [&str; 3] = ["loket-kernel", "loket-supervision", "loket-turn"];
const BELOW_PROVIDERS: &[&str] =
    &["loket-kernel", "loket-supervision", "loket-turn", "loket-runtime", "loket-contract"];
const NO_ENGINES: &[&str] = &["wasmtime", "rusqlite", "axum", "clap"];
const NO_IO: &[&str] = &[
    "wasmtime",
    "rusqlite",
    "axum",
    "clap",
    "actix",
    "actix-rt",
    "tokio",
    "crossbeam-channel",
    "rustix",
];

const fn provider(name: &'static str, folder: &'static str) -> Row {
    Row { name, folder, ours: BELOW_PROVIDERS, only: None, never: NO_ENGINES }
}

pub(crate) const ROWS: [Row; 24] = [
    Row { name: "loket-kernel", folder: "kernel", ours: &[], only: Some(&["serde"]), never: NO_IO },
    Row {
        name: "loket-supervision",
        folder: "supervision",
        ours: &["loket-kernel"],
        only: Some(&["serde", "ron", "thiserror", "serde_json"]),
        never: NO_IO,
    },
    Row {
        name: "loket-turn",
        folder: "actors/turn",
        ours: &["loket-kernel"],
        // The calendar's crates compute from moments that they are given: chrono without its clock.
        only: Some(&[
            "serde",
            "blake3",
            "thiserror",
            "hex",
            "rand_chacha",
            "rand_core",
            "chrono",
            "chrono-tz",
            "croner",
        ]),
        never: NO_IO,
    },
    Row {
        name: "loket-renew",
        folder: "actors/renew",
        ours: &[],
        only: Some(&["rusqlite", "thiserror", "tracing"]),
        never: &["wasmtime", "actix", "actix-rt", "tokio", "axum", "clap"],
    },
    Row {
        name: "loket-crossing",
        folder: "actors/crossing",
        ours: &[],
        only: Some(&["crossbeam-channel", "metrics", "tokio"]),
        never: &["wasmtime", "actix", "actix-rt", "axum", "clap", "rusqlite"],
    },
    Row {
        name: "loket-ledger",
        folder: "actors/ledger",
        ours: &["loket-kernel", "loket-turn", "loket-renew", "loket-crossing"],
        only: None,
        never: &["wasmtime", "actix", "actix-rt", "axum", "clap"],
    },
    Row {
        name: "loket-runtime",
        folder: "actors/runtime",
        ours: &["loket-kernel", "loket-supervision", "loket-turn", "loket-crossing"],
        only: None,
        never: NO_ENGINES,
    },
    Row {
        name: "loket-contract",
        folder: "providers/contract",
        ours: &["loket-kernel", "loket-supervision", "loket-turn", "loket-runtime"],
        only: None,
        never: NO_ENGINES,
    },
    Row {
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-runtime",
            "loket-contract",
            "loket-crossing",
            "loket-renew",
        ],
        never: &["wasmtime", "axum", "clap"],
        ..provider("loket-store", "providers/store")
    },
    provider("loket-llm", "providers/llm"),
    provider("loket-fs", "providers/fs"),
    provider("loket-http", "providers/http"),
    provider("loket-time", "providers/time"),
    provider("loket-agent", "providers/agent"),
    provider("loket-log", "providers/log"),
    provider("loket-chaos", "providers/chaos"),
    Row { name: "loket-abi", folder: "agents/abi", ours: &[], only: Some(&[]), never: &[] },
    Row {
        name: "loket-host",
        folder: "agents/host",
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-runtime",
            "loket-contract",
            "loket-abi",
        ],
        only: None,
        never: &["rusqlite", "axum", "clap"],
    },
    // Light: what it is built for must not build the engine.
    Row {
        name: "loket-outside",
        folder: "benches/outside",
        ours: &["loket-kernel", "loket-runtime"],
        only: None,
        never: NO_ENGINES,
    },
    Row {
        name: "loket-bench",
        folder: "benches/harness",
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-ledger",
            "loket-runtime",
            "loket-contract",
            "loket-store",
            "loket-host",
            "loket-outside",
        ],
        only: None,
        never: &["axum", "clap", "metrics-exporter-prometheus"],
    },
    Row {
        name: "loket-cli",
        folder: "cli",
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-crossing",
            "loket-ledger",
            "loket-runtime",
            "loket-contract",
            "loket-store",
            "loket-llm",
            "loket-fs",
            "loket-http",
            "loket-time",
            "loket-agent",
            "loket-log",
            "loket-chaos",
            "loket-abi",
            "loket-host",
            "loket-bench",
        ],
        only: None,
        never: &[],
    },
    Row {
        name: "loket-benches",
        folder: "benches",
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-ledger",
            "loket-runtime",
            "loket-outside",
            "loket-contract",
        ],
        only: None,
        never: &[],
    },
    // No crate of ours: it must run when one of them does not compile.
    Row {
        name: "loket-tests",
        folder: "tests",
        ours: &[],
        only: None,
        never: &["wasmtime", "actix"],
    },
    // Below the command line: what a node is, without threads, sockets and modules.
    Row {
        name: "loket-sim",
        folder: "tests/sim",
        ours: &[
            "loket-kernel",
            "loket-supervision",
            "loket-turn",
            "loket-ledger",
            "loket-runtime",
            "loket-contract",
            "loket-store",
            "loket-time",
            "loket-agent",
            "loket-host",
        ],
        only: None,
        never: &["axum", "metrics-exporter-prometheus"],
    },
];

/// A heavy crate, the only crates of ours that may build it in, and those whose tests may look with it.
pub(crate) const OWNERS: [(&str, &[&str], &[&str]); 9] = [
    ("wasmtime", &["loket-host"], &[]),
    ("wit-component", &["loket-host"], &["loket-abi"]),
    (
        "rusqlite",
        &["loket-renew", "loket-ledger", "loket-store", "loket-sim"],
        &["loket-cli", "loket-tests"],
    ),
    ("actix", &["loket-runtime", "loket-log", "loket-cli"], &["loket-benches"]),
    ("actix-rt", &["loket-runtime", "loket-cli"], &["loket-benches"]),
    ("axum", &["loket-cli"], &[]),
    ("clap", &["loket-cli", "loket-sim"], &[]),
    ("metrics-exporter-prometheus", &["loket-cli", "loket-benches"], &[]),
    ("tracing-subscriber", &["loket-cli", "loket-sim"], &[]),
];
