//! The only unsafe code of the host: turning a verified cache entry back into a component.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::{Cache, Key};

/// The compiled component of `key`, or nothing if the cache has none that can be trusted and used.
pub(super) fn take(engine: &Engine, cache: &Cache, key: &Key) -> Option<Component> {
    let artifact = cache.get(key)?;
    // SAFETY: `deserialize` asks for bytes that `Component::serialize` made, unmodified. `Cache::get` returns only bytes
    // whose BLAKE3 hash stands in a header that `Cache::put` wrote with the artifact, under a key that covers the module's
    // content and this engine's compatibility hash. They were read into memory of ours before they were verified, so nobody
    // can change them after; and the folder is 0700 and ours, checked at `Cache::new`, so nobody else could have written a
    // well-formed entry. A process of the same user could, and could as well replace this program.
    let component = unsafe { Component::deserialize(engine, &artifact) };
    component.inspect_err(|e| tracing::warn!(error = %e, "a cached module was not usable")).ok()
}
