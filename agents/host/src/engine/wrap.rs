//! A core module in the world's canonical ABI becomes a component, so that the host has one way to run a guest.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::load_error::LoadError;

/// Wraps `core`. `described`: its toolchain has embedded the description of a world; otherwise it is taken to be ours.
pub(super) fn wrap(mut core: Vec<u8>, described: bool) -> Result<Vec<u8>, LoadError> {
    if !described {
        describe(&mut core).map_err(LoadError::invalid)?;
    }
    // The encoder compares every import and export with the world, in core types.
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|e| LoadError::wrong_type(format!("{e:#}")))
}

fn describe(core: &mut Vec<u8>) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("loket.wit", loket_abi::WIT).map_err(|e| format!("{e:#}"))?;
    let world =
        resolve.select_world(&[package], Some(loket_abi::WORLD)).map_err(|e| format!("{e:#}"))?;
    embed_component_metadata(core, &resolve, world, StringEncoding::UTF8)
        .map_err(|e| format!("{e:#}"))
}
