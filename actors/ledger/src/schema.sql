-- Format 1 of the ledger. A message's number within its receiver's life is also the number of the turn that handles it: inboxes
-- are served in order, one message a turn. Tables that end in "later:" are carried so that their features need no migration.

CREATE TABLE meta(
  name  TEXT PRIMARY KEY NOT NULL,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Counted on their own, never computed from each other, so that a lost message shows.
CREATE TABLE counters(
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  accepted     INTEGER NOT NULL,
  completed    INTEGER NOT NULL,
  letters_made INTEGER NOT NULL,
  boots        INTEGER NOT NULL,
  clock_ms     INTEGER NOT NULL -- the latest moment told: a node's clock never runs backwards
) STRICT;
INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0);

-- One row a life. AUTOINCREMENT: a life is never minted twice, so no file of an earlier life is taken for a later one's.
CREATE TABLE agents(
  life         INTEGER PRIMARY KEY AUTOINCREMENT,
  name         TEXT NOT NULL,
  gone         INTEGER NOT NULL DEFAULT 0,
  incarnation  INTEGER NOT NULL DEFAULT 0,
  epoch        INTEGER NOT NULL DEFAULT 0,
  done_n       INTEGER NOT NULL DEFAULT 0,
  chain        BLOB NOT NULL,
  durable_n    INTEGER NOT NULL DEFAULT 0,
  swept_n      INTEGER NOT NULL DEFAULT 0,
  inbox_rows   INTEGER NOT NULL,
  inbox_bytes  INTEGER NOT NULL,
  quarantine   TEXT -- later: the reason
) STRICT;
CREATE UNIQUE INDEX agents_by_name ON agents(name) WHERE gone = 0;

CREATE TABLE children(
  life     INTEGER PRIMARY KEY,
  under    TEXT NOT NULL,
  settings TEXT NOT NULL
) STRICT;

CREATE TABLE messages(
  life         INTEGER NOT NULL,
  n            INTEGER NOT NULL,
  id           BLOB NOT NULL,
  sender       TEXT NOT NULL,
  kind         TEXT NOT NULL,
  accepted_ms  INTEGER NOT NULL,
  chain        BLOB,
  reply_agent  TEXT,
  reply_intent BLOB,
  derived      INTEGER NOT NULL,
  idem         BLOB,
  body         BLOB NOT NULL,
  PRIMARY KEY (life, n)
) STRICT, WITHOUT ROWID;

-- What all turns of one configuration share, so that a begin is three numbers.
CREATE TABLE pins(
  id           INTEGER PRIMARY KEY,
  module       BLOB NOT NULL,
  settings     BLOB NOT NULL,
  grants       BLOB NOT NULL,
  memory_bytes INTEGER NOT NULL,
  output_bytes INTEGER NOT NULL,
  calls_max    INTEGER NOT NULL,
  pure_version INTEGER NOT NULL,
  UNIQUE (module, settings, grants, memory_bytes, output_bytes, calls_max, pure_version)
) STRICT;

CREATE TABLE blobs(
  hash  BLOB PRIMARY KEY NOT NULL,
  bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- state: 0 open, 1 ended, 2 skipped, 3 ended and its re-run is taken as it comes (G4). pin is null until the turn has a durable begin.
CREATE TABLE turns(
  life         INTEGER NOT NULL,
  n            INTEGER NOT NULL,
  state        INTEGER NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  parks        INTEGER NOT NULL DEFAULT 0,
  parked_on    BLOB,
  deaths       INTEGER NOT NULL DEFAULT 0,
  deaths_alone INTEGER NOT NULL DEFAULT 0,
  pin          INTEGER,
  time_ms      INTEGER NOT NULL DEFAULT 0,
  seed         INTEGER NOT NULL DEFAULT 0,
  hash         BLOB,
  chain        BLOB,
  ended_ms     INTEGER,
  ok           INTEGER,
  reply        BLOB,
  PRIMARY KEY (life, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX turns_open ON turns(life) WHERE state = 0;

-- ok is null while an intent has no result. late_*: an answer after the first one. held_*: the provider's incarnation that holds a
-- Once call, null when an operator allows one more sending; doubt: its number when it is in doubt. cost: see format 6.
CREATE TABLE records(
  life         INTEGER NOT NULL,
  n            INTEGER NOT NULL,
  call         INTEGER NOT NULL,
  class        TEXT NOT NULL,
  capability   TEXT NOT NULL,
  intent       BLOB,
  ok           INTEGER,
  stamp_ms     INTEGER NOT NULL,
  effect       BLOB,
  outcome      BLOB,
  late_ok      INTEGER,
  late_ms      INTEGER,
  late_outcome BLOB,
  held_by      TEXT,
  held_life    INTEGER,
  doubt        INTEGER NOT NULL DEFAULT 0,
  cost         BLOB,
  args         BLOB NOT NULL,
  PRIMARY KEY (life, n, call)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_intent ON records(intent) WHERE intent IS NOT NULL;

-- key: a derived id, or the hash of sender, receiver and idempotency key. Kept until expires_ms, and while the turn that sent
-- it (holder) is open.
CREATE TABLE dedupe(
  key         BLOB PRIMARY KEY NOT NULL,
  digest      BLOB NOT NULL,
  id          BLOB NOT NULL,
  expires_ms  INTEGER NOT NULL,
  holder_life INTEGER,
  holder_n    INTEGER,
  ok          INTEGER,
  outcome     BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_by_expiry ON dedupe(expires_ms);

CREATE TABLE letters(
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  agent       TEXT NOT NULL,
  message     BLOB NOT NULL,
  sender      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  accepted_ms INTEGER NOT NULL,
  chain       BLOB,
  cause       TEXT NOT NULL,
  blame       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  backtrace   TEXT NOT NULL,
  attempts    INTEGER NOT NULL,
  at_ms       INTEGER NOT NULL,
  effects     BLOB NOT NULL,
  body        BLOB NOT NULL
) STRICT;

-- later: durable timers, approvals, budgets, epochs and snapshots of brains.
CREATE TABLE timers(
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  life     INTEGER NOT NULL,
  key      BLOB NOT NULL UNIQUE,
  due_ms   INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  schedule TEXT,
  missed   TEXT,
  intent   BLOB,
  body     BLOB NOT NULL
) STRICT;
CREATE INDEX timers_by_due ON timers(due_ms);
CREATE INDEX timers_by_life ON timers(life);

CREATE TABLE approvals(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  intent     BLOB NOT NULL UNIQUE,
  life       INTEGER NOT NULL,
  n          INTEGER NOT NULL,
  capability TEXT NOT NULL,
  asked_ms   INTEGER NOT NULL,
  expires_ms INTEGER,
  verdict    INTEGER,
  by_whom    TEXT,
  said_ms    INTEGER,
  args       BLOB NOT NULL
) STRICT;

CREATE TABLE budgets(
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  subject   TEXT NOT NULL,
  unit      TEXT NOT NULL,
  parent    INTEGER,
  soft      INTEGER,
  hard      INTEGER,
  period_ms INTEGER,
  since_ms  INTEGER NOT NULL,
  spent     INTEGER NOT NULL,
  reserved  INTEGER NOT NULL,
  UNIQUE (subject, unit)
) STRICT;
CREATE TABLE charges(
  intent BLOB NOT NULL,
  budget INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (intent, budget)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs(
  life    INTEGER NOT NULL,
  epoch   INTEGER NOT NULL,
  from_n  INTEGER NOT NULL,
  at_ms   INTEGER NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (life, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots(
  life   INTEGER NOT NULL,
  epoch  INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  chain  BLOB NOT NULL,
  at_ms  INTEGER NOT NULL,
  file   TEXT NOT NULL,
  PRIMARY KEY (life, epoch, n)
) STRICT, WITHOUT ROWID;
