import type { Database, SqlValue } from 'sql.js';
import type { MessageVectors, NearMessage, NearQuery, UnembeddedMessage } from '../../core/ports/search.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { MessageRole } from '../../protocol/schemas/session.ts';
import { inTransaction } from './sqlJs.ts';

/** Vectors that are compared with a question; of more, the latest. A vector of 384 numbers takes a microsecond. */
const mostCompared = 20_000;
/** A number of a vector has a byte: the order of similarities stays, in a quarter of the room. */
const mostOfByte = 127;

/** A message of white space alone has no vectors, and needs none. */
export function unembeddedIn(
  database: Database,
  session: SessionId,
  model: string,
  limit: number,
): UnembeddedMessage[] {
  return rowsOf(
    database,
    `SELECT messages.id, text FROM holders JOIN sessions ON sessions.number = session JOIN messages ON messages.number = message
     WHERE sessions.id = ?1 AND trim(text) <> ''
       AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.message = holders.message AND model = ?2)
     ORDER BY holders.sequence LIMIT ?3`,
    [session, model, limit],
  ).map(([id, text]) => ({ message: String(id) as MessageId, text: String(text) }));
}

export function keepVectorsIn(database: Database, model: string, all: readonly MessageVectors[]): void {
  inTransaction(database, () => {
    // A message that is gone by now has none.
    const statement = database.prepare(
      'INSERT OR REPLACE INTO vectors (message, model, part, vector) SELECT number, ?2, ?3, ?4 FROM messages WHERE id = ?1',
    );
    try {
      for (const { message, vectors } of all)
        for (const [part, vector] of vectors.entries()) statement.run([message, model, part, bytesOf(vector)]);
    } finally {
      statement.free();
    }
  });
}

export function nearIn(database: Database, { model, vector, project, session, limit }: NearQuery): NearMessage[] {
  const wanted = bytesOf(vector);
  const statement = database.prepare(
    `SELECT message, vector FROM vectors
     WHERE model = ?1 AND (?2 IS NULL AND ?3 IS NULL OR EXISTS (
       SELECT 1 FROM holders JOIN sessions ON sessions.number = session
       WHERE holders.message = vectors.message AND (?2 IS NULL OR project = ?2) AND (?3 IS NULL OR sessions.id = ?3)))
     ORDER BY message DESC LIMIT ${mostCompared}`,
  );
  const best = new Map<number, number>();
  try {
    statement.bind([model, project ?? null, session ?? null]);
    while (statement.step()) {
      const [message, bytes] = statement.get();
      const similarity = cosine(wanted, bytes as Uint8Array);
      if (similarity > (best.get(Number(message)) ?? -Infinity)) best.set(Number(message), similarity);
    }
  } finally {
    statement.free();
  }
  const nearest = [...best].sort(([, a], [, b]) => b - a).slice(0, limit);
  return nearest.flatMap(([number, similarity]) => {
    const [row] = rowsOf(
      database,
      `SELECT messages.id, sessions.id, holders.sequence, role, speaker, created_at
       FROM messages JOIN holders ON holders.message = messages.number JOIN sessions ON sessions.number = session
       WHERE messages.number = ?1 AND (?2 IS NULL OR project = ?2) AND (?3 IS NULL OR sessions.id = ?3) ORDER BY session LIMIT 1`,
      [number, project ?? null, session ?? null],
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

/** The direction of a vector; its length means nothing. */
function bytesOf(vector: readonly number[]): Uint8Array {
  const longest = vector.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  const scale = longest > 0 ? mostOfByte / longest : 0;
  return new Uint8Array(Int8Array.from(vector, (each) => Math.round(each * scale)).buffer);
}

/** Vectors of another length are no nearer than any other text. */
function cosine(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return 0;
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
