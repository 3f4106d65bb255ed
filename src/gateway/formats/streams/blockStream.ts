import { endedEarly, saidNothing, type AnswerError } from '../answerError.ts';
import { ChatAnswer } from '../chat/chatAnswer.ts';
import { chatDelta } from '../chat/chatDelta.ts';
import type { StreamEvent } from './eventSplitter.ts';
import type { AnswerStream, StreamOptions } from '../format.ts';
import type { Answer } from '../item.ts';

/** What the parts of an answer are. */
export type BlockKind = 'reasoning' | 'text' | 'call';

export interface CallHead {
  /** As the model server numbers it. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
}

/** A streamed chat for formats whose answers are blocks, one behind the other: each begins, grows and ends by events of its own. */
export abstract class BlockStream implements AnswerStream {
  protected readonly options: StreamOptions;
  readonly #answer = new ChatAnswer();
  #open: BlockKind | null = null;
  #call = -1;
  #hasBegun = false;
  #hasEnded = false;

  constructor(options: StreamOptions) {
    this.options = options;
  }

  get answer(): Answer {
    return this.#answer.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    if (data === null) return raw;
    if (this.#hasEnded) return null;
    this.#answer.event(data);
    const { error } = this.#answer;
    if (error) return this.fail(error);
    if (data === '[DONE]') return this.#hasBegun ? this.#end() : this.fail(saidNothing);
    const delta = chatDelta(data);
    if (!delta) return null;
    let sent = this.#begin();
    if (delta.reasoning !== '') sent += this.#enter('reasoning') + this.added('reasoning', delta.reasoning);
    if (delta.text !== '') sent += this.#enter('text') + this.added('text', delta.text);
    for (const { arguments: given, ...call } of delta.calls) {
      if (call.index !== this.#call) {
        this.#call = call.index;
        sent += this.#leave(true) + this.#enter('call', { ...call, id: call.id || `call_${call.index}` });
      }
      if (given !== '') sent += this.added('call', given);
    }
    return sent === '' ? null : sent;
  }

  end(): string {
    return this.answer.isWhole ? this.#end() : this.fail(endedEarly);
  }

  fail(error: AnswerError): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    return this.#begin() + this.#leave(false) + this.failed(error);
  }

  #begin(): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    return this.begun();
  }

  #enter(kind: BlockKind, call?: CallHead): string {
    if (this.#open === kind && !call) return '';
    const left = this.#leave(true);
    this.#open = kind;
    return left + this.opened(kind, call);
  }

  #leave(isWhole: boolean): string {
    const kind = this.#open;
    this.#open = null;
    return kind === null ? '' : this.closed(kind, isWhole);
  }

  #end(): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    return this.#begin() + this.#leave(true) + this.ended(this.answer);
  }

  protected abstract begun(): string;
  /** @param call of a block that is one. */
  protected abstract opened(kind: BlockKind, call?: CallHead): string;
  protected abstract added(kind: BlockKind, text: string): string;
  protected abstract closed(kind: BlockKind, isWhole: boolean): string;
  protected abstract ended(answer: Answer): string;
  protected abstract failed(error: AnswerError): string;
}
