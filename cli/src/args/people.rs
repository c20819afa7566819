//! The words of `letters`, `approvals`, `answer`, `timers` and `budgets`: what waits, and what is left.

use super::Target;
use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, ClapArgs)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<ApprovalsVerb>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsVerb {
    /// List what waits (the default).
    List,
    /// Show one, with its arguments.
    Show {
        /// Its number.
        approval: u64,
    },
    /// Let the call go on, once and with exactly these arguments.
    Approve {
        /// Its number.
        approval: u64,
    },
    /// Refuse it: the agent is told `denied`.
    Deny {
        /// Its number.
        approval: u64,
        /// Why; the agent is told.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AnswerArgs {
    /// The question's number, as `loket approvals` shows it.
    pub(crate) approval: u64,
    /// The answer; `-` reads it from standard input.
    pub(crate) text: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TimersArgs {
    /// Only this agent's.
    pub(crate) agent: Option<String>,
    /// Take this timer back.
    #[arg(long, value_name = "TIMER", conflicts_with = "agent")]
    pub(crate) cancel: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BudgetsArgs {
    /// Only this agent's.
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LettersArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<LettersVerb>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LettersVerb {
    /// List them (the default).
    List,
    /// Show one: message, cause, backtrace, attempts, effects.
    Show {
        /// The letter's number.
        letter: u64,
    },
    /// Make a new message of one, at the end of the agent's inbox.
    Retry {
        /// The letter's number.
        letter: u64,
        /// Confirm that the listed effects may be repeated.
        #[arg(long)]
        yes: bool,
    },
    /// Forget one.
    Drop {
        /// The letter's number.
        letter: u64,
    },
}
