//! Budgets as they are written: of a grant, of a supervisor, of a message.
//!
//! Only the form is checked here; whether anything would be counted is checked in `counted.rs` once all providers are known.

use super::bounds::BUDGET;
use super::cx::Cx;
use super::fields::Fields;
use super::spec::BudgetSpec;
use super::units;

/// What stands in the help of a budget that could never be spent.
const LEAVE_OUT: &str = "leave it out for no bound, or leave the grants out";

/// Reads the budget of a grant.
pub(crate) fn grant<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<BudgetSpec> {
    windowed(cx, raw, "leave the grant out instead")
}

/// Reads the budget of a supervisor.
pub(crate) fn supervisor<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<BudgetSpec> {
    windowed(cx, raw, LEAVE_OUT)
}

/// Reads `per_message`: its window is the message.
pub(crate) fn message<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<BudgetSpec> {
    let mut fields = Fields::open(cx, raw, "per_message")?;
    let spec = amounts(cx, &mut fields, raw, LEAVE_OUT);
    fields.close(cx);
    Some(spec)
}

fn windowed<'a>(cx: &mut Cx<'a>, raw: &'a str, instead: &str) -> Option<BudgetSpec> {
    let mut fields = Fields::open(cx, raw, "budget")?;
    let per_ms = fields.take("per").and_then(|raw| cx.duration(raw, "per"));
    if per_ms == Some(0) {
        let help = "for example \"1h\"; leave it out for a budget that is never refilled";
        cx.help("E305", raw, "`per` is 0: the budget would never be spent", help);
    }
    let spec = BudgetSpec { per_ms, ..amounts(cx, &mut fields, raw, instead) };
    fields.close(cx);
    Some(spec)
}

/// What it bounds, of each unit.
fn amounts<'a>(
    cx: &mut Cx<'a>,
    fields: &mut Fields<'a>,
    raw: &'a str,
    instead: &str,
) -> BudgetSpec {
    let amount = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name: &'static str| {
        fields.take(name).and_then(|raw| cx.number(raw, name, "E305", BUDGET))
    };
    let spec = BudgetSpec {
        calls: amount(cx, fields, "calls"),
        tokens: amount(cx, fields, "tokens"),
        bytes: amount(cx, fields, "bytes"),
        money: fields.take("money").and_then(|raw| cx.quantity(raw, "money", units::money, "2.50")),
        per_ms: None,
    };
    if spec.money == Some(0) {
        cx.help("E305", raw, "`money` is 0: nothing could be asked", instead);
    }
    if spec == BudgetSpec::default() && !cx.has_errors() {
        let help = "give calls, tokens, bytes or money";
        cx.help("E305", raw, "the budget bounds nothing", help);
    }
    spec
}
