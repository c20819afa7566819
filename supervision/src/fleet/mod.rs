//! The fleet file: RON text in, a checked [`Fleet`] out, or every finding at once.
//!
//! Pure: it opens no file, runs nothing that the file names, and knows no provider; what stands
//! outside the text is asked of a [`Catalog`]. Start reading at [`parse`].

mod bounds;
mod budgets;
mod catalog;
mod common;
mod counted;
mod cx;
mod diff;
mod fields;
mod finding;
mod flows;
mod fmt;
mod forms;
mod grants;
pub(crate) mod nearest;
mod nodes;
mod otp;
mod pages;
mod place;
mod policy;
mod reactions;
mod refs;
mod rights;
mod scalars;
mod schema;
mod secrets;
mod slice;
mod spec;
mod top;
mod units;
mod value;
mod workers;

use cx::Cx;

pub use catalog::{
    CapabilityFact, Catalog, ConfigError, Flow, ModuleFact, ProviderFacts, ScopeForm, ScopeKey,
};
pub use diff::{Deed, FieldChange, Step, diff};
pub use finding::{Finding, Severity};
pub use fmt::format;
pub use pages::{codes, explain};
pub use policy::{
    Action, AutoShutdown, Backoff, Blame, Budget, Cause, Charge, Dynamic, Escalation, First,
    Limits, Mailbox, Overload, Restart, Rule, Shutdown, Stop, Strategy, Watchdog, Window,
};
pub use schema::schema;
pub use spec::{
    AgentSpec, BudgetSpec, Defaults, Durability, Fleet, GrantSpec, Node, Opening, Place,
    ProviderSpec, SoftSpec, SupervisorSpec,
};
pub use units::{duration, money};

/// Milliseconds of a duration as fleet files write it, such as `"5s"`: for the configuration behind a provider's `use:`.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    units::duration(text)
}

/// Largest fleet file, in bytes: 200,000 children of a line each.
pub const MAX_TEXT_BYTES: usize = 16 << 20;

/// Reads and checks a fleet file.
///
/// `file_name` is used in findings only. `sets` are the values of `--set name=value`; they replace
/// values of `params`, after parsing, never text. Beside the fleet come the warnings.
///
/// # Errors
/// All findings, in the order of the file, when at least one of them is an error. A syntax error
/// stands alone: what follows it cannot be read.
pub fn parse(
    text: &str,
    file_name: &str,
    sets: &[(String, String)],
    catalog: &dyn Catalog,
) -> Result<(Fleet, Vec<Finding>), Vec<Finding>> {
    // An editor's byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cx = Cx::new(text, file_name);
    let fleet = read(&mut cx, text, sets, catalog);
    match fleet {
        Some(fleet) if !cx.has_errors() => Ok((fleet, cx.into_findings())),
        _ => Err(cx.into_findings()),
    }
}

fn read<'a>(
    cx: &mut Cx<'a>,
    text: &'a str,
    sets: &[(String, String)],
    catalog: &dyn Catalog,
) -> Option<Fleet> {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("the file is longer than {} MiB", MAX_TEXT_BYTES >> 20);
        cx.help("E007", "", message, "use templates (SimpleOneForOne), or several fleets");
        return None;
    }
    if let Err(error) = slice::syntax(text) {
        let place = cx.place_of(error.span.start);
        let (code, message, help) = match error.code {
            ron::Error::ExceededRecursionLimit => (
                "E007",
                format!("the file is nested deeper than {}", slice::MAX_NESTED),
                "put fewer supervisors and values within each other",
            ),
            other => (
                "E001",
                other.to_string(),
                "a fleet file is RON: Fleet(version: 1, name: \"..\", root: Supervisor(..))",
            ),
        };
        cx.report(code, place, None, message, help.to_owned());
        return None;
    }
    let (fleet, tree, own_operator) = top::fleet(cx, slice::body(text), sets, catalog)?;
    otp::check(cx, &fleet, &catalog.system_names());
    refs::check(cx, &fleet, &tree, own_operator);
    let unused = cx.params.values().filter(|param| !param.used).map(|param| param.at);
    for name in unused.collect::<Vec<_>>() {
        let help = "use it as Param(\"name\"), or leave it out";
        cx.help("W427", name, "nothing in this file uses the parameter", help);
    }
    Some(fleet)
}
