import type { TokenList } from '../../base/tokenIds.ts';
import { answerParts, type AnswerPart } from '../../protocol/schemas/answerChunk.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { AnswerLog, BegunAnswer } from '../ports/answerLog.ts';
import type { AnswerPiece } from '../ports/engine.ts';
import { AnswerBatches, type BatchHead } from './answerBatches.ts';

export interface NumberedChunk {
  /** 1-based, without gaps. */
  readonly sequence: number;
  readonly part: AnswerPart;
  readonly text: string;
}

/** An answer while it comes: its chunks, for clients that pull them, for the log, and for the store when it is cut. */
export class AnswerUnderWay {
  readonly begun: BegunAnswer;
  readonly #batches: AnswerBatches;
  readonly #chunks: NumberedChunk[] = [];
  /** The ids that the engine saw before. */
  readonly #before: TokenList | null;
  #promptIds: readonly number[] | null = null;
  #isBegunTold = false;
  #isPromptTold = false;
  readonly #outputIds: number[] = [];
  /** Ids whose text has not come yet: it may be the beginning of a character. */
  #heldIds: number[] = [];
  #givesIds = true;

  /**
   * @param before ids that the session's record names; null: none.
   * @param continued what an earlier answer said, which this one continues. Default: nothing.
   */
  constructor(
    log: AnswerLog,
    begun: Omit<BegunAnswer, 'given'>,
    before: TokenList | null,
    { text, reasoning = '' }: { readonly text: string; readonly reasoning?: string | undefined } = { text: '' },
  ) {
    this.begun = { ...begun, given: [reasoning, text].filter((said) => said !== '').length };
    this.#before = before;
    this.#batches = new AnswerBatches(log, () => this.#head());
    this.#add({ reasoning, text }, []);
  }

  /** @returns the chunks that the piece makes. */
  take({ text = '', reasoning = '', toolCall = '', ids = [], promptIds }: AnswerPiece): readonly NumberedChunk[] {
    // Until something is said, the engine may take another form of the prompt.
    if (promptIds && promptIds.length > 0 && !this.hasContent) {
      this.#promptIds = promptIds;
      // Of an earlier try that said nothing that a person can read.
      this.#heldIds = [];
    }
    this.#heldIds.push(...ids);
    if (text === '' && reasoning === '' && toolCall === '') return [];
    // An id is missing where text comes without any.
    this.#givesIds &&= this.#heldIds.length > 0;
    const told = this.#heldIds;
    this.#heldIds = [];
    this.#outputIds.push(...told);
    return this.#add({ reasoning, text, tool: toolCall }, told);
  }

  /** The chunks after this one. */
  after(sequence: number): readonly NumberedChunk[] {
    return this.#chunks.slice(Math.max(0, sequence));
  }

  get last(): number {
    return this.#chunks.length;
  }

  /** Whether the engine said anything. */
  get hasContent(): boolean {
    return this.#chunks.length > this.begun.given;
  }

  /** What it says so far. */
  get message(): Message {
    return withSaid(this.begun.answer, this.#chunks);
  }

  /** The token ids of prompt and answer so far; null where the engine does not tell them all. */
  get ids(): { readonly prompt: readonly number[]; readonly output: readonly number[] } | null {
    const prompt = this.#promptIds;
    return prompt && this.#givesIds ? { prompt, output: this.#outputIds } : null;
  }

  get isLogged(): boolean {
    return this.#batches.hasWritten;
  }

  /** Why the log lacks a part of it; null where it lacks none. */
  get logFailure(): unknown {
    return this.#batches.failure;
  }

  /** Nothing more comes. */
  close(): void {
    this.#batches.close();
  }

  #head(): BatchHead {
    const { session, answer } = this.begun;
    const begun = this.#isBegunTold ? {} : { begun: this.begun };
    this.#isBegunTold = true;
    const promptIds = this.#isPromptTold ? null : this.#promptIds;
    if (!promptIds) return { session, answer: answer.id, ...begun };
    this.#isPromptTold = true;
    const shared = this.#before?.sharedWith(promptIds) ?? 0;
    return { session, answer: answer.id, ...begun, prompt: { shared, ids: promptIds.slice(shared) } };
  }

  #add(said: Readonly<Partial<Record<AnswerPart, string>>>, ids: readonly number[]): readonly NumberedChunk[] {
    const added: NumberedChunk[] = [];
    for (const part of answerParts) {
      const text = said[part] ?? '';
      if (text !== '') added.push({ sequence: this.#chunks.length + added.length + 1, part, text });
    }
    this.#chunks.push(...added);
    this.#batches.add(
      added.map(({ part, text }) => ({ part, text })),
      ids,
    );
    return added;
  }
}

/** The answer with what its chunks say. Half a tool call is nothing that could be run. */
export function withSaid(
  answer: Message,
  chunks: readonly { readonly part: AnswerPart; readonly text: string }[],
): Message {
  const of = (wanted: AnswerPart): string =>
    chunks
      .filter(({ part }) => part === wanted)
      .map(({ text }) => text)
      .join('')
      .toWellFormed();
  const reasoning = of('reasoning').trim();
  const type = answer.content.type === 'plan' ? 'plan' : 'text';
  return { ...answer, content: { type, text: of('text'), ...(reasoning !== '' && { reasoning }) } };
}
