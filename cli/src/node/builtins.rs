//! The guest modules that are built into the binary: `module: "builtin:reader"`.

use std::collections::HashMap;

macro_rules! modules {
    ($($name:literal),*) => {
        &[$(($name, include_bytes!(concat!("../../../agents/guests/modules/", $name, ".wasm")))),*]
    };
}

/// Name and bytes.
const MODULES: &[(&str, &[u8])] =
    modules!["assistant", "echo", "gremlin", "librarian", "reader", "script"];

/// The modules by name.
pub(crate) fn modules() -> HashMap<&'static str, &'static [u8]> {
    MODULES.iter().copied().collect()
}
