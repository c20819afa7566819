-- Format 6: what a call took. took_ms: from its sending, or its intent, to its first answer. cost: what its provider says that it used,
-- as JSON; null for one that says nothing.
ALTER TABLE records ADD COLUMN took_ms INTEGER;
