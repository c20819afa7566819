//! From bytes to a [`Module`]: look, take from the cache or compile (here, or in a process apart), link, check the types.
//!
//! A module that loads can import nothing but the loket, exports a `handle` of the contract's type, and fits an instance
//! slot. Start at [`Engine::load`].

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::cache::Cache;
use super::compiler::{Order, Unmade};
use super::config::Engine;
use super::entry::{Entry, Key};
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

/// Where a module's machine code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Made {
    /// From the cache.
    Before,
    /// Compiled by a process apart.
    Apart,
    /// Compiled by this process.
    Here,
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
    made: Made,
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

    /// Where its machine code came from.
    #[must_use]
    pub fn made(&self) -> Made {
        self.0.made
    }
}

/// What a look at a module's bytes has shown.
pub(super) struct Looked<'a> {
    given: &'a [u8],
    /// The binary form.
    wasm: Cow<'a, [u8]>,
    facts: Facts,
    /// Of what was given.
    hash: [u8; 32],
}

/// Looks at bytes, before anything is compiled.
pub(super) fn look<'a>(given: &'a [u8], limits: &LoadLimits) -> Result<Looked<'a>, LoadError> {
    fits(given.len(), limits)?;
    let hash = *blake3::hash(given).as_bytes();
    let wasm = binary(given)?;
    fits(wasm.len(), limits)?;
    let form = scan::form(&wasm).ok_or(LoadError::NotWasm)?;
    let facts = scan::scan(&wasm, form, limits)?;
    Ok(Looked { given, wasm, facts, hash })
}

impl Engine {
    /// Makes a guest of `bytes`: a component, a core module in the world's canonical ABI, or the text of either.
    ///
    /// Blocks its thread for as long as compiling takes (milliseconds for a small guest, seconds for an interpreter; bounded
    /// by the limits on size, and by time where a process apart does it), so call it on a thread of its own, never on a lane.
    /// With a cache, the second time takes about a millisecond. A cache that cannot be read or written costs time, never the
    /// module.
    ///
    /// # Errors
    /// [`LoadError`], with a code and what to do.
    pub fn load(
        &self,
        bytes: &[u8],
        limits: &LoadLimits,
        cache: Option<&Cache>,
    ) -> Result<Module, LoadError> {
        let looked = look(bytes, limits)?;
        let (component, made) = self.compiled(&looked, limits, cache)?;
        self.link(component, looked, made)
    }

    fn compiled(
        &self,
        looked: &Looked<'_>,
        limits: &LoadLimits,
        cache: Option<&Cache>,
    ) -> Result<(Component, Made), LoadError> {
        let key = self.key(looked);
        let kept = cache.and_then(|cache| cache.get(&key));
        if let Some(component) = kept.and_then(|entry| precompiled::component(&self.wasm, &entry)) {
            return Ok((component, Made::Before));
        }
        let (component, entry, made) = match self.apart(looked, limits, &key) {
            Some(apart) => {
                let (component, entry) = apart?;
                (component, Some(entry), Made::Apart)
            }
            None => {
                let component = self.compile(looked)?;
                let entry = cache.and_then(|_| serialized(&component, &key));
                (component, entry, Made::Here)
            }
        };
        if let (Some(cache), Some(entry)) = (cache, entry) {
            cache.put(&key, &entry);
        }
        Ok((component, made))
    }

    /// Lets a process apart compile, if there is a program for it that starts. What that process does not survive is never
    /// tried here.
    fn apart(
        &self,
        looked: &Looked<'_>,
        limits: &LoadLimits,
        key: &Key,
    ) -> Option<Result<(Component, Entry), LoadError>> {
        let order = Order { memory_bytes: self.memory_bytes, limits: *limits };
        let answer = match self.compiler.as_ref()?.compile(&order, looked.given) {
            Ok(answer) => answer,
            Err(Unmade::Refused(error)) => return Some(Err(error)),
            Err(Unmade::NotStarted(error)) => {
                tracing::warn!(%error, "no process apart to compile in: a module is compiled in this one");
                return None;
            }
        };
        let entry = Entry::verified(key, answer);
        let made = entry.and_then(|e| Some((precompiled::component(&self.wasm, &e)?, e)));
        let unreadable = || LoadError::lost("what it made is not for this module and this version");
        Some(made.ok_or_else(unreadable))
    }

    /// The key of what was looked at.
    pub(super) fn key(&self, looked: &Looked<'_>) -> Key {
        Key::of(&self.wasm, &looked.hash)
    }

    /// Wraps and compiles, in this process.
    pub(super) fn compile(&self, looked: &Looked<'_>) -> Result<Component, LoadError> {
        let wasm = match looked.facts.form {
            Form::Component => Cow::Borrowed(&*looked.wasm),
            Form::Core => Cow::Owned(wrap::wrap(looked.wasm.to_vec(), looked.facts.described)?),
        };
        Component::from_binary(&self.wasm, &wasm).map_err(|e| refused(&e))
    }

    fn link(
        &self,
        component: Component,
        looked: Looked<'_>,
        made: Made,
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
        let (memory_bytes, hash, imports) = (self.memory_bytes, looked.hash, looked.facts.imports);
        Ok(Module(Arc::new(Inner { pre, handle, memory_bytes, hash, imports, made })))
    }
}

/// The entry of a component; without one it is compiled again the next time.
pub(super) fn serialized(component: &Component, key: &Key) -> Option<Entry> {
    match component.serialize() {
        Ok(artifact) => Some(Entry::of(key, &artifact)),
        Err(error) => {
            tracing::warn!(%error, "a compiled module could not be kept");
            None
        }
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
