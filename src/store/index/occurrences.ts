import type { Database, SqlValue } from 'sql.js';
import type { MessageOccurrences, OccurrenceQuery, Occurrences } from '../../core/ports/search.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { MessageRole } from '../../protocol/schemas/session.ts';
import { inTransaction } from './sqlJs.ts';
import { wordsOf } from './searchWords.ts';

/** Matches that are ranked. Above it the rarest words choose: a look-up takes as long in a store of any size. */
const mostMatches = 750;
/** Messages that are looked at, those around the matches included: most of what a search of a long conversation takes. */
const mostLookedAt = 2_000;
/** Words of one query that are looked up; later ones are left out. */
const mostWords = 40;
/** A stem that is shorter begins too many words that mean something else. */
const shortestPrefix = 4;

/** In a temporary database beside the index, so that an image has none of it. */
const scratch = `
  CREATE VIRTUAL TABLE IF NOT EXISTS temp.porter USING fts3tokenize(porter);
  CREATE TEMP TABLE IF NOT EXISTS hits (message INTEGER PRIMARY KEY);
  DELETE FROM temp.hits;
`;

interface Word {
  readonly text: string;
  /** Expressions of the full-text search, any of which is the word. */
  readonly forms: readonly string[];
  /** Messages of the whole index that have a form of it. */
  readonly messages: number;
}

/** Where words occur in the messages of an index, and the messages around those places. */
export function occurrencesIn(database: Database, query: OccurrenceQuery): Occurrences {
  const rows = (sql: string, values: SqlValue[] = []): SqlValue[][] => database.exec(sql, values)[0]?.values ?? [];
  database.exec(scratch);
  const scope: SqlValue[] = [query.project ?? null, query.session ?? null];
  const total = searchedOf(rows, query);
  const texts = [...new Set(wordsOf(query.text))].filter((word) => !query.without.has(word)).slice(0, mostWords);
  const { words, rowsOfAll, averageLength } = measured(rows, texts);
  const within = (message: string): string =>
    scope.every((value) => value === null)
      ? ''
      : `AND EXISTS (SELECT 1 FROM holders JOIN sessions ON sessions.number = session
           WHERE message = ${message} AND (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR sessions.id = ?2))`;
  const matching = (expression: string, order: 'ASC' | 'DESC', most: number): number[] =>
    expression === '' || most <= 0
      ? []
      : rows(`SELECT docid FROM words WHERE words MATCH ?3 ${within('docid')} ORDER BY docid ${order} LIMIT ${most}`, [
          ...scope,
          expression,
        ]).map(([number]) => Number(number));
  let matches = matching(expressionOf(words), 'DESC', mostMatches + 1);
  let isWhole = matches.length <= mostMatches;
  const most = total > mostLookedAt ? Math.floor(mostLookedAt / (1 + 2 * query.reach)) : mostMatches;
  if (!isWhole) matches = chosenOf(words, Math.min(mostMatches, 2 * most), matching);
  const dated =
    query.dated === undefined
      ? []
      : rows(
          `SELECT number FROM messages WHERE created_at LIKE ?3 ${within('number')} ORDER BY number DESC LIMIT ${mostMatches}`,
          [...scope, `${query.dated}%`],
        ).map(([number]) => Number(number));
  matches = [...new Set([...matches, ...dated])];
  if (total > mostLookedAt && matches.length > most) {
    isWhole = false;
    lookAt(database, matches);
    matches = bestOf(matches, { counted: countsOf(rows, words), words, rowsOfAll, dated: new Set(dated) }, most);
    database.exec('DELETE FROM temp.hits');
  }
  lookAt(database, matches);
  const near = around(database, rows, scope, query.reach);
  lookAt(
    database,
    near.map(([number]) => Number(number)),
  );
  const counted = countsOf(rows, words);
  const none = words.map(() => 0);
  const seen = new Set<number>();
  const found: MessageOccurrences[] = [];
  for (const [number, id, session, sequence, role, speaker, createdAt] of near) {
    if (seen.has(Number(number))) continue;
    seen.add(Number(number));
    const { counts, length } = counted.get(Number(number)) ?? { counts: none, length: 0 };
    found.push({
      message: String(id) as MessageId,
      session: String(session) as SessionId,
      sequence: Number(sequence),
      role: String(role) as MessageRole,
      speaker: speaker === null ? null : String(speaker),
      createdAt: String(createdAt),
      length,
      counts,
    });
  }
  const shares = words.map(({ messages }, at) =>
    isWhole
      ? found.filter(({ counts }) => counts[at]! > 0).length / Math.max(1, total)
      : messages / Math.max(1, rowsOfAll),
  );
  return { words: words.map(({ text }) => text), shares, messages: total, averageLength, found };
}

/** How many messages are searched. One session has each of its messages once, so that no list of distinct ones is made of them. */
function searchedOf(rows: Rows, { project, session }: Pick<OccurrenceQuery, 'project' | 'session'>): number {
  const count =
    project === undefined && session === undefined
      ? rows('SELECT count(*) FROM messages')
      : session === undefined
        ? rows(
            'SELECT count(DISTINCT message) FROM holders WHERE session IN (SELECT number FROM sessions WHERE project = ?1)',
            [project ?? null],
          )
        : rows(
            `SELECT count(*) FROM holders WHERE session =
               (SELECT number FROM sessions WHERE id = ?2 AND (?1 IS NULL OR project = ?1))`,
            [project ?? null, session],
          );
  return Number(count[0]?.[0]);
}

/**
 * The messages in `hits` and those around them, in the order of their conversations. Ranges that touch are one look-up, since a join with
 * every single place costs more than everything else of a search.
 */
function around(database: Database, rows: Rows, scope: readonly SqlValue[], reach: number): SqlValue[][] {
  // In this order: the planner would begin with every message of the session.
  const placed = rows(
    `SELECT min(session) AS place, holders.sequence
     FROM temp.hits CROSS JOIN holders ON holders.message = hits.message CROSS JOIN sessions ON sessions.number = session
     WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR sessions.id = ?2)
     GROUP BY hits.message ORDER BY place, holders.sequence`,
    [...scope],
  );
  const ranges: { readonly session: number; readonly from: number; to: number }[] = [];
  for (const [session, sequence] of placed) {
    const from = Number(sequence) - reach;
    const last = ranges.at(-1);
    if (last?.session === Number(session) && from <= last.to + 1) last.to = Number(sequence) + reach;
    else ranges.push({ session: Number(session), from, to: Number(sequence) + reach });
  }
  const found: SqlValue[][] = [];
  const statement = database.prepare(
    `SELECT messages.number, messages.id, sessions.id, holders.sequence, role, speaker, created_at
     FROM holders JOIN messages ON messages.number = holders.message JOIN sessions ON sessions.number = holders.session
     WHERE holders.session = ?1 AND holders.sequence BETWEEN ?2 AND ?3
     ORDER BY holders.sequence, messages.number`,
  );
  try {
    for (const { session, from, to } of ranges) {
      statement.bind([session, from, to]);
      while (statement.step()) found.push(statement.get());
    }
  } finally {
    statement.free();
  }
  return found;
}

function lookAt(database: Database, numbers: readonly number[]): void {
  inTransaction(database, () => {
    const statement = database.prepare('INSERT OR IGNORE INTO temp.hits VALUES (?)');
    try {
      for (const number of numbers) statement.run([number]);
    } finally {
      statement.free();
    }
  });
}

type Rows = (sql: string, values?: SqlValue[]) => SqlValue[][];

const expressionOf = (words: readonly Word[]): string => words.flatMap(({ forms }) => forms).join(' OR ');

/**
 * Of too many matches: those of the rarest words, as many as have `most` together. Where the rarest alone has more, first those
 * that have another word of the query beside it, then both ends: what has left a prompt is the oldest.
 */
function chosenOf(
  words: readonly Word[],
  most: number,
  matching: (expression: string, order: 'ASC' | 'DESC', most: number) => number[],
): number[] {
  const sorted = [...words].sort((a, b) => a.messages - b.messages);
  let matches = 0;
  const chosen = sorted.filter(({ messages }, at) => {
    matches += messages;
    return at === 0 || matches <= most;
  });
  const found = new Set<number>();
  const half = most / 2;
  const [rarest, ...others] = sorted;
  if (rarest && rarest.messages > most) {
    for (const other of others) {
      const both = `(${expressionOf([rarest])}) AND (${expressionOf([other])})`;
      for (const number of matching(both, 'DESC', half - found.size)) found.add(number);
    }
  }
  const left = Math.floor((most - found.size) / 2);
  for (const order of ['DESC', 'ASC'] as const)
    for (const number of matching(expressionOf(chosen), order, left)) found.add(number);
  return [...found];
}

interface Weighed {
  readonly counted: ReadonlyMap<number, { readonly counts: readonly number[] }>;
  readonly words: readonly Word[];
  readonly rowsOfAll: number;
  /** Matches by their day. */
  readonly dated: ReadonlySet<number>;
}

/** The matches whose own words say most, so many of them: the rarer a word, the more it says. */
function bestOf(matches: readonly number[], { counted, words, rowsOfAll, dated }: Weighed, most: number): number[] {
  const rarity = (having: number): number => Math.log(1 + (rowsOfAll + 0.5) / (having + 0.5));
  const rarities = words.map(({ messages }) => rarity(messages));
  const scored = matches.map((number): [number, number] => {
    const { counts = [] } = counted.get(number) ?? {};
    const own = rarities.reduce((sum, each, at) => sum + each * (1 - 1 / (1 + (counts[at] ?? 0))), 0);
    return [number, own + (dated.has(number) ? rarity(dated.size) : 0)];
  });
  return scored
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([number]) => number);
}

/** How often each word occurs in the messages in `hits`; without those that have none. */
function countsOf(rows: Rows, words: readonly Word[]): Map<number, { counts: number[]; length: number }> {
  if (words.length === 0) return new Map();
  const found = rows(
    `SELECT docid, matchinfo(words, 'pcnalx') FROM words WHERE words MATCH ?1 AND docid IN (SELECT message FROM temp.hits)`,
    [expressionOf(words)],
  );
  return new Map(
    found.map(([number, info]) => {
      const at = reader(info as Uint8Array);
      let phrase = 0;
      const counts = words.map(({ forms }) => {
        let count = 0;
        for (const _ of forms) count += at(5 + phrase++ * 3);
        return count;
      });
      return [Number(number), { counts, length: at(4) }];
    }),
  );
}

/** Words with the forms to look up, and how many messages of the whole index have them. Those that no message has are left out. */
function measured(
  rows: Rows,
  texts: readonly string[],
): { readonly words: Word[]; readonly rowsOfAll: number; readonly averageLength: number } {
  const words = texts.map((text) => ({ text, forms: formsOf(rows, text), messages: 0 }));
  const expression = expressionOf(words);
  const [info] =
    words.length === 0
      ? []
      : rows(`SELECT matchinfo(words, 'pcnalx') FROM words WHERE words MATCH ?1 LIMIT 1`, [expression]);
  if (!info) return { words: [], rowsOfAll: 0, averageLength: 0 };
  const at = reader(info[0] as Uint8Array);
  let phrase = 0;
  const known = words.map((word) => {
    let messages = 0;
    for (const _ of word.forms) messages += at(5 + phrase++ * 3 + 2);
    return { ...word, messages };
  });
  return { words: known.filter(({ messages }) => messages > 0), rowsOfAll: at(2), averageLength: at(3) };
}

/** A word with any ending of its stem, as Porter's algorithm finds it; only that of English. */
function formsOf(rows: Rows, word: string): string[] {
  if (!/^[a-z]+$/.test(word)) return [`"${word}"`];
  const stem = String(rows('SELECT token FROM temp.porter WHERE input = ?1', [word])[0]?.[0] ?? word);
  let shared = 0;
  while (shared < stem.length && stem[shared] === word[shared]) shared++;
  const prefix = word.slice(0, shared);
  if (prefix.length >= shortestPrefix) return [`${prefix}*`];
  return [...new Set([word, stem, `${stem}s`])].map((form) => `"${form}"`);
}

/** Numbers of `matchinfo` are in the machine's order, which is little-endian in WebAssembly. */
function reader(matchinfo: Uint8Array): (index: number) => number {
  const view = new DataView(matchinfo.buffer, matchinfo.byteOffset, matchinfo.byteLength);
  return (index) => view.getUint32(index * 4, true);
}
