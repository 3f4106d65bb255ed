/** Increases with every change of {@link indexSchema}: an image of another version is discarded and rebuilt. */
export const indexVersion = 5;

/**
 * Rows are small: the fields of a list's line, and those that filter it. `stamp` is the fingerprint of the files that the row was read
 * from, so that a row is trusted only while they are the same. `search` is lower case, for a search that ignores case.
 */
export const indexSchema = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    search TEXT NOT NULL,
    project TEXT,
    lifecycle TEXT NOT NULL,
    model TEXT,
    updated_at TEXT NOT NULL,
    expires_at TEXT,
    stamp TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX sessions_by_change ON sessions (updated_at DESC, id);

  CREATE TABLE windows (
    name TEXT PRIMARY KEY,
    search TEXT NOT NULL,
    session TEXT NOT NULL,
    project TEXT,
    model TEXT NOT NULL,
    lineage TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    kv_bytes INTEGER,
    created_at TEXT NOT NULL,
    summary TEXT NOT NULL,
    stamp TEXT NOT NULL
  );
  CREATE INDEX windows_by_session ON windows (session);
  CREATE INDEX windows_by_lineage ON windows (lineage);
  CREATE INDEX windows_by_creation ON windows (created_at, name);
  CREATE INDEX windows_by_tokens ON windows (tokens, name);
  CREATE INDEX windows_by_size ON windows (kv_bytes, name);

  CREATE TABLE window_tags (
    tag TEXT NOT NULL,
    window TEXT NOT NULL,
    PRIMARY KEY (tag, window)
  ) WITHOUT ROWID;
  CREATE INDEX window_tags_by_window ON window_tags (window);

  PRAGMA user_version = ${indexVersion};
`;
