//! From bytes to a [`Module`]: look, wrap, compile or take from the cache, link, check the types.
//!
//! A module that loads can import nothing but the loket, exports a `handle` of the contract's type, and fits an instance
//! slot. Start at [`Engine::load`].

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::cache::Cache;
use super::config::Engine;
use super::load_error::LoadError;
use super::run::State;
use super::scan::{self, Facts, Form};
use super::types::{Answer, Message};
use super::{precompiled, stubs, wrap};

/// Largest module, bytes. Compile time grows with it: about a second for 2 MB.
pub const MAX_MODULE_BYTES: usize = 16 << 20;

/// Most functions of a module, nested ones included: a bound on compile time that bytes alone do not give. The largest
/// interpreter guest has fewer than half as many.
pub const MAX_FUNCTIONS: u64 = 60_000;

/// Largest function, bytes: compiling one takes more than linear time. The largest interpreter loop has a tenth of it.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;

/// What a module may be.
#[derive(Clone, Copy, Debug)]
pub struct LoadLimits {
    /// Size, bytes, before and after the text format is read.
    pub module_bytes: usize,
    /// Functions, over all nested modules.
    pub functions: u64,
    /// Size of one function, bytes.
    pub function_bytes: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            module_bytes: MAX_MODULE_BYTES,
            functions: MAX_FUNCTIONS,
            function_bytes: MAX_FUNCTION_BYTES,
        }
    }
}

/// A guest, compiled and linked. Cheap to clone; made once, run for every turn on any thread.
#[derive(Clone)]
pub struct Module(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) pre: InstancePre<State>,
    pub(super) handle: ComponentExportIndex,
    pub(super) memory_bytes: usize,
    hash: [u8; 32],
    imports: Vec<String>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("hash", &hex::encode(self.0.hash)).finish_non_exhaustive()
    }
}

impl Module {
    /// BLAKE3 of the bytes as given: what a turn records as its module.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.0.hash
    }

    /// What it imports, by name; `wasi:*` among them are denied when called.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }
}

impl Engine {
    /// Makes a guest of `bytes`: a component, a core module in the world's canonical ABI, or the text of either.
    ///
    /// Blocks its thread for as long as compiling takes (milliseconds for a small guest, seconds for an interpreter; bounded
    /// only by the limits on size), so call it on a thread of its own, never on a lane. With a cache, the second time takes
    /// about a millisecond. A cache that cannot be read or written costs time, never the module.
    ///
    /// # Errors
    /// [`LoadError`], with a code and what to do.
    pub fn load(
        &self,
        bytes: &[u8],
        limits: &LoadLimits,
        cache: Option<&Cache>,
    ) -> Result<Module, LoadError> {
        fits(bytes.len(), limits)?;
        let hash = *blake3::hash(bytes).as_bytes();
        let wasm = binary(bytes)?;
        fits(wasm.len(), limits)?;
        let form = scan::form(&wasm).ok_or(LoadError::NotWasm)?;
        let facts = scan::scan(&wasm, form, limits)?;
        let component = self.compiled(&wasm, &facts, &hash, cache)?;
        self.link(component, hash, facts.imports)
    }

    fn compiled(
        &self,
        wasm: &[u8],
        facts: &Facts,
        hash: &[u8; 32],
        cache: Option<&Cache>,
    ) -> Result<Component, LoadError> {
        let key = cache.map(|c| c.key(&self.wasm, hash));
        if let (Some(cache), Some(key)) = (cache, &key)
            && let Some(component) = precompiled::take(&self.wasm, cache, key)
        {
            return Ok(component);
        }
        let wasm = match facts.form {
            Form::Component => Cow::Borrowed(wasm),
            Form::Core => Cow::Owned(wrap::wrap(wasm.to_vec(), facts.described)?),
        };
        let component = Component::from_binary(&self.wasm, &wasm).map_err(|e| refused(&e))?;
        if let (Some(cache), Some(key)) = (cache, &key) {
            match component.serialize() {
                Ok(artifact) => cache.put(key, &artifact),
                Err(e) => tracing::warn!(error = %e, "a compiled module could not be cached"),
            }
        }
        Ok(component)
    }

    fn link(
        &self,
        component: Component,
        hash: [u8; 32],
        imports: Vec<String>,
    ) -> Result<Module, LoadError> {
        let mut linker = (*self.linker).clone();
        stubs::deny_wasi(&mut linker, &component).map_err(LoadError::wrong_type)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|e| LoadError::wrong_type(format!("{e:#}")))?;
        let missing = || LoadError::MissingExport { export: loket_abi::HANDLE.to_owned() };
        let exported = component.component_type();
        match exported.get_export(&self.wasm, loket_abi::HANDLE).map(|e| e.ty) {
            Some(ComponentItem::ComponentFunc(function)) => function
                .typecheck::<(Message<'_>,), (Answer,)>(&pre.instance_type())
                .map_err(|e| LoadError::wrong_type(format!("{e:#}")))?,
            _ => return Err(missing()),
        }
        let handle = component.get_export_index(None, loket_abi::HANDLE).ok_or_else(missing)?;
        let memory_bytes = self.memory_bytes;
        Ok(Module(Arc::new(Inner { pre, handle, memory_bytes, hash, imports })))
    }
}

fn fits(bytes: usize, limits: &LoadLimits) -> Result<(), LoadError> {
    match bytes > limits.module_bytes {
        true => Err(LoadError::TooLarge { bytes, max: limits.module_bytes }),
        false => Ok(()),
    }
}

/// The binary form: `bytes` themselves, or what their text says.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::NotWasm)?;
    if !text.trim_start().starts_with(['(', ';']) {
        return Err(LoadError::NotWasm);
    }
    let parsed = wat::parse_str(text).map_err(|e| LoadError::Text { message: e.to_string() })?;
    Ok(Cow::Owned(parsed))
}

/// The compiler's refusals: too big for a slot, or not valid.
fn refused(e: &wasmtime::Error) -> LoadError {
    let message = format!("{e:#}");
    // The engine has no type for this; the words are pinned by a test.
    match ["exceeds the limit", "exceeds the configured", "pooling allocator"]
        .iter()
        .any(|w| message.contains(w))
    {
        true => LoadError::does_not_fit(message),
        false => LoadError::invalid(message),
    }
}
