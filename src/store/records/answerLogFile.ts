import * as z from 'zod/mini';
import { SerialQueue } from '../../base/serialQueue.ts';
import { decodeTokenIds, encodeTokenIds } from '../../base/tokenIds.ts';
import type { AnswerBatch, AnswerLog, LeftAnswer } from '../../core/ports/answerLog.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { answerParts } from '../../protocol/schemas/answerChunk.ts';
import { messageIdSchema, sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { messageSchema } from '../../protocol/schemas/session.ts';
import { hasCode } from '../disk/files.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

/** Token ids are in base64, as in the token log. */
const lineSchema = z.object({
  session: sessionIdSchema,
  answer: messageIdSchema,
  from: z.number(),
  chunks: z.array(z.object({ part: z.enum(answerParts), text: z.string() })),
  ids: z.string(),
  begun: z.optional(
    z.object({
      session: sessionIdSchema,
      version: z.number(),
      question: z.nullable(messageSchema),
      answer: messageSchema,
      given: z.number(),
    }),
  ),
  prompt: z.optional(z.object({ shared: z.number(), ids: z.string() })),
});
type Line = z.infer<typeof lineSchema>;

/** A log that is smaller is not rewritten while answers come. */
const worthRewritingBytes = 4 * 1024 * 1024;

/**
 * One append-only file for the answers of all sessions. While one write is on its way to the disk, the batches that come wait together for
 * the next one: one fsync for all of them. The file goes when no answer is under way.
 */
export class AnswerLogFile implements AnswerLog {
  readonly #parts: StoreDisk;
  readonly #queue = new SerialQueue();
  /** Sessions with batches in the file. */
  readonly #open = new Set<SessionId>();
  #waiting: Line[] = [];
  /** Writes what waits, once its turn has come. */
  #next: Promise<void> | null = null;
  #writtenBytes = 0;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  append(batch: AnswerBatch): Promise<void> {
    this.#waiting.push(lineOf(batch));
    this.#open.add(batch.session);
    this.#next ??= this.#queue.run(async () => {
      this.#next = null;
      const lines = this.#waiting;
      this.#waiting = [];
      for (const { ids, chunks } of lines)
        for (const { text } of chunks) this.#writtenBytes += text.length + ids.length;
      await this.#parts.lines.append(this.#parts.layout.answers, lines);
    });
    return this.#next;
  }

  left(session: SessionId): Promise<LeftAnswer | null> {
    return this.#queue.run(async () => {
      const answer = answerOf((await this.#lines()).filter((line) => line.session === session));
      // Until the caller has stored it.
      if (answer) this.#open.add(session);
      return answer;
    });
  }

  /** Never rejects: a batch that stays is of an older version of its session, and nobody takes it for more. */
  ended(session: SessionId): Promise<void> {
    return this.#queue.run(async () => {
      this.#open.delete(session);
      try {
        if (this.#open.size === 0) await this.#remove();
        else if (this.#writtenBytes > worthRewritingBytes) await this.#shorten();
      } catch {
        this.#parts.quarantine.note(
          this.#parts.layout.answers,
          'Answers that are stored could not be removed from it.',
        );
      }
    });
  }

  async #remove(): Promise<void> {
    const { files, layout, lines } = this.#parts;
    lines.forget(layout.answers);
    try {
      await files.remove(layout.answers);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    this.#writtenBytes = 0;
  }

  async #shorten(): Promise<void> {
    const { layout, lines } = this.#parts;
    const kept = (await this.#lines()).filter(({ session }) => this.#open.has(session));
    await lines.replace(layout.answers, kept);
    this.#writtenBytes = 0;
  }

  async #lines(): Promise<readonly Line[]> {
    return (await this.#parts.lines.load(this.#parts.layout.answers, lineSchema)).values;
  }
}

const lineOf = ({ ids, prompt, ...batch }: AnswerBatch): Line => ({
  ...batch,
  chunks: [...batch.chunks],
  ids: inBase64(ids),
  ...(prompt && { prompt: { shared: prompt.shared, ids: inBase64(prompt.ids) } }),
});

/** The last answer that the lines begin, up to the first gap: a damaged line costs what comes after it, too. */
function answerOf(lines: readonly Line[]): LeftAnswer | null {
  const start = lines.findLastIndex(({ begun }) => begun !== undefined);
  const begun = lines[start]?.begun;
  if (!begun) return null;
  const chunks: Line['chunks'] = [];
  const ids: number[] = [];
  let prompt: LeftAnswer['prompt'] = null;
  for (const line of lines.slice(start)) {
    if (line.answer !== begun.answer.id || line.from !== chunks.length + 1) break;
    chunks.push(...line.chunks);
    ids.push(...fromBase64(line.ids));
    if (line.prompt) prompt = { shared: line.prompt.shared, ids: fromBase64(line.prompt.ids) };
  }
  return { ...begun, prompt, chunks, ids };
}

function inBase64(ids: readonly number[]): string {
  const bytes = encodeTokenIds(ids);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const fromBase64 = (text: string): number[] => decodeTokenIds(Buffer.from(text, 'base64'));
