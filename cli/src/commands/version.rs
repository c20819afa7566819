//! `version`: of the binary, of the data format, of the engines inside.

use crate::exit::Code;
use crate::output;

/// Prints them.
pub(super) fn version(json: bool) -> Code {
    let version = env!("CARGO_PKG_VERSION");
    let format = loket_ledger::DATA_FORMAT;
    let (sqlite, pure) = (loket_ledger::sqlite_version(), loket_store::PURE_VERSION);
    if json {
        let object = serde_json::json!({
            "loket": version, "data_format": format, "pure_version": pure, "sqlite": sqlite,
            "wasmtime": "48", "world": "loket:agent@1.0.0",
        });
        return output::versioned(object);
    }
    output::line(&format!(
        "loket {version} (data format {format}, pure version {pure}, SQLite {sqlite}, wasmtime 48, world loket:agent@1.0.0)"
    ))
}
