//! Loaded modules: each content is compiled once, on a thread that may block, and shared by all agents that run it.

use super::metrics;
use crate::engine::{Cache, Engine, LoadLimits, Made, Module};
use loket_turn::Hash;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// Modules kept in memory at most. A fleet uses tens; beyond it any one is let go, and loaded again from the
/// disk cache when it is needed.
const KEPT_MAX: usize = 512;

/// Modules loaded at a time on threads of their own, and so the processes that compile for running agents: each may take a core
/// and some GiB, and one that takes long must not hold the others up.
const LOADS_MAX: usize = 4;

/// Where a module's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModuleSource {
    /// A file, resolved against the fleet file.
    File(PathBuf),
    /// One that is built into the binary, by name.
    Builtin(String),
}

/// A module with its content's hash and bytes: the ledger keeps the bytes while a turn needs them.
#[derive(Clone)]
pub struct Loaded {
    /// Hash of the bytes.
    pub hash: Hash,
    /// The bytes as they were given, text or binary.
    pub bytes: Arc<[u8]>,
    /// The compiled module.
    pub module: Module,
    /// What is run in its place.
    #[cfg(feature = "simulation")]
    pub script: Option<Arc<dyn super::script::Script>>,
}

/// See the module head.
pub struct Modules {
    engine: Engine,
    limits: LoadLimits,
    cache: Option<Cache>,
    builtins: HashMap<&'static str, &'static [u8]>,
    kept: Mutex<HashMap<Hash, Loaded>>,
    sources: Mutex<HashMap<ModuleSource, Hash>>,
    loads: Arc<Semaphore>,
}

impl Modules {
    /// Modules of this engine; `builtins` are those that `builtin:NAME` names; `cache` keeps compiled code.
    pub fn new(
        engine: Engine,
        limits: LoadLimits,
        cache: Option<Cache>,
        builtins: HashMap<&'static str, &'static [u8]>,
    ) -> Self {
        let (kept, sources) = (Mutex::default(), Mutex::default());
        let loads = Arc::new(Semaphore::new(LOADS_MAX));
        Self { engine, limits, cache, builtins, kept, sources, loads }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The bytes of a source.
    ///
    /// # Errors
    /// In words, what could not be read.
    pub fn read(&self, source: &ModuleSource) -> Result<Arc<[u8]>, String> {
        match source {
            ModuleSource::Builtin(name) => match self.builtins.get(name.as_str()) {
                Some(bytes) => Ok(Arc::from(*bytes)),
                None => Err(format!(
                    "there is no builtin:{name}; there are: {}",
                    self.builtin_names().join(", ")
                )),
            },
            ModuleSource::File(path) => {
                self.file(path).map_err(|why| format!("module {}: {why}", path.display()))
            }
        }
    }

    /// A regular file within the limit: a pipe or a device may never end.
    fn file(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        let limit = self.limits.module_bytes as u64;
        let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if !meta.is_file() {
            return Err("not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 > limit {
            let size = meta.len();
            return Err(format!("it has {size} bytes, the limit is {limit}"));
        }
        Ok(bytes.into())
    }

    /// Names that `builtin:` knows, sorted.
    pub fn builtin_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.builtins.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Reads and compiles a source; from then on it is known by name. Blocks: not for a lane.
    ///
    /// # Errors
    /// In words, what could not be read or compiled.
    pub fn preload(&self, source: &ModuleSource) -> Result<Loaded, String> {
        if let Some(loaded) = self.known(source) {
            return Ok(loaded);
        }
        let loaded = self.load(self.read(source)?)?;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.insert(source.clone(), loaded.hash);
        Ok(loaded)
    }

    /// From here on `source` is `script`, known to the ledger as `bytes`; `stand_in` is never run.
    #[cfg(feature = "simulation")]
    pub fn script(
        &self,
        source: ModuleSource,
        bytes: Arc<[u8]>,
        stand_in: &Loaded,
        script: Arc<dyn super::script::Script>,
    ) {
        let (hash, module) = (Hash::of(&bytes), stand_in.module.clone());
        let loaded = Loaded { hash, bytes, module, script: Some(script) };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, loaded);
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(source, hash);
    }

    /// A source that was loaded before.
    fn known(&self, source: &ModuleSource) -> Option<Loaded> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = *sources.get(source)?;
        drop(sources);
        self.kept(hash)
    }

    /// The module of a source; on a thread of its own when it is not loaded yet.
    ///
    /// # Errors
    /// As [`preload`](Self::preload).
    pub async fn source(self: &Arc<Self>, source: ModuleSource) -> Result<Loaded, String> {
        match self.known(&source) {
            Some(loaded) => Ok(loaded),
            None => self.apart(move |modules| modules.preload(&source)).await,
        }
    }

    /// Compiles bytes, or finds them compiled. Blocks: not for a lane.
    ///
    /// # Errors
    /// In words, with the stable code in front.
    pub fn load(&self, bytes: Arc<[u8]>) -> Result<Loaded, String> {
        let hash = Hash::of(&bytes);
        if let Some(loaded) = self.kept(hash) {
            return Ok(loaded);
        }
        let loaded = self.engine.load(&bytes, &self.limits, self.cache.as_ref());
        metrics::loaded(loaded.as_ref().map(Module::made));
        let module = loaded.map_err(|error| format!("{}: {error}", error.code()))?;
        if module.made() != Made::Before {
            let apart = module.made() == Made::Apart;
            tracing::info!(module = %hash, bytes = bytes.len(), apart, "a module was compiled");
        }
        let loaded = Loaded {
            hash,
            bytes,
            module,
            #[cfg(feature = "simulation")]
            script: None,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX
            && let Some(any) = kept.keys().next().copied()
        {
            kept.remove(&any);
        }
        kept.insert(hash, loaded.clone());
        Ok(loaded)
    }

    /// A module that is compiled already.
    pub fn kept(&self, hash: Hash) -> Option<Loaded> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    /// Compiles on a thread of its own, so that no lane waits for Cranelift; [`LOADS_MAX`] at a time.
    ///
    /// # Errors
    /// What `work` says, or that there was no thread.
    pub async fn apart(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<Loaded, String> + Send + 'static,
    ) -> Result<Loaded, String> {
        let permit = Arc::clone(&self.loads).acquire_owned().await.map_err(|e| e.to_string())?;
        let (done, answer) = oneshot::channel();
        let modules = Arc::clone(self);
        std::thread::Builder::new()
            .name("loket-compile".to_owned())
            .spawn(move || {
                let _ = done.send(work(&modules));
                // Held to the end of the work, whether somebody waits for it or not.
                drop(permit);
            })
            .map_err(|error| format!("no thread to compile on: {error}"))?;
        answer.await.unwrap_or_else(|_| Err("the compiler panicked".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineConfig;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn so_many_are_loaded_at_a_time_and_no_more() {
        let engine = Engine::new(EngineConfig::with_slots(1)).unwrap();
        let modules = Modules::new(engine, LoadLimits::default(), None, HashMap::new());
        let modules = Arc::new(modules);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Each waits until as many as may are there: with fewer it would not end, with more there are more at once.
        let together = Arc::new(Barrier::new(LOADS_MAX));
        let loads = (0..LOADS_MAX * 8).map(|_| {
            let (now, most, together) =
                (Arc::clone(&now), Arc::clone(&most), Arc::clone(&together));
            modules.apart(move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                together.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                Err("done".to_owned())
            })
        });
        let ended = futures_util::future::join_all(loads).await;
        assert_eq!(ended.len(), LOADS_MAX * 8);
        assert_eq!(most.load(Ordering::SeqCst), LOADS_MAX);
    }
}
