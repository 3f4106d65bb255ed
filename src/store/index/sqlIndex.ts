import type { BindParams, Database, SqlJsStatic, SqlValue } from 'sql.js';
import type { Page, SessionQuery, WindowQuery } from '../../core/ports/store.ts';
import { CwmError } from '../../protocol/errors.ts';
import { windowSummarySchema, type WindowSummary } from '../../protocol/window.ts';
import type { SessionRow, WindowRow } from './rows.ts';
import { indexSchema, indexVersion } from './schema.ts';

const sortColumns = {
  name: 'name',
  createdAt: 'created_at',
  tokens: 'tokens',
  kvBytes: 'kv_bytes',
} as const satisfies Record<WindowQuery['sortBy'], string>;

/** The index as a database in memory. All values are bound, never put into the text of a statement. */
export class SqlIndex {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  static empty(sql: SqlJsStatic): SqlIndex {
    const database = new sql.Database();
    database.exec(indexSchema);
    return new SqlIndex(database);
  }

  /** @returns null when it is no database, is damaged or has another version. */
  static fromImage(sql: SqlJsStatic, image: Uint8Array): SqlIndex | null {
    let database: Database | null = null;
    try {
      database = new sql.Database(image);
      const version = database.exec('PRAGMA user_version')[0]?.values[0]?.[0];
      const check = database.exec('PRAGMA quick_check')[0]?.values[0]?.[0];
      if (version === indexVersion && check === 'ok') return new SqlIndex(database);
    } catch {
      // SQLite's own account of what is wrong helps nobody: the image is made anew.
    }
    database?.close();
    return null;
  }

  image(): Uint8Array {
    return this.#database.export();
  }

  close(): void {
    this.#database.close();
  }

  /** All changes of `work` at once: thousands of rows take a fraction of the time. */
  batch(work: () => void): void {
    this.#database.exec('BEGIN');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  putSession(row: SessionRow): void {
    this.#database.run('INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)', [
      row.id,
      row.search,
      row.project,
      row.lifecycle,
      row.model,
      row.updatedAt,
      row.stamp,
    ]);
  }

  removeSession(id: string): void {
    this.#database.run('DELETE FROM sessions WHERE id = ?', [id]);
  }

  putWindow({ summary, search, lineage, stamp }: WindowRow): void {
    this.removeWindow(summary.name);
    this.#database.run('INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', [
      summary.name,
      search,
      summary.session,
      summary.project,
      summary.model,
      lineage,
      summary.tokens,
      summary.kvBytes,
      summary.createdAt,
      JSON.stringify(summary),
      stamp,
    ]);
    for (const tag of summary.tags) {
      this.#database.run('INSERT OR IGNORE INTO window_tags VALUES (?, ?)', [tag, summary.name]);
    }
  }

  removeWindow(name: string): void {
    this.#database.run('DELETE FROM window_tags WHERE window = ?', [name]);
    this.#database.run('DELETE FROM windows WHERE name = ?', [name]);
  }

  /** Stamps by session id. */
  sessionStamps(): Map<string, string> {
    return this.#pairs('SELECT id, stamp FROM sessions');
  }

  /** Stamps by window name. */
  windowStamps(): Map<string, string> {
    return this.#pairs('SELECT name, stamp FROM windows');
  }

  windowsOfLineage(lineage: string): string[] {
    return this.#rows('SELECT name FROM windows WHERE lineage = ? ORDER BY created_at DESC', [lineage]).map(([name]) =>
      String(name),
    );
  }

  sessions(query: SessionQuery): Page<string> {
    const filter = new Filter();
    filter.equal('project', query.project);
    filter.equal('lifecycle', query.lifecycle);
    filter.equal('model', query.model);
    filter.contains('search', query.search);
    const rows = this.#rows(`SELECT id FROM sessions ${filter.where} ORDER BY updated_at DESC, id LIMIT ? OFFSET ?`, [
      ...filter.values,
      query.limit,
      query.offset,
    ]);
    return { items: rows.map(([id]) => String(id)), total: this.#count('sessions', filter) };
  }

  windows(query: WindowQuery): Page<WindowSummary> {
    const filter = new Filter();
    filter.equal('session', query.session);
    filter.equal('project', query.project);
    filter.equal('model', query.model);
    filter.contains('search', query.search);
    filter.add('created_at > ?', instant(query.createdAfter));
    filter.add('created_at < ?', instant(query.createdBefore));
    for (const tag of query.tags ?? []) {
      filter.add('EXISTS (SELECT 1 FROM window_tags WHERE tag = ? AND window = windows.name)', tag);
    }
    const direction = query.order === 'desc' ? 'DESC' : 'ASC';
    const rows = this.#rows(
      `SELECT summary FROM windows ${filter.where} ORDER BY ${sortColumns[query.sortBy]} ${direction}, name LIMIT ? OFFSET ?`,
      [...filter.values, query.limit, query.offset],
    );
    return {
      items: rows.map(([summary]) => windowSummarySchema.parse(JSON.parse(String(summary)))),
      total: this.#count('windows', filter),
    };
  }

  /** Rows whose stamp says nothing. */
  unstamped(): { readonly sessions: string[]; readonly windows: string[] } {
    const keys = (sql: string): string[] => this.#rows(sql, []).map(([key]) => String(key));
    return {
      sessions: keys("SELECT id FROM sessions WHERE stamp = ''"),
      windows: keys("SELECT name FROM windows WHERE stamp = ''"),
    };
  }

  /** What every row says, but not its stamp, in a fixed order: to compare two indexes. */
  dump(): unknown[] {
    return [
      'SELECT id, search, project, lifecycle, model, updated_at FROM sessions ORDER BY id',
      'SELECT name, search, session, project, model, lineage, tokens, kv_bytes, created_at, summary FROM windows ORDER BY name',
      'SELECT tag, window FROM window_tags ORDER BY tag, window',
    ].map((sql) => this.#rows(sql, []));
  }

  #count(table: 'sessions' | 'windows', filter: Filter): number {
    return Number(this.#rows(`SELECT count(*) FROM ${table} ${filter.where}`, filter.values)[0]?.[0] ?? 0);
  }

  #pairs(sql: string): Map<string, string> {
    return new Map(this.#rows(sql, []).map(([key, value]) => [String(key), String(value)]));
  }

  #rows(sql: string, values: BindParams): SqlValue[][] {
    return this.#database.exec(sql, values)[0]?.values ?? [];
  }
}

/** In the one form that stamps are kept in, which sorts as text. */
function instant(stamp: string | undefined): string | undefined {
  if (stamp === undefined) return undefined;
  const time = new Date(stamp);
  if (Number.isNaN(time.getTime())) throw new CwmError('CWM-1003', `${JSON.stringify(stamp)} is not an ISO 8601 time.`);
  return time.toISOString();
}

/** The WHERE of a query, from those conditions that were asked for. */
class Filter {
  readonly #conditions: string[] = [];
  readonly values: string[] = [];

  get where(): string {
    return this.#conditions.length === 0 ? '' : `WHERE ${this.#conditions.join(' AND ')}`;
  }

  add(condition: string, value: string | undefined): void {
    if (value === undefined) return;
    this.#conditions.push(condition);
    this.values.push(value);
  }

  equal(column: string, value: string | undefined): void {
    this.add(`${column} = ?`, value);
  }

  /** Without LIKE, so that nothing in the value is a wildcard. */
  contains(column: string, value: string | undefined): void {
    this.add(`instr(${column}, ?) > 0`, value?.toLowerCase());
  }
}
