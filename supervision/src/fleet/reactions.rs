//! What is to be done about a child that crashes or hangs: `on` and `watchdog`.

use super::bounds::MAX_ON;
use super::cx::Cx;
use super::fields::Fields;
use super::policy::{Action, Blame, Cause, Rule, Watchdog};
use super::slice;

pub(crate) const ACTIONS: [(&str, Action); 3] =
    [("Restart", Action::Restart), ("End", Action::End), ("Escalate", Action::Escalate)];
pub(crate) const BLAMES: [(&str, Blame); 5] = [
    ("Guest", Blame::Guest),
    ("Provider", Blame::Provider),
    ("Config", Blame::Config),
    ("Host", Blame::Host),
    ("Environment", Blame::Environment),
];
pub(crate) const CAUSES: [(&str, Cause); 12] = [
    ("Trap", Cause::Trap),
    ("OutOfMemory", Cause::OutOfMemory),
    ("Deadline", Cause::Deadline),
    ("Stack", Cause::Stack),
    ("Panic", Cause::Panic),
    ("Start", Cause::Start),
    ("ProviderDown", Cause::ProviderDown),
    ("BrainCorrupt", Cause::BrainCorrupt),
    ("Poison", Cause::Poison),
    ("Escalated", Cause::Escalated),
    ("Hung", Cause::Hung),
    ("Other", Cause::Other),
];

/// Threads that may be stuck at a time when the file does not say.
pub(crate) const QUARANTINE: u32 = 2;

/// Reads `on: [(cause: Trap, action: End), ..]`.
pub(crate) fn rules<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Vec<Rule> {
    let items = cx.list(raw, "on");
    if items.len() > MAX_ON {
        let help = "a rule without `blame`, or without `cause`, stands for many";
        cx.help("E305", raw, format!("`on` has more than {MAX_ON} rules"), help);
    }
    let mut all: Vec<Rule> = Vec::new();
    for item in items.into_iter().take(MAX_ON) {
        let Some(rule) = rule(cx, item) else { continue };
        if all.iter().any(|before| before.covers(&rule)) {
            let help = "the first rule that fits decides: put the narrower one first";
            cx.help("W430", item, "a rule before it fits whatever this one does", help);
        }
        all.push(rule);
    }
    all
}

fn rule<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<Rule> {
    let mut fields = Fields::open(cx, raw, "on")?;
    let cause = fields.take("cause").map(|raw| cx.word(raw, "cause", &CAUSES));
    let blame = fields.take("blame").map(|raw| cx.word(raw, "blame", &BLAMES));
    let action = fields.need(cx, "action").and_then(|raw| cx.word(raw, "action", &ACTIONS));
    fields.close(cx);
    // A word that could not be read must not turn a narrow rule into one that fits everything.
    let known = |word: &Option<Option<_>>| !matches!(word, Some(None));
    (known(&blame) && !matches!(cause, Some(None))).then_some(())?;
    Some(Rule { blame: blame.flatten(), cause: cause.flatten(), action: action? })
}

/// A field `watchdog`: absent means `base`, `None` means off.
pub(crate) fn watchdog_field<'a>(
    cx: &mut Cx<'a>,
    fields: &mut Fields<'a>,
    base: Option<Watchdog>,
) -> Option<Watchdog> {
    match fields.take_raw("watchdog") {
        None => base,
        Some(raw) => slice::present(raw).and_then(|raw| watchdog(cx, slice::skip_space(raw))),
    }
}

fn watchdog<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<Watchdog> {
    let mut fields = Fields::open(cx, raw, "watchdog")?;
    let soft = fields.need(cx, "soft").and_then(|raw| Some((raw, cx.duration(raw, "soft")?)));
    let hard = fields.need(cx, "hard").and_then(|raw| cx.duration(raw, "hard"));
    fields.close(cx);
    let ((at, soft_ms), hard_ms) = (soft?, hard?);
    if soft_ms == 0 {
        let help = "every child would be reported; for example \"5s\"";
        cx.help("E303", at, "`soft` is 0", help);
    } else if soft_ms >= hard_ms {
        let message = format!("`soft` ({soft_ms} ms) is not below `hard` ({hard_ms} ms)");
        cx.help("E303", at, message, "a child is first reported, then interrupted");
    }
    Some(Watchdog { soft_ms, hard_ms })
}
