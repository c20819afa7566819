//! Bounds of a turn and of the ledger. Every one has its unit in its name and its reason beside it.

/// Calls that one turn may make when the fleet file says nothing (rule C10). A reading agent makes tens; a loop that calls is
/// stopped before its records fill the ledger.
pub const CALLS_PER_TURN_MAX: u32 = 10_000;

/// Bytes of records of one turn (rule C10). Together with [`PARKS_PER_TURN_MAX`] it bounds what re-running costs.
pub const RECORD_BYTES_PER_TURN_MAX: usize = 64 * 1024 * 1024;

/// How often one turn may park (rule C10): each park re-runs the turn from its start.
pub const PARKS_PER_TURN_MAX: u32 = 1_000;

/// Bytes of one message body. A larger document belongs in a file that the message names.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of an idempotency key: room for a UUID or a path, not for a document.
pub const KEY_BYTES_MAX: usize = 512;

/// How long an idempotency key is remembered, milliseconds: 7 days (rule A2).
pub const KEY_TTL_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Agents on the way in one chain of calls (rule I1). Deeper chains are taken for a mistake.
pub const CALL_CHAIN_MAX: usize = 16;

/// Deaths of the process during one turn after which it runs alone (rule B2).
pub const DEATHS_BEFORE_ALONE: u32 = 3;

/// Deaths of the process during one turn that ran alone after which it is held for the operator (rule B2).
pub const DEATHS_ALONE_BEFORE_HELD: u32 = 10;

/// Ended turns that one catch-up read takes from the ledger at most: bounds memory, not the catch-up.
pub const CATCH_UP_PAGE: usize = 64;

/// Monitors that one agent has at a time. Their Downs come whether its inbox has room or not, so this bounds by how much an inbox
/// may be over its bound: four times what the default holds.
pub const MONITORS_PER_AGENT_MAX: usize = 1_024;

/// Groups that one agent is in at a time.
pub const GROUPS_PER_AGENT_MAX: usize = 64;

/// Members of one group: a message to the group is so many messages, in one step of the ledger.
pub const GROUP_MEMBERS_MAX: usize = 1_024;

/// Bytes of a group's name: as long as a capability's segment may be.
pub const GROUP_NAME_BYTES_MAX: usize = 64;

/// Timers of one agent: reminders by the hundred, not a queue.
pub const TIMERS_PER_AGENT_MAX: usize = 1_000;

/// Bytes of the body of a timer's message: with [`TIMERS_PER_AGENT_MAX`], 64 MiB of the ledger for one agent at most.
pub const TIMER_BODY_BYTES_MAX: usize = 64 * 1024;

/// How far ahead a timer may be set, milliseconds: 100 years, beyond which a number is taken for a mistake.
pub const TIMER_AHEAD_MS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// Bytes of a cron expression: six fields with lists in them.
pub const CRON_EXPR_BYTES_MAX: usize = 256;

/// A time of a schedule that is told later than this counts as missed, milliseconds: a busy minute is no absence.
pub const CRON_MISSED_AFTER_MS: u64 = 60_000;

/// Missed times of a schedule that are told one by one at most.
pub const CRON_CATCH_UP_MAX: usize = 100;

/// Timers, approvals and questions that one listing gives at most: bounds the answer, and says when more are there.
pub const LISTED_MAX: usize = 1_000;

/// Bytes of the reason of a denial, and of an answer to a question: a page of text, not a document.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(BODY_BYTES_MAX <= RECORD_BYTES_PER_TURN_MAX);
const _: () = assert!(CALLS_PER_TURN_MAX >= 1 && DEATHS_BEFORE_ALONE >= 1);
