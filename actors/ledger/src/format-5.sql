-- Format 5: approvals that expire are found by their time.
CREATE INDEX approvals_by_expiry ON approvals(expires_ms)
  WHERE verdict IS NULL AND expires_ms IS NOT NULL;
