-- Format 4: soft limits of budgets. lifted: a person let it be spent to its limits in this window. budget: the subject in `budgets`
-- whose soft limit the call that waits goes beyond.
ALTER TABLE budgets ADD COLUMN lifted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN budget TEXT;
CREATE INDEX approvals_by_budget ON approvals(budget) WHERE verdict IS NULL AND budget IS NOT NULL;
