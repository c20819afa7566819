//! Enforcing the grant's scope, and telling how it would have to be widened.

use loket_contract::{CallView, TurnView};
use loket_turn::Failure;

/// `Ok` when the scope's `key` allows `value`.
pub(crate) fn allow(call: &CallView<'_>, key: &str, value: &str) -> Result<(), Failure> {
    if call.scope().allows(key, value) {
        return Ok(());
    }
    let capability = call.operation.capability;
    let text = format!(
        "{} may not use {capability} on {value:?}; the grant that would allow it: \
         (cap: \"{capability}\", scope: {{\"{key}\": [{value:?}]}}),",
        call.caller()
    );
    Err(Failure::new("refused", text))
}

/// The turn that calls: what is staged needs one.
pub(crate) fn in_turn<'a>(call: &CallView<'a>) -> Result<TurnView<'a>, Failure> {
    call.turn.ok_or_else(|| {
        let text = format!("{} is for agents, in a turn", call.operation.capability);
        Failure::new("no_turn", text)
    })
}
