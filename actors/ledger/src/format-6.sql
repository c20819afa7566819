-- Format 6: what a call took, snapshots that nobody asked for, and who else waits for a message. took_ms: from its sending, or its intent, to its first answer. cost: what its provider says that it used,
-- as JSON; null for one that says nothing.
ALTER TABLE records ADD COLUMN took_ms INTEGER;

-- automatic: taken without being asked for.
ALTER TABLE snapshots ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0;

-- Calls that asked for a message again while it waits or is handled: its end answers them as well.
CREATE TABLE readers(
  message BLOB NOT NULL,
  intent  BLOB NOT NULL,
  PRIMARY KEY (message, intent)
) STRICT, WITHOUT ROWID;
