//! The fleet file: RON text in, a checked [`Fleet`] out, or every finding at once.
//!
//! Pure: it opens no file, runs nothing that the file names, and knows no provider; what stands
//! outside the text is asked of a [`Catalog`]. Start reading at [`parse`].

mod catalog;
mod finding;
mod spec;

pub use catalog::{
    CapabilityFact, Catalog, ConfigError, ModuleFact, ProviderFacts, ScopeForm, ScopeKey,
};
pub use finding::{Finding, Severity};
pub use spec::{
    AgentSpec, AutoShutdown, Backoff, BoundSpec, BudgetSpec, Charge, Defaults, Durability, Fleet,
    GrantSpec, Limits, Mailbox, Node, Opening, Overload, Place, ProviderSpec, Restart, Shutdown,
    Strategy, SupervisorSpec,
};

/// Reads and checks a fleet file.
///
/// `file_name` is used in findings only. `sets` are the values of `--set name=value`; they replace
/// values of `params`, after parsing. Beside the fleet come the warnings.
///
/// # Errors
/// All findings, in the order of the file, when at least one of them is an error.
pub fn parse(
    text: &str,
    file_name: &str,
    sets: &[(String, String)],
    catalog: &dyn Catalog,
) -> Result<(Fleet, Vec<Finding>), Vec<Finding>> {
    let _ = (text, file_name, sets, catalog.provider_kinds());
    Err(Vec::new())
}

/// The page of a finding's code: what it means, why it matters, what to do.
pub fn explain(_code: &str) -> Option<&'static str> {
    None
}
