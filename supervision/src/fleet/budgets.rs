//! Budgets as they are written: of a grant, of a supervisor, of a message.
//!
//! Only the form is checked here; whether anything would be counted is checked in `counted.rs` once all providers are known.

use super::bounds::{BUDGET, SOFT};
use super::cx::Cx;
use super::fields::Fields;
use super::slice;
use super::spec::{BudgetSpec, SoftSpec};
use super::units;

/// What stands in the help of a budget that could never be spent.
const LEAVE_OUT: &str = "leave it out for no bound, or leave the grants out";

/// Parts of a whole: shares are exact to one.
const MILLION: u128 = 1_000_000;

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
        ..BudgetSpec::default()
    };
    let soft = fields.take("soft");
    if spec.money == Some(0) {
        cx.help("E305", raw, "`money` is 0: nothing could be asked", instead);
    }
    if spec == BudgetSpec::default() && !cx.has_errors() {
        let help = "give calls, tokens, bytes or money";
        cx.help("E305", raw, "the budget bounds nothing", help);
    }
    BudgetSpec { soft: soft.and_then(|raw| soft_of(cx, raw, &spec)).unwrap_or_default(), ..spec }
}

/// Reads `soft`: a share of every amount of the budget, or amounts of their own.
fn soft_of<'a>(cx: &mut Cx<'a>, raw: &'a str, of: &BudgetSpec) -> Option<SoftSpec> {
    if slice::scalar::<f64>(raw).is_none() {
        return soft_amounts(cx, raw, of);
    }
    let share = cx.fraction(raw, "soft")?;
    if !SOFT.contains(&share) {
        let message = format!("`soft` is {share}, not between 0 and 1");
        cx.help("E305", raw, message, "a share of the budget, such as 0.8");
        return None;
    }
    let part = |most: Option<u64>| most.map(|most| part_of(most, share));
    Some(SoftSpec {
        calls: part(of.calls),
        tokens: part(of.tokens),
        bytes: part(of.bytes),
        money: part(of.money),
    })
}

/// A share of an amount, exact to a millionth of it.
fn part_of(most: u64, share: f64) -> u64 {
    let millionths = (share * MILLION as f64).round() as u128;
    u64::try_from(u128::from(most) * millionths / MILLION).unwrap_or(most)
}

fn soft_amounts<'a>(cx: &mut Cx<'a>, raw: &'a str, of: &BudgetSpec) -> Option<SoftSpec> {
    let mut fields = Fields::open(cx, raw, "soft")?;
    let amount = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name: &'static str, most| {
        let raw = fields.take(name)?;
        let soft = cx.number(raw, name, "E305", BUDGET)?;
        below(cx, raw, name, soft, most)
    };
    let calls = amount(cx, &mut fields, "calls", of.calls);
    let tokens = amount(cx, &mut fields, "tokens", of.tokens);
    let bytes = amount(cx, &mut fields, "bytes", of.bytes);
    let money = fields.take("money").and_then(|raw| {
        let soft = cx.quantity(raw, "money", units::money, "2.50")?;
        below(cx, raw, "money", soft, of.money)
    });
    fields.close(cx);
    Some(SoftSpec { calls, tokens, bytes, money })
}

/// A soft amount stands below a limit of the same unit.
fn below(cx: &mut Cx<'_>, raw: &str, name: &str, soft: u64, most: Option<u64>) -> Option<u64> {
    let message = match most {
        _ if soft == 0 => format!("the soft `{name}` is 0: `approve` asks at each call"),
        Some(most) if soft <= most => return Some(soft),
        Some(_) => format!("the soft `{name}` is more than the budget's"),
        None => format!("the budget has no `{name}`"),
    };
    cx.help("E305", raw, message, "a soft amount is a part of the same budget's amount");
    None
}
