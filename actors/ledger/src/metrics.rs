//! The names, units and meaning of every metric of the ledger, and the cached handles.

use metrics::{Counter, Gauge, Histogram, Unit};

/// Requests that one group commit carried.
pub const BATCH_SIZE: &str = "loket_ledger_batch_size";
/// Seconds of one group commit, from the first statement until it is durable by its level.
pub const COMMIT_SECONDS: &str = "loket_ledger_commit_seconds";
/// Seconds of a separate fsync of the write-ahead log (rule C2 at `Process`).
pub const FSYNC_SECONDS: &str = "loket_ledger_fsync_seconds";
/// Seconds of one checkpoint.
pub const CHECKPOINT_SECONDS: &str = "loket_ledger_checkpoint_seconds";
/// Bytes of live data.
pub const BYTES: &str = "loket_ledger_bytes";
/// Pages in the write-ahead log.
pub const WAL_PAGES: &str = "loket_ledger_wal_pages";
/// Messages accepted.
pub const ACCEPTED: &str = "loket_messages_accepted_total";
/// Messages whose turn has ended.
pub const COMPLETED: &str = "loket_messages_completed_total";
/// Messages that became dead letters.
pub const LETTERS: &str = "loket_letters_made_total";
/// Group commits that failed.
pub const FAULTS: &str = "loket_ledger_faults_total";
/// Writes of an older incarnation that were refused.
pub const FENCED: &str = "loket_ledger_fenced_total";
/// Downs that were put into inboxes.
pub const DOWNS: &str = "loket_downs_told_total";

/// New files that took the place of one whose fsync failed (rule J2).
pub const RENEWED: &str = "loket_ledger_renewed_total";
/// Calls that closed a cycle of agents waiting for each other (rule H2).
pub const CYCLES: &str = "loket_cycles_total";

/// Once calls whose provider ended without an answer (rule C4).
pub const DOUBTS: &str = "loket_doubts_total";

/// Agents that were put into quarantine (rule G4).
pub const QUARANTINED: &str = "loket_quarantines_total";
/// Brains that were exchanged for another file (rule E7).
pub const SWITCHED: &str = "loket_brain_switches_total";
/// Snapshots of brains that were noted.
pub const SNAPSHOTS: &str = "loket_brain_snapshots_total";
/// Seconds by which a timer fired after its time.
pub const TIMER_LATE_SECONDS: &str = "loket_timer_late_seconds";
/// Times that a due timer found its agent's inbox full and was put off.
pub const TIMERS_PUT_OFF: &str = "loket_timers_put_off_total";
/// Calls that were denied because nobody approved them in their time.
pub const APPROVALS_EXPIRED: &str = "loket_approvals_expired_total";

/// Reports of supervisors that were not kept: too many at once, or the file failed.
pub const HISTORY_DROPPED: &str = "loket_history_dropped_total";

/// Tells the installed recorder units and meaning. Once, at the start.
pub fn describe() {
    metrics::describe_histogram!(BATCH_SIZE, Unit::Count, "Requests in one group commit.");
    metrics::describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time of one group commit.");
    metrics::describe_histogram!(FSYNC_SECONDS, Unit::Seconds, "Time of one separate fsync.");
    metrics::describe_histogram!(CHECKPOINT_SECONDS, Unit::Seconds, "Time of one checkpoint.");
    metrics::describe_gauge!(BYTES, Unit::Bytes, "Live data in the ledger.");
    metrics::describe_gauge!(WAL_PAGES, Unit::Count, "Pages in the write-ahead log.");
    metrics::describe_counter!(ACCEPTED, Unit::Count, "Messages accepted.");
    metrics::describe_counter!(COMPLETED, Unit::Count, "Messages whose turn has ended.");
    metrics::describe_counter!(LETTERS, Unit::Count, "Messages that became dead letters.");
    metrics::describe_counter!(FAULTS, Unit::Count, "Group commits that failed.");
    metrics::describe_counter!(RENEWED, Unit::Count, "Files renewed after a failed fsync.");
    metrics::describe_counter!(FENCED, Unit::Count, "Refused writes of old incarnations.");
    metrics::describe_counter!(DOUBTS, Unit::Count, "Once calls that came in doubt.");
    metrics::describe_counter!(QUARANTINED, Unit::Count, "Agents put into quarantine.");
    metrics::describe_counter!(SWITCHED, Unit::Count, "Brains exchanged for another file.");
    metrics::describe_counter!(SNAPSHOTS, Unit::Count, "Snapshots of brains that were noted.");
    metrics::describe_counter!(HISTORY_DROPPED, Unit::Count, "Reports that were not kept.");
    metrics::describe_histogram!(TIMER_LATE_SECONDS, Unit::Seconds, "How late a timer fired.");
    metrics::describe_counter!(
        APPROVALS_EXPIRED,
        Unit::Count,
        "Calls that nobody approved in time."
    );
    metrics::describe_counter!(TIMERS_PUT_OFF, Unit::Count, "Due timers that found no room.");
    metrics::describe_counter!(CYCLES, Unit::Count, "Calls that closed a cycle.");
    metrics::describe_counter!(DOWNS, Unit::Count, "Downs put into the inboxes of who watched.");
}

/// Handles, looked up once.
pub(crate) struct Meters {
    pub(crate) batch: Histogram,
    pub(crate) commit: Histogram,
    pub(crate) fsync: Histogram,
    pub(crate) checkpoint: Histogram,
    pub(crate) bytes: Gauge,
    pub(crate) wal: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) completed: Counter,
    pub(crate) letters: Counter,
    pub(crate) faults: Counter,
    pub(crate) renewed: Counter,
    pub(crate) fenced: Counter,
    pub(crate) cycles: Counter,
    pub(crate) doubts: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) switched: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) timer_late: Histogram,
    pub(crate) timers_put_off: Counter,
    pub(crate) approvals_expired: Counter,
    pub(crate) downs: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            batch: metrics::histogram!(BATCH_SIZE),
            commit: metrics::histogram!(COMMIT_SECONDS),
            fsync: metrics::histogram!(FSYNC_SECONDS),
            checkpoint: metrics::histogram!(CHECKPOINT_SECONDS),
            bytes: metrics::gauge!(BYTES),
            wal: metrics::gauge!(WAL_PAGES),
            accepted: metrics::counter!(ACCEPTED),
            completed: metrics::counter!(COMPLETED),
            letters: metrics::counter!(LETTERS),
            faults: metrics::counter!(FAULTS),
            renewed: metrics::counter!(RENEWED),
            fenced: metrics::counter!(FENCED),
            cycles: metrics::counter!(CYCLES),
            doubts: metrics::counter!(DOUBTS),
            quarantined: metrics::counter!(QUARANTINED),
            switched: metrics::counter!(SWITCHED),
            snapshots: metrics::counter!(SNAPSHOTS),
            timer_late: metrics::histogram!(TIMER_LATE_SECONDS),
            timers_put_off: metrics::counter!(TIMERS_PUT_OFF),
            approvals_expired: metrics::counter!(APPROVALS_EXPIRED),
            downs: metrics::counter!(DOWNS),
        }
    }
}
