//! Bounds of the store. Every one has its unit in its name and its reason beside it; a refusal
//! names the limit, nothing is cut.

/// Bytes of a key of `kv`: room for a path, not for a document.
pub const KEY_BYTES_MAX: usize = 1024;
/// Bytes of the JSON text of a value of `kv`: as large as a message's body, so that a message can
/// be kept whole.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Entries that one `kv.list` answers at most; `more` says whether there are more.
pub const LIST_ENTRIES_MAX: usize = 1_000;
/// Entries that `kv.list` answers when the guest says nothing.
pub const LIST_ENTRIES: usize = 100;
/// Bytes of keys and values in one answer of `kv.list` after which it stops and says `more`: four
/// of the largest values.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one memory's text: a long chapter. Larger documents are remembered in parts, which
/// search finds better, too.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a memory's source.
pub const SOURCE_BYTES_MAX: usize = 1024;
/// Bytes of the JSON text of a memory's meta.
pub const META_BYTES_MAX: usize = 16 * 1024;
/// Items of one `memory.add`.
pub const ITEMS_MAX: usize = 256;
/// Bytes of text of one `memory.add`: 64 of the longest items, half a second of indexing.
pub const ADD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of text up to which `memory.add` runs on the lane: indexing them takes less than a slice
/// of a guest (200 µs). More goes to a store thread.
pub const ADD_ON_LANE_BYTES: usize = 4 * 1024;
/// Items up to which it does, for the same reason: each costs some 15 µs however short it is.
pub const ADD_ON_LANE_ITEMS: usize = 8;

/// Hits that one `memory.search` answers at most.
pub const HITS_MAX: usize = 100;
/// Hits when the guest says nothing.
pub const HITS: usize = 10;
/// Bytes of a query: several paragraphs.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Different words of a query that count, stop words not included.
pub const TERMS_MAX: usize = 64;
/// Rows in which a word may stand and still tell rows apart (rule C7). A word in more rows ranks
/// nothing unless the query has no other; then the newest rows that hold it are answered.
pub const TERM_ROWS_MAX: usize = 10_000;
/// Rows that one search ranks at most (rule C7): the rarest words first, until their rows are that
/// many.
pub const CANDIDATE_ROWS_MAX: usize = 40_000;

/// Ids of one `memory.forget`.
pub const FORGET_IDS_MAX: usize = 1_000;
/// Rows that one `memory.forget` takes; a source with more of them is refused, to be forgotten by
/// ids.
pub const FORGET_ROWS_MAX: usize = 20_000;

/// Steps of SQLite's machine that one call may take (rule C7). The bounds on rows allow about a
/// million; only counting the rows of one source takes more, some four for each row. A call that
/// gets there is stopped, which is no answer to the guest but the end of its turn (rule C6).
pub const STEPS_MAX: u64 = 100_000_000;

/// Calls and requests that may wait for one brain while it is out on a store thread. An agent makes
/// one call at a time, so a longer queue is a mistake of the host.
pub const WAITING_MAX: usize = 64;
/// Open brains of one shard: three file descriptors (file, log, index of the log) and 92 KiB each,
/// so 512 are 46 MiB at most. SQLite looks through all files that the process has open, one by one and
/// under one lock, whenever it opens another: with 3,300 that was a tenth of all the time in which ten
/// thousand agents crash and come back. A small limit of descriptors lowers it further.
pub const OPEN_BRAINS_MAX: usize = 512;
/// The least bound on open brains, whatever the limit of descriptors: below it a fleet would only
/// open and close.
pub const OPEN_BRAINS_MIN: usize = 16;
/// Brains of one shard that may be on their way out while others are opened in their place: so many descriptors more, and who is
/// opened waits for no fsync of another. A crowd's closings go first again, or they would pile up.
pub const CLOSED_BESIDE_MAX: usize = 16;
/// Brains of all shards together that stay open though their turn is parked, or though they were opened only to be brought up
/// (rule H1): 2 MiB. Enough for chains of calls, whose waits are short; ten thousand turns that wait for a person hold no more.
pub const RELEASED_OPEN_MAX: usize = 16;
/// Milliseconds after which such a brain is closed all the same: longer than a chain of calls usually waits. A fleet that only
/// waits holds none of them.
pub const RELEASED_OPEN_MS: u64 = 2_000;
/// Threads that open, search and checkpoint brains. Nearly all of their time is waiting for the disk, which answers the fsyncs that
/// come together with one write of its journal.
pub const STORE_THREADS: usize = 16;
/// Jobs that wait for a store thread, of all shards together. Above it a lane's tasks wait for
/// room.
pub const JOBS_MAX: usize = 4_096;
/// Names of which it is remembered while their brain is closed who may use it and up to where the ledger knows it durable.
pub const PAST_MAX: usize = 100_000;

/// Commits after which a brain is made durable (rule E6): bounds its log to some megabytes and what
/// the ledger keeps for it. Bringing them to the disk takes some 13 ms, so a brain that never rests
/// waits 13 µs for each.
pub const COMMITS_BEFORE_DURABLE: u32 = 1_024;
/// Milliseconds after the first commit that is not on disk when a brain is made durable (rule E6):
/// an idle brain pins the ledger no longer than this.
pub const DURABLE_AFTER_MS: u64 = 2_000;
/// Turns that wait in a brain for the commit of a later one: committing them costs sixteenths then, and that many at most are run
/// again after a crash.
pub const HELD_TURNS_MAX: u32 = 15;
/// Milliseconds after which a turn that waits for a later one's commit is committed: less than [`BUSY_MS`], for the file cannot be
/// written by another connection meanwhile, and what looks into it sees the turn so late.
pub const HELD_MS: u64 = 200;
/// Milliseconds that a store thread waits for a lock that an earlier incarnation's connection still
/// holds: long enough for it to be closed durably, short enough that brains which a stuck thread
/// holds do not keep the store threads from the others.
pub const BUSY_MS: u64 = 250;
/// Milliseconds that a store thread waits for the ledger's word when a brain is closed at the end
/// of its shard.
pub const REPORT_MS: u64 = 10_000;

const _: () = assert!(HELD_MS < BUSY_MS && HELD_MS < DURABLE_AFTER_MS);
const _: () = assert!(TERM_ROWS_MAX <= CANDIDATE_ROWS_MAX && HITS <= HITS_MAX);
const _: () = assert!(LIST_ENTRIES <= LIST_ENTRIES_MAX && VALUE_BYTES_MAX <= LIST_BYTES_MAX);
const _: () = assert!(TEXT_BYTES_MAX <= ADD_BYTES_MAX && OPEN_BRAINS_MIN <= OPEN_BRAINS_MAX);
