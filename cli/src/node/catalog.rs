//! What `check` may know of the world: the providers compiled in, and the modules that the file names. It runs none of them.

use super::assemble::names;
use super::builtins;
use super::compiler::engine;
use crate::exit::CliError;
use loket_contract::facts;
use loket_host::driver::{ModuleSource, Modules};
use loket_host::engine::LoadLimits;
use loket_runtime::ScopeHints;
use loket_supervision::fleet::{CapabilityFact, Catalog, ConfigError, ModuleFact, ProviderFacts};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Providers that `use:` may name.
const KINDS: &[&str] = &["Chaos", "Fs", "Http", "Llm"];

/// The catalogue of this binary, for a fleet file in a folder.
pub(crate) struct FileCatalog {
    folder: PathBuf,
    /// `None`: every module is believed in.
    modules: Option<Arc<Modules>>,
}

impl FileCatalog {
    /// For `check`: modules are compiled without a cache, so that checking writes nothing.
    pub(crate) fn new(fleet: &Path) -> Result<Self, CliError> {
        let modules = Modules::new(engine(1)?, LoadLimits::default(), None, builtins::modules());
        Ok(Self::with(fleet, Arc::new(modules)))
    }

    /// For `run`: what is compiled here is run later.
    pub(crate) fn with(fleet: &Path, modules: Arc<Modules>) -> Self {
        Self { folder: folder_of(fleet), modules: Some(modules) }
    }

    /// For a first look at a file whose data directory and slots the engine depends on.
    pub(crate) fn believing(fleet: &Path) -> Self {
        Self { folder: folder_of(fleet), modules: None }
    }
}

/// The folder that a fleet file's paths are relative to.
pub(crate) fn folder_of(fleet: &Path) -> PathBuf {
    match fleet.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What a `module:` means.
pub(crate) fn source(folder: &Path, reference: &str) -> ModuleSource {
    match reference.strip_prefix("builtin:") {
        Some(name) => ModuleSource::Builtin(name.to_owned()),
        None => ModuleSource::File(folder.join(reference)),
    }
}

/// What a refusal says of the scopes that grants must name.
pub(super) fn scope_hints() -> ScopeHints {
    let all = [
        loket_agent::OPERATIONS,
        loket_chaos::OPERATIONS,
        loket_fs::OPERATIONS,
        loket_http::OPERATIONS,
        loket_llm::OPERATIONS,
    ];
    let mut hints = ScopeHints::new();
    for fact in all.into_iter().flat_map(facts) {
        let keys = fact.scope_keys.iter().filter(|key| key.mandatory);
        let keys: Vec<_> = keys.map(|key| format!("{:?}: [\"...\"]", key.name)).collect();
        if !keys.is_empty() {
            hints.insert(fact.name, format!("{{{}}}", keys.join(", ")));
        }
    }
    hints
}

/// What models serve, and whether money can be counted: only where each of them has a price.
fn llm_facts(config_ron: &str) -> Result<ProviderFacts, ConfigError> {
    let config = loket_llm::parse_config(config_ron);
    let config = config.map_err(|(message, offset)| ConfigError { message, offset })?;
    let priced = config.models.iter().all(|model| model.price.is_some());
    let mut capabilities = facts(loket_llm::OPERATIONS);
    for fact in &mut capabilities {
        fact.priced = priced && fact.tokens;
    }
    Ok(ProviderFacts { capabilities })
}

impl Catalog for FileCatalog {
    fn provider_kinds(&self) -> Vec<String> {
        KINDS.iter().map(|&kind| kind.to_owned()).collect()
    }

    fn check_provider(&self, kind: &str, config_ron: &str) -> Result<ProviderFacts, ConfigError> {
        let (checked, operations) = match kind {
            "Chaos" => (loket_chaos::parse_config(config_ron), loket_chaos::OPERATIONS),
            "Fs" => (loket_fs::parse_config(config_ron).map(drop), loket_fs::OPERATIONS),
            "Http" => (loket_http::parse_config(config_ron).map(drop), loket_http::OPERATIONS),
            "Llm" => return llm_facts(config_ron),
            other => (Err((format!("there is no provider {other}"), None)), &[][..]),
        };
        checked.map_err(|(message, offset)| ConfigError { message, offset })?;
        Ok(ProviderFacts { capabilities: facts(operations) })
    }

    fn builtin_capabilities(&self) -> Vec<CapabilityFact> {
        let all = [
            loket_store::OPERATIONS,
            loket_time::OPERATIONS,
            loket_log::OPERATIONS,
            loket_agent::OPERATIONS,
        ];
        all.into_iter().flat_map(facts).collect()
    }

    fn system_names(&self) -> Vec<String> {
        names::SYSTEM.iter().map(|&name| name.to_owned()).collect()
    }

    fn module(&self, reference: &str) -> ModuleFact {
        let Some(modules) = &self.modules else { return ModuleFact::Ok };
        let source = source(&self.folder, reference);
        if let Err(message) = modules.read(&source) {
            return ModuleFact::Missing(message);
        }
        match modules.preload(&source) {
            Ok(_) => ModuleFact::Ok,
            Err(message) => {
                let (code, text) = message.split_once(": ").unwrap_or(("M000", &message));
                ModuleFact::Invalid { code: code.to_owned(), message: text.to_owned() }
            }
        }
    }
}
