//! `replay`: a turn run again beside the fleet against its records, or with other code. Nothing is sent and nothing is written.

use crate::args::ReplayArgs;
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::node::{Workshop, read_within};
use crate::output;
use loket_host::engine::MAX_MODULE_BYTES;
use loket_host::rerun::{By, End, Made, Ran};
use loket_ledger::LEDGER_FILE;
use loket_turn::{Outcome, RanTurn, Record, TurnNo};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Runs a turn again. Exits with 1 when it does not agree, or when the other code does something else.
pub(super) fn replay(args: ReplayArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data_with(args.target.data, LEDGER_FILE)?;
    let other = args.module.as_deref().map(read).transpose()?;
    let time = Duration::from_secs(args.timeout);
    let workshop = Workshop::open(&data, &args.agent, time)?;
    let n = TurnNo(args.turn);
    let Some(ran) = workshop.turn(n)?.ran else {
        let text = format!(
            "turn {n} was skipped: its message is a dead letter, and nothing of it is in the brain"
        );
        return Err(CliError::new("C018", exit::FAILED, text));
    };
    let scratch = workshop.brain_before(n)?;
    scratch.begin().map_err(|error| crate::node::of_file(&error))?;
    let module = workshop.module(ran.begin.module)?;
    let again = workshop.again(&scratch, n, &ran, &module, By::Number)?;
    scratch.roll_back();
    let whose = Whose { agent: &args.agent, n, reply: workshop.reply(n)? };
    let (found, text) = match other {
        None => strict(&whose, &ran, &again),
        Some(bytes) => {
            let other = workshop.loaded(bytes)?;
            scratch.begin().map_err(|error| crate::node::of_file(&error))?;
            let new = workshop.again(&scratch, n, &ran, &other, By::Call)?;
            scratch.roll_back();
            rehearsed(&whose, &again, &new)
        }
    };
    let same = found["agrees"] == true;
    let printed = if json { output::versioned(found) } else { output::line(&output::safe(&text)) };
    Ok(if same || printed != exit::OK { printed } else { exit::FAILED })
}

/// The module of a file. Bytes beyond the limit are not read.
fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let name = file.display();
    let bytes = read_within(file, MAX_MODULE_BYTES)
        .map_err(|error| CliError::new("C020", exit::USAGE, format!("{name}: {error}")))?;
    if bytes.len() > MAX_MODULE_BYTES {
        let text = format!("{name}: it has more bytes than a module may have: {MAX_MODULE_BYTES}");
        return Err(CliError::new("M003", exit::USAGE, text));
    }
    Ok(bytes)
}

/// Which turn.
struct Whose<'a> {
    agent: &'a str,
    n: TurnNo,
    reply: Option<Outcome>,
}

/// Whether the turn still agrees with its records (rule C11).
fn strict(whose: &Whose<'_>, ran: &RanTurn, again: &Ran) -> (Value, String) {
    let (reply, why) = match &again.end {
        End::Answered(reply, hash) if *hash == ran.hash => (Some(reply), None),
        End::Answered(reply, _) => (Some(reply), Some(other_end(whose, reply))),
        End::Diverged(it) => {
            let why = json!({"call": it.call.0, "recorded": it.recorded, "rerun": it.rerun});
            (None, Some(why))
        }
        End::Unanswered(it) => {
            let rerun = shown(&it.capability, &it.args);
            (None, Some(json!({"call": it.call.0, "recorded": "(no such call)", "rerun": rerun})))
        }
        End::Failed(why) => {
            let recorded = outcome_text(whose.reply.as_ref());
            (
                None,
                Some(
                    json!({"call": null, "recorded": recorded, "rerun": format!("ended with: {why}")}),
                ),
            )
        }
    };
    let head = format!("turn {} of {}", whose.n, whose.agent);
    let text = match &why {
        None => {
            let made = again.calls.len() + again.not_shown as usize;
            let recorded = again.calls.iter().filter(|call| call.recorded).count();
            format!(
                "{head} agrees with its records: {made} calls, {recorded} of them answered from a record, and the same answer"
            )
        }
        Some(why) => {
            let place = match why["call"].as_u64() {
                Some(call) => format!("at call {call}"),
                None => "at its end".to_owned(),
            };
            format!(
                "{head} does not agree with its records {place}\n  recorded  {}\n  re-run    {}",
                why["recorded"].as_str().unwrap_or_default(),
                why["rerun"].as_str().unwrap_or_default()
            )
        }
    };
    let found = json!({
        "agent": whose.agent, "n": whose.n.0, "agrees": why.is_none(), "diverged": why,
        "calls": again.calls.iter().map(call).collect::<Vec<_>>(), "not_shown": again.not_shown,
        "reply": reply.map(outcome), "recorded_reply": whose.reply.as_ref().map(outcome),
    });
    (found, text)
}

/// All calls agree, and still the end is another: the answer, or what a Pure call came to.
fn other_end(whose: &Whose<'_>, reply: &Outcome) -> Value {
    let recorded = outcome_text(whose.reply.as_ref());
    let mut rerun = outcome_text(Some(reply));
    if whose.reply.as_ref() == Some(reply) {
        rerun.push_str(
            " (the same answer; a Pure call, which has no record, came to something else)",
        );
    }
    json!({"call": null, "recorded": recorded, "rerun": rerun})
}

/// What other code does differently.
fn rehearsed(whose: &Whose<'_>, old: &Ran, new: &Ran) -> (Value, String) {
    let (was, is) = middle(&old.calls, &new.calls);
    let (stopped, reply) = match &new.end {
        End::Answered(reply, _) => (None, Some(reply)),
        End::Unanswered(it) => {
            let class = it.class.map_or("unknown here", |class| class.as_str());
            let made = shown(&it.capability, &it.args);
            (
                Some(format!(
                    "call {} has no record, and nothing is sent: {made} ({class})",
                    it.call
                )),
                None,
            )
        }
        End::Diverged(it) => (Some(it.rerun.clone()), None),
        End::Failed(why) => (Some(why.clone()), None),
    };
    let same_reply = reply.is_some() && reply == whose.reply.as_ref();
    let agrees = was.is_empty() && is.is_empty() && same_reply && new.left.is_empty();
    let mut text = match agrees {
        true => format!("turn {} of {}: the new code does the same", whose.n, whose.agent),
        false => format!("turn {} of {}: the new code does something else", whose.n, whose.agent),
    };
    for (mark, calls) in [("-", was), ("+", is)] {
        for made in calls {
            text.push_str(&format!(
                "\n{mark} {:>3}  {}",
                made.call.0,
                shown(&made.capability, &made.args)
            ));
            text.push_str(&format!("\n{mark}        {}", outcome_text(Some(&made.outcome))));
        }
    }
    for record in &new.left {
        text.push_str(&format!(
            "\n- {:>3}  {} (never asked for)",
            record.call.0,
            shown(&record.capability, &record.args)
        ));
    }
    if let Some(why) = &stopped {
        text.push_str(&format!("\n+      it stops: {why}"));
    } else if !same_reply {
        text.push_str(&format!("\n-      answer {}", outcome_text(whose.reply.as_ref())));
        text.push_str(&format!("\n+      answer {}", outcome_text(reply)));
    }
    let calls = |calls: &[Made]| calls.iter().map(call).collect::<Vec<_>>();
    let found = json!({
        "agent": whose.agent, "n": whose.n.0, "agrees": agrees, "old": calls(was), "new": calls(is),
        "not_asked": new.left.iter().map(left).collect::<Vec<_>>(), "stopped": stopped,
        "reply": reply.map(outcome), "recorded_reply": whose.reply.as_ref().map(outcome),
    });
    (found, text)
}

/// What is left of two runs without the calls that they begin and end with alike.
fn middle<'a>(old: &'a [Made], new: &'a [Made]) -> (&'a [Made], &'a [Made]) {
    let alike = |(a, b): &(&Made, &Made)| {
        a.capability == b.capability && a.args == b.args && a.outcome == b.outcome
    };
    let head = old.iter().zip(new).take_while(alike).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(alike).count();
    (&old[..old.len() - tail], &new[..new.len() - tail])
}

fn shown(capability: &str, args: &[u8]) -> String {
    format!("{capability} {}", String::from_utf8_lossy(args))
}

/// A call for `--json`.
pub(super) fn call(made: &Made) -> Value {
    json!({
        "call": made.call.0, "class": made.class.as_str(), "capability": made.capability,
        "args": String::from_utf8_lossy(&made.args), "outcome": outcome(&made.outcome), "recorded": made.recorded,
    })
}

fn left(record: &Record) -> Value {
    json!({
        "call": record.call.0, "class": record.class.as_str(), "capability": record.capability,
        "args": String::from_utf8_lossy(&record.args),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Ok(bytes) => json!({"ok": String::from_utf8_lossy(bytes)}),
        Err(failure) => json!({"error": failure}),
    }
}

fn outcome_text(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "nothing".to_owned(),
        Some(Ok(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Err(failure)) => format!("failure {failure}"),
    }
}
