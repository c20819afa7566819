//! The only unsafe code of the host: turning a verified entry back into a component.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::entry::Entry;

/// The component that an entry was made of, or nothing if this engine cannot use it.
pub(super) fn component(engine: &Engine, entry: &Entry) -> Option<Component> {
    // SAFETY: `deserialize` asks for bytes that `Component::serialize` made, unmodified. An `Entry` holds only bytes that
    // `Entry::of` was given here, or whose BLAKE3 hash stands in a header that `Entry::of` wrote with the artifact, under a key
    // that covers the module's content and this engine's compatibility hash. They were read into memory of ours before they
    // were verified, so nobody can change them after. Nobody else could have made a well-formed one: they come from a folder
    // that is 0700 and ours, checked at `Cache::new`, or through a pipe that only the program has which we were told to compile
    // with. A process of the same user could, and could as well replace this program.
    let component = unsafe { Component::deserialize(engine, entry.artifact()) };
    component.inspect_err(|e| tracing::warn!(error = %e, "a compiled module was not usable")).ok()
}
