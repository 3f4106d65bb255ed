import type { AnswerBatch, AnswerLog } from '../ports/answerLog.ts';

/** A batch goes to the log when its oldest chunk is this old, or it has this much text. */
export const batchMs = 500;
const batchBytes = 2048;

type Chunk = AnswerBatch['chunks'][number];
export type BatchHead = Pick<AnswerBatch, 'session' | 'answer' | 'begun' | 'prompt'>;

/**
 * Brings an answer's chunks to the log in batches, beside the stream: nothing here delays a piece, and a log that cannot be written costs no
 * answer.
 */
export class AnswerBatches {
  readonly #log: AnswerLog;
  /** What the next batch says besides its chunks. */
  readonly #head: () => BatchHead;
  #chunks: Chunk[] = [];
  #ids: number[] = [];
  #bytes = 0;
  /** Sequence of the first of the waiting chunks. */
  #from = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: unknown = null;
  #wrote = false;

  constructor(log: AnswerLog, head: () => BatchHead) {
    this.#log = log;
    this.#head = head;
  }

  /** Whether the log has a part of the answer, or may have one. */
  get hasWritten(): boolean {
    return this.#wrote;
  }

  /** Why a batch is not in the log; null where none is missing. */
  get failure(): unknown {
    return this.#failure;
  }

  add(chunks: readonly Chunk[], ids: readonly number[]): void {
    this.#chunks.push(...chunks);
    this.#ids.push(...ids);
    for (const { text } of chunks) this.#bytes += Buffer.byteLength(text);
    if (this.#bytes >= batchBytes) this.#write();
    else if (this.#chunks.length > 0) this.#timer ??= setTimeout(() => this.#write(), batchMs);
  }

  /** Nothing more is written: the answer is stored elsewhere, or given up. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch: AnswerBatch = { ...this.#head(), from: this.#from, chunks: this.#chunks, ids: this.#ids };
    this.#from += this.#chunks.length;
    this.#chunks = [];
    this.#ids = [];
    this.#bytes = 0;
    this.#wrote = true;
    this.#log.append(batch).catch((error: unknown) => (this.#failure ??= error));
  }
}
