//! What several kinds of children share: restart, shutdown, backoff, mailbox, limits, and the
//! constants that hold when neither the child nor `defaults` says anything.

use ron::value::RawValue;

use super::bounds;
use super::cx::Cx;
use super::fields::Fields;
use super::policy::{
    AutoShutdown, Backoff, Budget, Charge, Dynamic, Escalation, First, Limits, Mailbox, Overload,
    Restart, Shutdown, Stop, Strategy, Window,
};
use super::reactions;
use super::slice;
use super::spec::{Defaults, Durability};

/// OTP's words, spelled as RON enums.
pub(crate) const STRATEGIES: [(&str, Strategy); 4] = [
    ("OneForOne", Strategy::OneForOne),
    ("OneForAll", Strategy::OneForAll),
    ("RestForOne", Strategy::RestForOne),
    ("SimpleOneForOne", Strategy::SimpleOneForOne),
];
/// OTP's restart types.
pub(crate) const RESTARTS: [(&str, Restart); 3] = [
    ("Permanent", Restart::Permanent),
    ("Transient", Restart::Transient),
    ("Temporary", Restart::Temporary),
];
/// OTP's automatic shutdowns.
pub(crate) const AUTO_SHUTDOWNS: [(&str, AutoShutdown); 3] = [
    ("Never", AutoShutdown::Never),
    ("AnySignificant", AutoShutdown::AnySignificant),
    ("AllSignificant", AutoShutdown::AllSignificant),
];
/// What an acknowledged message survives.
pub(crate) const DURABILITIES: [(&str, Durability); 2] =
    [("Power", Durability::Power), ("Process", Durability::Process)];
/// The clock of the period.
pub(crate) const WINDOWS: [(&str, Window); 2] =
    [("Exact", Window::Exact), ("OtpSeconds", Window::OtpSeconds)];
/// The exit reason of a supervisor that gives up.
pub(crate) const ESCALATIONS: [(&str, Escalation); 2] =
    [("Distinct", Escalation::Distinct), ("AsOtp", Escalation::AsOtp)];
/// How several children are stopped.
pub(crate) const STOPS: [(&str, Stop); 2] =
    [("Sequential", Stop::Sequential), ("Parallel", Stop::Parallel)];
/// What becomes of dynamic children.
pub(crate) const DYNAMICS: [(&str, Dynamic); 2] =
    [("Ledger", Dynamic::Ledger), ("Otp", Dynamic::Otp)];
/// What a restart is charged for.
pub(crate) const CHARGES: [(&str, Charge); 2] =
    [("Exit", Charge::Exit), ("Letter", Charge::Letter)];

/// How long a turn is paused in all when the file says nothing, in milliseconds: longer than the longest delay of a `backoff` that
/// says nothing either, with its jitter.
const PAUSE_MAX_MS: u64 = 60_000;

impl Default for Defaults {
    fn default() -> Self {
        Self {
            restart: Restart::Permanent,
            shutdown: Shutdown::Timeout(5_000),
            backoff: None,
            mailbox: Mailbox { capacity: 256, overload: Overload::Reject },
            limits: Limits {
                memory_bytes: 32 << 20,
                deadline_ms: 30_000,
                output_bytes: 1 << 20,
                calls_per_turn: 10_000,
                table_elements: 100_000,
                module_bytes: 16 << 20,
                compile_ms: 30_000,
            },
            max_attempts: 3,
            charge: Charge::Exit,
            start_timeout_ms: 10_000,
            park_after_ms: 50,
            pause_max_ms: PAUSE_MAX_MS,
            inbox_bytes: 64 << 20,
            watchdog: None,
            rules: Vec::new(),
        }
    }
}

/// Whose fields are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// A provider's.
    Provider,
    /// An agent's.
    Agent,
    /// Those of both, in `defaults`.
    Both,
}

/// Reads the fields that a worker shares with `defaults`; absent ones come from `base`.
pub(crate) fn shared<'a>(
    cx: &mut Cx<'a>,
    fields: &mut Fields<'a>,
    base: &Defaults,
    whose: For,
) -> Defaults {
    let mut out = base.clone();
    if let Some(raw) = fields.take("restart") {
        out.restart = cx.word(raw, "restart", &RESTARTS).unwrap_or(base.restart);
    }
    if let Some(raw) = fields.take("shutdown") {
        out.shutdown = shutdown(cx, raw).unwrap_or(base.shutdown);
    }
    out.backoff = backoff_field(cx, fields, base.backoff);
    if let Some(raw) = fields.take("mailbox") {
        out.mailbox = mailbox(cx, raw, base.mailbox);
    }
    out.watchdog = reactions::watchdog_field(cx, fields, base.watchdog);
    if let Some(raw) = fields.take("on") {
        out.rules = reactions::rules(cx, raw);
        if whose != For::Both && out.restart == Restart::Temporary {
            let help = "a Temporary child is never restarted: its rules are never asked";
            cx.help("W431", raw, "`on` of a Temporary child", help);
        }
    }
    if whose != For::Agent
        && let Some(raw) = fields.take("start_timeout")
    {
        let given = cx.duration(raw, "start_timeout");
        if given == Some(0) {
            cx.help("E307", raw, "`start_timeout` is 0: nothing can start", "for example \"10s\"");
        }
        out.start_timeout_ms = given.unwrap_or(base.start_timeout_ms);
    }
    if whose != For::Provider {
        agent_fields(cx, fields, base, &mut out);
    }
    out
}

/// A worker's own `restarts: (intensity: 3, period: "60s")`.
pub(crate) fn restarts<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>) -> Option<Budget> {
    let raw = fields.take("restarts")?;
    let mut fields = Fields::open(cx, raw, "restarts")?;
    let intensity = fields
        .need(cx, "intensity")
        .and_then(|raw| cx.count(raw, "intensity", "E005", bounds::INTENSITY));
    let period = fields.need(cx, "period").and_then(|raw| period(cx, raw));
    fields.close(cx);
    Some(Budget { intensity: intensity?, period_ms: period? })
}

/// A period: E104 when it is 0.
pub(crate) fn period(cx: &mut Cx<'_>, raw: &str) -> Option<u64> {
    let given = cx.duration(raw, "period");
    if given == Some(0) {
        cx.help("E104", raw, "`period` is 0", "no restart would ever be counted; try \"5s\"");
    }
    given
}

fn agent_fields<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>, base: &Defaults, out: &mut Defaults) {
    if let Some(raw) = fields.take("limits") {
        out.limits = limits(cx, raw, base.limits);
    }
    if let Some(raw) = fields.take("max_attempts") {
        let given = cx.count(raw, "max_attempts", "E305", bounds::ATTEMPTS);
        out.max_attempts = given.unwrap_or(base.max_attempts);
    }
    if let Some(raw) = fields.take("charge") {
        out.charge = cx.word(raw, "charge", &CHARGES).unwrap_or(base.charge);
    }
    if let Some(raw) = fields.take("park_after") {
        out.park_after_ms = cx.duration(raw, "park_after").unwrap_or(base.park_after_ms);
    }
    if let Some(raw) = fields.take("pause_max") {
        out.pause_max_ms = cx.duration(raw, "pause_max").unwrap_or(base.pause_max_ms);
    }
    if let Some(raw) = fields.take("inbox_bytes") {
        out.inbox_bytes =
            bytes(cx, raw, "inbox_bytes", bounds::MAX_INBOX).unwrap_or(base.inbox_bytes);
    }
}

/// A field `backoff`: absent means `base`, `None` means off.
pub(crate) fn backoff_field<'a>(
    cx: &mut Cx<'a>,
    fields: &mut Fields<'a>,
    base: Option<Backoff>,
) -> Option<Backoff> {
    match fields.take_raw("backoff") {
        None => base,
        Some(raw) => match slice::present(raw) {
            Some(raw) => backoff(cx, raw),
            None => None,
        },
    }
}

/// `BrutalKill`, `Infinity` or `Timeout("5s")`.
pub(crate) fn shutdown(cx: &mut Cx<'_>, raw: &str) -> Option<Shutdown> {
    match slice::split(raw) {
        (Some("Timeout"), rest) => wrapped(cx, raw, rest, "shutdown").map(Shutdown::Timeout),
        (None, _) => {
            let help = "write Timeout(\"5s\"), BrutalKill or Infinity";
            cx.help("E005", raw, "`shutdown` is a word", help);
            None
        }
        _ => {
            let words = [
                ("BrutalKill", Shutdown::BrutalKill),
                ("Infinity", Shutdown::Infinity),
                ("Timeout", Shutdown::Timeout(0)),
            ];
            cx.word(raw, "shutdown", &words)
        }
    }
}

/// The duration in `Timeout("5s")` or `Wait("2s")`; `rest` is what follows the word.
fn wrapped(cx: &mut Cx<'_>, raw: &str, rest: &str, what: &str) -> Option<u64> {
    match slice::scalar::<(&RawValue,)>(rest) {
        Some((inner,)) => {
            let inner = slice::skip_space(inner.get_ron());
            cx.duration(inner, what)
        }
        None => {
            let help = "such as Timeout(\"5s\") or Wait(\"2s\")";
            cx.help("E005", raw, format!("`{what}` takes one duration in parentheses"), help);
            None
        }
    }
}

fn backoff<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<Backoff> {
    let mut fields = Fields::open(cx, raw, "backoff")?;
    let time = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name: &'static str, or: u64| {
        fields.take(name).and_then(|raw| cx.duration(raw, name)).unwrap_or(or)
    };
    let first = fields.take("first").and_then(|raw| match slice::split(raw) {
        (Some("Immediate"), "") => Some(First::Immediate),
        (Some(_), _) => cx.word(raw, "first", &[("Immediate", First::Immediate)]),
        (None, _) => cx.duration(raw, "first").map(First::Ms),
    });
    let out = Backoff {
        first: first.unwrap_or_default(),
        min_ms: time(cx, &mut fields, "min", 100),
        max_ms: time(cx, &mut fields, "max", 30_000),
        factor: fields.take("factor").and_then(|raw| cx.fraction(raw, "factor")).unwrap_or(2.0),
        jitter: fields.take("jitter").and_then(|raw| cx.fraction(raw, "jitter")).unwrap_or(0.2),
        reset_after_ms: time(cx, &mut fields, "reset_after", 60_000),
    };
    let place = cx.place(raw);
    let mut wrong = |name: &str, message: String, help: &str| {
        let at = cx.field(place, name);
        cx.report("E302", at, None, message, help.to_owned());
    };
    if !bounds::JITTER.contains(&out.jitter) {
        wrong(
            "jitter",
            format!("`jitter` is {}, not between 0 and 1", out.jitter),
            "0.2 spreads a delay by a fifth, up and down",
        );
    }
    if !bounds::FACTOR.contains(&out.factor) {
        wrong(
            "factor",
            format!("`factor` is {}, not between 1 and 1000", out.factor),
            "2.0 doubles each delay, 1.0 keeps it as it is",
        );
    }
    if out.min_ms > out.max_ms {
        wrong(
            "min",
            format!("`min` ({} ms) is above `max` ({} ms)", out.min_ms, out.max_ms),
            "delays grow from `min` to `max`: raise `max`, or lower `min`",
        );
    }
    fields.close(cx);
    Some(out)
}

fn mailbox<'a>(cx: &mut Cx<'a>, raw: &'a str, base: Mailbox) -> Mailbox {
    let Some(mut fields) = Fields::open(cx, raw, "mailbox") else {
        return base;
    };
    let capacity = fields
        .take("capacity")
        .and_then(|raw| cx.count(raw, "capacity", "E301", bounds::CAPACITY))
        .unwrap_or(base.capacity);
    let overload = fields.take("overload").and_then(|raw| match slice::split(raw) {
        (Some("Wait"), rest) => wrapped(cx, raw, rest, "overload").map(Overload::Wait),
        _ => {
            let words = [("Reject", Overload::Reject), ("Wait", Overload::Wait(0))];
            cx.word(raw, "overload", &words)
        }
    });
    let overload = overload.unwrap_or(base.overload);
    fields.close(cx);
    Mailbox { capacity, overload }
}

fn limits<'a>(cx: &mut Cx<'a>, raw: &'a str, base: Limits) -> Limits {
    let Some(mut fields) = Fields::open(cx, raw, "limits") else {
        return base;
    };
    let size = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name, most, or| {
        fields.take(name).and_then(|raw| bytes(cx, raw, name, most)).unwrap_or(or)
    };
    let memory_bytes = size(cx, &mut fields, "memory", bounds::MAX_MEMORY, base.memory_bytes);
    let output_bytes = size(cx, &mut fields, "output", bounds::MAX_OUTPUT, base.output_bytes);
    let module_bytes = size(cx, &mut fields, "module", bounds::MAX_MODULE, base.module_bytes);
    let time = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name, or| {
        let Some(raw) = fields.take(name) else {
            return or;
        };
        let given = cx.duration(raw, name);
        if given.is_some_and(|ms| ms == 0 || ms > bounds::MAX_DEADLINE_MS) {
            let help = "for example \"30s\"; what takes longer waits in the ledger, not in a turn";
            cx.help("E305", raw, format!("`{name}` is more than 0 and at most \"1d\""), help);
        }
        given.unwrap_or(or)
    };
    let deadline_ms = time(cx, &mut fields, "deadline", base.deadline_ms);
    let compile_ms = time(cx, &mut fields, "compile", base.compile_ms);
    let count = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name, range, or| {
        fields.take(name).and_then(|raw| cx.count(raw, name, "E305", range)).unwrap_or(or)
    };
    let calls_per_turn = count(cx, &mut fields, "calls", bounds::CALLS, base.calls_per_turn);
    let table_elements = count(cx, &mut fields, "table", bounds::TABLE, base.table_elements);
    fields.close(cx);
    Limits {
        memory_bytes,
        deadline_ms,
        output_bytes,
        calls_per_turn,
        table_elements,
        module_bytes,
        compile_ms,
    }
}

/// A size of more than 0 and at most `most`; E305 otherwise.
fn bytes(cx: &mut Cx<'_>, raw: &str, what: &str, most: u64) -> Option<u64> {
    let given = cx.size(raw, what)?;
    if given == 0 || given > most {
        let message = format!("`{what}` is more than 0 and at most {} MiB", most >> 20);
        cx.help("E305", raw, message, "for example \"1MiB\"");
    }
    Some(given)
}
