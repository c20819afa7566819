-- Format 3: approvals say why they were denied, and are found by their turn.
ALTER TABLE approvals ADD COLUMN reason TEXT;
CREATE INDEX approvals_by_turn ON approvals(life, n);
