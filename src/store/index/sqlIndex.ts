import type { Database, SqlJsStatic, SqlValue, Statement } from 'sql.js';
import type { Page } from '../../core/ports/page.ts';
import type { SessionQuery } from '../../core/ports/sessions.ts';
import type { WindowQuery } from '../../core/ports/windows.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ProjectUri, SessionId, WindowName } from '../../protocol/ids.ts';
import { windowSummarySchema, type WindowSummary } from '../../protocol/schemas/window.ts';
import type { SessionRow, WindowRow } from './rows.ts';
import { indexSchema, indexVersion } from './schema.ts';
import { inTransaction } from './sqlJs.ts';

const sortColumns = {
  name: 'name',
  createdAt: 'created_at',
  tokens: 'tokens',
  kvBytes: 'kv_bytes',
} as const satisfies Record<WindowQuery['sortBy'], string>;

/** A window belongs to the project that its session belongs to now, if to any; where the session is gone, to the one that it was made in. */
const projectNow =
  'iif(EXISTS (SELECT 1 FROM sessions WHERE sessions.id = windows.session), ' +
  '(SELECT sessions.project FROM sessions WHERE sessions.id = windows.session), windows.project)';

/** Each combination of filters has its own statement; few are ever used. */
const maxStatements = 100;

/** The index as a database in memory. All values are bound, never put into the text of a statement. */
export class SqlIndex {
  readonly #database: Database;
  /** By their text: compiling a statement takes longer than running it. */
  readonly #statements = new Map<string, Statement>();

  private constructor(database: Database) {
    this.#database = database;
  }

  static empty(sql: SqlJsStatic): SqlIndex {
    const database = new sql.Database();
    database.exec(indexSchema);
    return new SqlIndex(database);
  }

  /** @returns null when it is no database, is damaged, has another version or other tables. */
  static fromImage(sql: SqlJsStatic, image: Uint8Array): SqlIndex | null {
    let database: Database | null = null;
    try {
      database = new sql.Database(image);
      const version = database.exec('PRAGMA user_version')[0]?.values[0]?.[0];
      const check = database.exec('PRAGMA quick_check')[0]?.values[0]?.[0];
      const isWhole = version === indexVersion && check === 'ok';
      if (isWhole && schemaOf(database) === ownSchema(sql)) return new SqlIndex(database);
    } catch {
      // SQLite's message is not needed, because the image is rebuilt.
    }
    database?.close();
    return null;
  }

  image(): Uint8Array {
    // An export ends all statements.
    this.#statements.clear();
    return this.#database.export();
  }

  close(): void {
    this.#database.close();
  }

  /** All changes of `work` at once: thousands of rows take a fraction of the time. */
  batch(work: () => void): void {
    inTransaction(this.#database, work);
  }

  putSession(row: SessionRow): void {
    this.#run('INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)', [
      row.id,
      row.search,
      row.project,
      row.lifecycle,
      row.model,
      row.updatedAt,
      row.expiresAt,
      row.stamp,
    ]);
  }

  removeSession(id: string): void {
    this.#run('DELETE FROM sessions WHERE id = ?', [id]);
  }

  putWindow({ summary, search, lineage, stamp }: WindowRow): void {
    this.removeWindow(summary.name);
    this.#run('INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', [
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
      this.#run('INSERT OR IGNORE INTO window_tags VALUES (?, ?)', [tag, summary.name]);
    }
  }

  removeWindow(name: string): void {
    this.#run('DELETE FROM window_tags WHERE window = ?', [name]);
    this.#run('DELETE FROM windows WHERE name = ?', [name]);
  }

  /** Stamps by session id. */
  sessionStamps(): Map<string, string> {
    return this.#pairs('SELECT id, stamp FROM sessions');
  }

  /** Stamps by window name. */
  windowStamps(): Map<string, string> {
    return this.#pairs('SELECT name, stamp FROM windows');
  }

  windowsOfLineage(lineage: string): WindowName[] {
    return this.#keys('SELECT name FROM windows WHERE lineage = ? ORDER BY created_at DESC', [lineage]);
  }

  sessions(query: SessionQuery): Page<SessionId> {
    const filter = new Filter();
    if (query.project === null) filter.isNull('project');
    else filter.equal('project', query.project);
    filter.equal('lifecycle', query.lifecycle);
    filter.add('expires_at <= ?', query.dueBy);
    filter.equal('model', query.model);
    filter.contains('search', query.search);
    return this.#page('SELECT id, count(*) OVER () FROM sessions', filter, 'ORDER BY updated_at DESC, id', query);
  }

  sessionsByProject(): { readonly project: ProjectUri | null; readonly sessions: number }[] {
    return this.#rows('SELECT project, count(*) FROM sessions GROUP BY project', []).map(([project, sessions]) => ({
      project: project === null ? null : (String(project) as ProjectUri),
      sessions: Number(sessions),
    }));
  }

  windows(query: WindowQuery): Page<WindowSummary> {
    const filter = new Filter();
    filter.equal('session', query.session);
    filter.add(`${projectNow} = ?`, query.project);
    filter.equal('model', query.model);
    filter.contains('search', query.search);
    filter.add('created_at > ?', instant(query.createdAfter));
    filter.add('created_at < ?', instant(query.createdBefore));
    for (const tag of query.tags ?? []) {
      filter.add('EXISTS (SELECT 1 FROM window_tags WHERE tag = ? AND window = windows.name)', tag);
    }
    const direction = query.order === 'desc' ? 'DESC' : 'ASC';
    const order = `ORDER BY ${sortColumns[query.sortBy]} ${direction}, name`;
    const { items, total } = this.#page<WindowName>('SELECT name, count(*) OVER () FROM windows', filter, order, query);
    return { items: items.map((name) => this.#summary(name)), total };
  }

  /** In no order. */
  allWindows(): WindowSummary[] {
    return this.#rows(`SELECT summary, ${projectNow} FROM windows`, []).map(summaryOf);
  }

  /** Rows without a stamp. */
  unstamped(): { readonly sessions: SessionId[]; readonly windows: WindowName[] } {
    return {
      sessions: this.#keys("SELECT id FROM sessions WHERE stamp = ''"),
      windows: this.#keys("SELECT name FROM windows WHERE stamp = ''"),
    };
  }

  /** Every row of each table without its stamp, in a fixed order, to compare two indexes. */
  dump(): unknown[][] {
    return [
      'SELECT id, search, project, lifecycle, model, updated_at, expires_at FROM sessions ORDER BY id',
      'SELECT name, search, session, project, model, lineage, tokens, kv_bytes, created_at, summary FROM windows ORDER BY name',
      'SELECT tag, window FROM window_tags ORDER BY tag, window',
    ].map((sql) => this.#rows(sql, []));
  }

  /** Names and their number in one pass, and only then what fills the lines: the sorter carries no wide rows. */
  #page<Key extends string>(
    select: string,
    filter: Filter,
    order: string,
    { limit, offset }: { readonly limit: number; readonly offset: number },
  ): Page<Key> {
    const matching = `${select} ${filter.where} ${order} LIMIT ? OFFSET ?`;
    const rows = this.#rows(matching, [...filter.values, limit, offset]);
    // Behind the last page no row carries the number.
    const counted = rows[0] ?? (offset > 0 ? this.#rows(matching, [...filter.values, 1, 0])[0] : undefined);
    return { items: rows.map(([key]) => String(key) as Key), total: Number(counted?.[1] ?? 0) };
  }

  /** The first column. The rows were made from records, so that a column of ids has ids. */
  #keys<Key extends string>(sql: string, values: SqlValue[] = []): Key[] {
    return this.#rows(sql, values).map(([key]) => String(key) as Key);
  }

  #summary(name: string): WindowSummary {
    const [row] = this.#rows(`SELECT summary, ${projectNow} FROM windows WHERE name = ?`, [name]);
    return summaryOf(row ?? []);
  }

  #pairs(sql: string): Map<string, string> {
    return new Map(this.#rows(sql, []).map(([key, value]) => [String(key), String(value)]));
  }

  #run(sql: string, values: SqlValue[]): void {
    this.#prepared(sql).run(values);
  }

  #rows(sql: string, values: SqlValue[]): SqlValue[][] {
    const statement = this.#prepared(sql);
    const rows: SqlValue[][] = [];
    try {
      statement.bind(values);
      while (statement.step()) rows.push(statement.get());
    } finally {
      statement.reset();
    }
    return rows;
  }

  #prepared(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement && this.#statements.size >= maxStatements) {
      for (const old of this.#statements.values()) old.free();
      this.#statements.clear();
    }
    if (!statement) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }
}

/** Of a row with a summary as it was stored, and the window's project now. */
function summaryOf([summary, project]: SqlValue[]): WindowSummary {
  const stored = windowSummarySchema.parse(JSON.parse(String(summary)));
  return { ...stored, project: project === null ? null : (String(project) as ProjectUri) };
}

/** In the form in which stamps are stored, which sorts as text. */
function instant(stamp: string | undefined): string | undefined {
  if (stamp === undefined) return undefined;
  const time = new Date(stamp);
  if (Number.isNaN(time.getTime()))
    throw new CwmError('InvalidParameter', `${JSON.stringify(stamp)} is not an ISO 8601 time.`);
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

  isNull(column: string): void {
    this.#conditions.push(`${column} IS NULL`);
  }

  /** Without LIKE, so that nothing in the value is a wildcard. */
  contains(column: string, value: string | undefined): void {
    this.add(`instr(${column}, ?) > 0`, value?.toLowerCase());
  }
}

/** All tables and indexes as they were declared. */
function schemaOf(database: Database): string {
  return JSON.stringify(database.exec('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name')[0]?.values);
}

/** Made once, since it costs as much as all the rest of opening an image. */
let ownSchemaText: string | null = null;

function ownSchema(sql: SqlJsStatic): string {
  if (ownSchemaText !== null) return ownSchemaText;
  const empty = new sql.Database();
  try {
    empty.exec(indexSchema);
    return (ownSchemaText = schemaOf(empty));
  } finally {
    empty.close();
  }
}
