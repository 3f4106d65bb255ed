import type { Database, SqlValue } from 'sql.js';
import {
  sameModel,
  type MessageVectors,
  type NearMessage,
  type NearQuery,
  type UnembeddedMessage,
  type VectorCounts,
  type VectorModel,
} from '../../core/ports/search.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { MessageRole } from '../../protocol/schemas/session.ts';
import { inTransaction } from './sqlJs.ts';

/** A message that was embedded has rows here: one for each part, or one without a vector where the model took nothing of it. */
export const vectorsSchema = `
  CREATE TABLE models (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    used INTEGER NOT NULL
  );
  CREATE TABLE vectors (
    message INTEGER NOT NULL,
    model INTEGER NOT NULL,
    part INTEGER NOT NULL,
    vector BLOB,
    PRIMARY KEY (message, model, part)
  ) WITHOUT ROWID;
`;

/** Vectors that are compared with a question; of more, the latest. A vector of 384 numbers takes a microsecond. */
const mostCompared = 20_000;
/** A number of a vector has a byte: the order of similarities stays, in a quarter of the room. */
const mostOfByte = 127;
/** Vectors of these many models are kept; those of the model that was used longest ago go. */
const mostModels = 4;

/** What JavaScript trims, too: SQLite takes spaces alone for blank. */
const blanks = Array.from({ length: 0x1_0000 }, (_, code) => code).filter(
  (code) => String.fromCharCode(code).trim() === '',
);
/** A blank message needs no vectors. */
const hasText = `trim(text, char(${blanks.join(', ')})) <> ''`;
/** The messages of a session, named by `?1`. */
const ofSession = `holders JOIN sessions ON sessions.number = session JOIN messages ON messages.number = message
  WHERE sessions.id = ?1 AND ${hasText}`;

export function unembeddedIn(
  database: Database,
  session: SessionId,
  model: VectorModel,
  limit: number,
): UnembeddedMessage[] {
  return rowsOf(
    database,
    `SELECT messages.id, text FROM ${ofSession}
       AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.message = holders.message AND model = ?2)
     ORDER BY holders.sequence LIMIT ?3`,
    [session, numberOf(database, model), limit],
  ).map(([id, text]) => ({ message: String(id) as MessageId, text: String(text) }));
}

export function vectorCountsIn(database: Database, session: SessionId, model: VectorModel): VectorCounts {
  const [messages, embedded] = rowsOf(
    database,
    `SELECT count(iif(kept IS 0, NULL, 1)), count(iif(kept, 1, NULL)) FROM (SELECT (
       SELECT max(vector IS NOT NULL) FROM vectors WHERE vectors.message = holders.message AND model = ?2) AS kept
     FROM ${ofSession})`,
    [session, numberOf(database, model)],
  )[0]!;
  return { messages: Number(messages), embedded: Number(embedded) };
}

export function keepVectorsIn(database: Database, model: VectorModel, all: readonly MessageVectors[]): void {
  inTransaction(database, () => {
    const number = numberOf(database, model) ?? addModel(database, model);
    noteUse(database, number);
    // A message that is gone by now has none.
    const statement = database.prepare(
      'INSERT OR REPLACE INTO vectors (message, model, part, vector) SELECT number, ?2, ?3, ?4 FROM messages WHERE id = ?1',
    );
    try {
      for (const { message, vectors } of all) {
        if (vectors.length === 0) statement.run([message, number, 0, null]);
        for (const [part, vector] of vectors.entries()) statement.run([message, number, part, bytesOf(vector)]);
      }
    } finally {
      statement.free();
    }
  });
}

export function nearIn(
  database: Database,
  { model, vector, leastSimilarity, project, session, limit }: NearQuery,
): NearMessage[] {
  const number = numberOf(database, model);
  if (number === null) return [];
  noteUse(database, number);
  const wanted = bytesOf(vector);
  const statement = database.prepare(
    `SELECT message, vector FROM vectors
     WHERE model = ?1 AND vector IS NOT NULL AND (?2 IS NULL AND ?3 IS NULL OR EXISTS (
       SELECT 1 FROM holders JOIN sessions ON sessions.number = session
       WHERE holders.message = vectors.message AND (?2 IS NULL OR project = ?2) AND (?3 IS NULL OR sessions.id = ?3)))
     ORDER BY message DESC LIMIT ${mostCompared}`,
  );
  const best = new Map<number, number>();
  try {
    statement.bind([number, project ?? null, session ?? null]);
    while (statement.step()) {
      const [message, bytes] = statement.get();
      const similarity = cosine(wanted, bytes as Uint8Array);
      if (similarity < leastSimilarity) continue;
      if (similarity > (best.get(Number(message)) ?? -Infinity)) best.set(Number(message), similarity);
    }
  } finally {
    statement.free();
  }
  const nearest = [...best].sort(([, a], [, b]) => b - a).slice(0, limit);
  return nearest.flatMap(([message, similarity]) => {
    const [row] = rowsOf(
      database,
      `SELECT messages.id, sessions.id, holders.sequence, role, speaker, created_at
       FROM messages JOIN holders ON holders.message = messages.number JOIN sessions ON sessions.number = session
       WHERE messages.number = ?1 AND (?2 IS NULL OR project = ?2) AND (?3 IS NULL OR sessions.id = ?3) ORDER BY session LIMIT 1`,
      [message, project ?? null, session ?? null],
    );
    if (!row) return [];
    const [id, holder, sequence, role, speaker, createdAt] = row;
    return [
      {
        message: String(id) as MessageId,
        session: String(holder) as SessionId,
        sequence: Number(sequence),
        role: String(role) as MessageRole,
        speaker: speaker === null ? null : String(speaker),
        createdAt: String(createdAt),
        similarity,
      },
    ];
  });
}

/** Null: nothing was embedded with this model. */
function numberOf(database: Database, { fingerprint }: VectorModel): number | null {
  const wanted = bytesOf(fingerprint);
  const known = rowsOf(database, 'SELECT number, fingerprint FROM models', []).find(
    ([, bytes]) => cosine(wanted, bytes as Uint8Array) >= sameModel,
  );
  return known ? Number(known[0]) : null;
}

function addModel(database: Database, { name, fingerprint }: VectorModel): number {
  database.run(
    'INSERT INTO models (name, fingerprint, used) VALUES (?, ?, (SELECT coalesce(max(used), 0) + 1 FROM models))',
    [name, bytesOf(fingerprint)],
  );
  const numbers = rowsOf(database, 'SELECT number FROM models ORDER BY used DESC', []).map(([number]) => number!);
  for (const old of numbers.slice(mostModels)) {
    database.run('DELETE FROM vectors WHERE model = ?', [old]);
    database.run('DELETE FROM models WHERE number = ?', [old]);
  }
  return Number(numbers[0]);
}

/** The next save of the image has it; none is made for it. */
const noteUse = (database: Database, number: number): unknown =>
  database.run(
    `UPDATE models SET used = (SELECT max(used) + 1 FROM models)
     WHERE number = ? AND used < (SELECT max(used) FROM models)`,
    [number],
  );

/** The direction of a vector; its length means nothing. */
function bytesOf(vector: readonly number[]): Uint8Array {
  const longest = vector.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  const scale = longest > 0 ? mostOfByte / longest : 0;
  return new Uint8Array(Int8Array.from(vector, (each) => Math.round(each * scale)).buffer);
}

/** Vectors of another length are of another model. */
function cosine(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return -1;
  const [a, b] = [signed(one), signed(other)];
  let [product, ofA, ofB] = [0, 0, 0];
  for (let at = 0; at < a.length; at++) {
    product += a[at]! * b[at]!;
    ofA += a[at]! * a[at]!;
    ofB += b[at]! * b[at]!;
  }
  return ofA === 0 || ofB === 0 ? 0 : product / Math.sqrt(ofA * ofB);
}

const signed = ({ buffer, byteOffset, length }: Uint8Array): Int8Array => new Int8Array(buffer, byteOffset, length);

const rowsOf = (database: Database, sql: string, values: SqlValue[]): SqlValue[][] =>
  database.exec(sql, values)[0]?.values ?? [];
