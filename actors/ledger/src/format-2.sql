-- Format 2: monitors and groups (rule I2).

-- One row a monitor, until it has told its Down: deleted in the step that puts the Down into the inbox. incarnation is null for
-- a monitor that tells the end of the life, else the first incarnation whose end it tells.
CREATE TABLE monitors(
  id          BLOB PRIMARY KEY NOT NULL,
  life        INTEGER NOT NULL,
  target      INTEGER NOT NULL,
  incarnation INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX monitors_by_target ON monitors(target);
CREATE INDEX monitors_by_life ON monitors(life);

CREATE TABLE members(
  grp  TEXT NOT NULL,
  life INTEGER NOT NULL,
  PRIMARY KEY (grp, life)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_life ON members(life);
