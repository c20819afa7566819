//! What the checks must ask of the world outside: which providers, capabilities and modules exist.
//!
//! The one place where `supervision/` meets providers and modules; `cli` implements it. An
//! implementation never runs what the fleet file names: it reads, compiles and validates only.

/// Answers the checks' questions about what stands outside the fleet file.
pub trait Catalog {
    /// The kinds that `use:` may name, such as `Llm`.
    fn provider_kinds(&self) -> Vec<String>;

    /// Reads a provider's configuration without starting it.
    ///
    /// `config_ron` is the RON after the kind, parentheses included: `(models: [..])`; `()` when
    /// the kind stands alone. Parse it with `implicit_some` on.
    ///
    /// # Errors
    /// A [`ConfigError`] when the provider's own form refuses it.
    fn check_provider(&self, kind: &str, config_ron: &str) -> Result<ProviderFacts, ConfigError>;

    /// What every fleet has without naming it: store, time, log, random, agent.
    fn builtin_capabilities(&self) -> Vec<CapabilityFact>;

    /// The names of the children that every fleet has under `system`: no child of a file may bear one.
    fn system_names(&self) -> Vec<String>;

    /// Looks at a module without running it.
    fn module(&self, reference: &str) -> ModuleFact;
}

/// What a provider with this configuration would serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderFacts {
    /// Its capabilities.
    pub capabilities: Vec<CapabilityFact>,
}

/// One capability that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityFact {
    /// Its full name, `llm.chat`; `mcp.github.*` where what is below is known only at run time.
    pub name: String,
    /// The scope keys it knows.
    pub scope_keys: Vec<ScopeKey>,
    /// Where what it reads comes from, and where what it is given goes.
    pub flow: Flow,
    /// It uses tokens, which a budget can count.
    pub tokens: bool,
    /// These tokens have a price, so that a budget can count money.
    pub priced: bool,
}

/// Where data comes from and goes to when a capability is called: what is dangerous only together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// It reads what others must not see, such as files of the machine.
    pub private: bool,
    /// It reads what a stranger may have written, orders for a model among it.
    pub foreign: bool,
    /// What it is given leaves the machine for a place that a stranger may read.
    pub out: bool,
}

impl Flow {
    /// Nothing of it: within the fleet.
    pub const NONE: Self = Self { private: false, foreign: false, out: false };
    /// What others must not see.
    pub const PRIVATE: Self = Self { private: true, ..Self::NONE };
    /// A request to somebody outside: it tells, and its answer is a stranger's.
    pub const OUTSIDE: Self = Self { foreign: true, out: true, ..Self::NONE };
}

/// One scope key of a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeKey {
    /// The key.
    pub name: String,
    /// Whether a grant must give it.
    pub mandatory: bool,
    /// The form of its value.
    pub form: ScopeForm,
}

/// The form of a scope key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeForm {
    /// A list of names.
    Names,
    /// An upper bound.
    AtMost,
}

/// Why a provider's configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong, in words for the writer of the file.
    pub message: String,
    /// Bytes from the start of `config_ron`, where known.
    pub offset: Option<usize>,
}

/// What is known of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleFact {
    /// It can be run.
    Ok,
    /// It cannot be read; why.
    Missing(String),
    /// It is not a module that can be run.
    Invalid {
        /// The host's own code, such as `import_not_offered`.
        code: String,
        /// What is wrong.
        message: String,
    },
}
