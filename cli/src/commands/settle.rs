//! `doubt` and `quarantine`: what only an operator's word ends.

use crate::args::{
    DoubtArgs, DoubtVerb, QuarantineArgs, QuarantineVerb, QuarantineWay, ResolveDoubt,
};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long these may take.
const TIMEOUT: Duration = Duration::from_secs(30);

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Lists, shows, resolves calls in doubt.
pub(super) fn doubt(args: DoubtArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let ask = |verb: &str, args: Value| {
        client::call(&data, &format!("agent.doubt.{verb}"), args, TIMEOUT)
    };
    match args.verb.unwrap_or(DoubtVerb::List) {
        DoubtVerb::List => {
            let answer = ask("list", json!({}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(list_doubts(&answer)) }
        }
        DoubtVerb::Show { doubt } => {
            let answer = ask("show", json!({"doubt": doubt}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(show_doubt(&answer)) }
        }
        DoubtVerb::Resolve(resolve) => {
            let answer = ask("resolve", resolve_args(&resolve)?)?;
            if json {
                return Ok(output::json(&answer));
            }
            let text = format!(
                "doubt {} of {} is resolved as {}",
                answer["resolved"],
                word(&answer["agent"]),
                word(&answer["as"])
            );
            Ok(output::line(&output::safe(&text)))
        }
    }
}

fn resolve_args(resolve: &ResolveDoubt) -> Result<Value, CliError> {
    let doubt = resolve.doubt;
    if let Some(done) = &resolve.done {
        let result: Value = serde_json::from_str(done).map_err(|error| {
            CliError::new("usage", exit::USAGE, format!("--done takes the result as JSON: {error}"))
        })?;
        return Ok(json!({"doubt": doubt, "done": result}));
    }
    match &resolve.fail {
        Some(why) => Ok(json!({"doubt": doubt, "fail": why})),
        None => Ok(json!({"doubt": doubt, "retry": resolve.retry})),
    }
}

fn list_doubts(answer: &Value) -> Code {
    let doubts = answer["doubts"].as_array().cloned().unwrap_or_default();
    if doubts.is_empty() {
        return output::line("no calls in doubt");
    }
    let mut text = format!("{:>6}  {:<24} {:>8}  {:<20} message", "doubt", "agent", "turn", "call");
    for doubt in &doubts {
        text.push_str(&format!(
            "\n{:>6}  {:<24} {:>8}  {:<20} {}",
            doubt["id"].to_string(),
            word(&doubt["agent"]),
            doubt["n"].to_string(),
            word(&doubt["capability"]),
            word(&doubt["message"]),
        ));
    }
    output::line(&output::safe(&text))
}

fn show_doubt(answer: &Value) -> Code {
    let held_by = match &answer["held_by"] {
        Value::String(name) => format!("provider {name} ended"),
        _ => "nobody could send it".to_owned(),
    };
    let text = format!(
        "doubt {}: {} called {}, and {held_by} before an answer was recorded\n\n\
         call {} of turn {}, for message {}\n  {} {}\n\n\
         Find out what became of it outside, then one of\n\
         \x20 loket doubt resolve {} --done RESULT   it was done, with this result\n\
         \x20 loket doubt resolve {} --retry         it was not: send it once more\n\
         \x20 loket doubt resolve {} --fail WHY      it was not, and is not to be: the agent is told so",
        answer["id"],
        word(&answer["agent"]),
        word(&answer["capability"]),
        answer["call"],
        answer["n"],
        word(&answer["message"]),
        word(&answer["capability"]),
        word(&answer["args"]),
        answer["id"],
        answer["id"],
        answer["id"],
    );
    output::line(&output::safe(&text))
}

/// Lists, shows, resolves quarantines.
pub(super) fn quarantine(args: QuarantineArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let ask = |verb: &str, args: Value| {
        client::call(&data, &format!("agent.quarantine.{verb}"), args, TIMEOUT)
    };
    match args.verb.unwrap_or(QuarantineVerb::List) {
        QuarantineVerb::List => {
            let answer = ask("list", json!({}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(list_quarantines(&answer)) }
        }
        QuarantineVerb::Show { agent } => {
            let answer = ask("show", json!({"agent": agent}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(show_quarantine(&answer)) }
        }
        QuarantineVerb::Resolve { agent, way, .. } if way.restore => {
            // Of a fleet that does not run nobody tells; there it is done.
            let why = ask("show", json!({"agent": agent}));
            if why.is_ok_and(|why| !is_of_the_brain(&why)) {
                let text = format!(
                    "{agent} is in quarantine for its open turn, which another brain does not change: --accept-rerun, or --skip"
                );
                return Err(CliError::new("impossible", exit::FAILED, text));
            }
            super::brain_files::restore_exactly(&data, &agent, json)
        }
        QuarantineVerb::Resolve { agent, way, yes } => {
            let args = json!({"agent": agent, "how": way_word(&way), "confirmed": yes});
            let answer = ask("resolve", args)?;
            released(&agent, &answer, json)
        }
    }
}

/// Whether another brain ends it: the file is what is wrong, or a turn that another file has behind it (rules E5, F3, G4).
fn is_of_the_brain(why: &Value) -> bool {
    why["ended"] == true || why["cause"] == "corrupt" || why["cause"] == "ahead"
}

fn way_word(way: &QuarantineWay) -> &'static str {
    if way.accept_rerun { "accept_rerun" } else { "skip" }
}

fn released(agent: &str, answer: &Value, json: bool) -> Result<Code, CliError> {
    if let Some(reason) = answer["impossible"].as_str() {
        return Err(CliError::new("impossible", exit::FAILED, reason.to_owned()));
    }
    if let Some(effects) = answer["needs_confirmation"].as_array() {
        let listed: Vec<_> = effects.iter().filter_map(Value::as_str).collect();
        let text = format!(
            "the re-run may repeat these effects; confirm with --yes:\n  {}",
            listed.join("\n  ")
        );
        return Err(CliError::new("needs_confirmation", exit::FAILED, text));
    }
    if json {
        return Ok(output::json(answer));
    }
    let letter = match answer["letter"].as_u64() {
        Some(letter) => format!("; the message is dead letter {letter}"),
        None => String::new(),
    };
    Ok(output::line(&output::safe(&format!("{agent} goes on{letter}"))))
}

fn list_quarantines(answer: &Value) -> Code {
    let rows = answer["quarantined"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        return output::line("no agent is in quarantine");
    }
    let mut text =
        format!("{:<24} {:<10} {:>8} {:>8}  reason", "agent", "cause", "turn", "waiting");
    for row in &rows {
        text.push_str(&format!(
            "\n{:<24} {:<10} {:>8} {:>8}  {}",
            word(&row["agent"]),
            word(&row["cause"]),
            row["n"].to_string(),
            row["waiting"].to_string(),
            output::cell(&word(&row["reason"])),
        ));
    }
    output::line(&output::safe(&text))
}

fn show_quarantine(answer: &Value) -> Code {
    let agent = word(&answer["agent"]);
    let of = if answer["ended"] == true {
        "an ended turn that its brain lacks"
    } else {
        "its open turn"
    };
    let mut text = format!(
        "{agent} is in quarantine at turn {}, {of}; cause {}\n{}\n\n{} messages wait\n\neffects of that turn",
        answer["n"],
        word(&answer["cause"]),
        word(&answer["reason"]),
        answer["waiting"],
    );
    for effect in answer["effects"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n  {}", word(effect)));
    }
    if answer["effects"].as_array().is_none_or(Vec::is_empty) {
        text.push_str("\n  none");
    }
    text.push_str("\n\nThe ways out");
    let cause = word(&answer["cause"]);
    let ways = [
        ("--accept-rerun", "what the re-run does counts, not the record", cause != "ahead"),
        ("--skip", "the turn is given up", cause != "ahead" && cause != "corrupt"),
        ("--restore", "the brain is made anew by its turns", is_of_the_brain(answer)),
    ];
    for (option, what, _) in ways.iter().filter(|(.., possible)| *possible) {
        text.push_str(&format!("\n  loket quarantine resolve {agent} {option:<15} {what}"));
    }
    output::line(&output::safe(&text))
}
