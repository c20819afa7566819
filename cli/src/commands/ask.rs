//! `kill`, `terminate`, `restart`, and `ask` for every other capability: short calls as the operator.

use crate::args::{AskArgs, KillArgs};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an operator's short call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long the stop or start of a child may take: it has its `shutdown` time, and its supervisor may be busy with others.
const CHILD_TIMEOUT: Duration = Duration::from_secs(120);

/// Crashes a child on purpose.
pub(super) fn kill(args: KillArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let answer = client::call(&data, "agent.kill", json!({"child": args.child}), TIMEOUT)?;
    if json {
        return Ok(output::json(&answer));
    }
    Ok(output::line(&output::safe(&format!("killed {}", args.child))))
}

/// Stops a child and leaves it stopped.
pub(super) fn terminate(args: KillArgs, json: bool) -> Result<Code, CliError> {
    child(args, json, "agent.child.terminate", "terminated")
}

/// Starts a child that is stopped.
pub(super) fn restart(args: KillArgs, json: bool) -> Result<Code, CliError> {
    child(args, json, "agent.child.restart", "restarted")
}

fn child(args: KillArgs, json: bool, capability: &str, done: &str) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let answer = client::call(&data, capability, json!({"child": args.child}), CHILD_TIMEOUT)?;
    if json {
        return Ok(output::json(&answer));
    }
    Ok(output::line(&output::safe(&format!("{done} {}", args.child))))
}

/// Any capability.
pub(super) fn ask(args: AskArgs) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let given: Value = serde_json::from_str(&args.args).map_err(|error| {
        CliError::new("C007", exit::USAGE, format!("the arguments are not JSON: {error}"))
    })?;
    Ok(output::json(&client::call(&data, &args.capability, given, TIMEOUT)?))
}
