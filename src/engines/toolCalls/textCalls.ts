import type { AnswerPiece } from '../../core/ports/engine.ts';
import type { ToolCall } from '../../protocol/schemas/toolCall.ts';
import { bareForm, callForms, looksBare, type CallForm, type WrittenCall } from './callForms.ts';
import { HarmonyMessages, looksHarmony, startedLength } from './harmony.ts';

/** The part of an answer that is certain. A field that is left out holds nothing. */
export type CertainPiece = Pick<AnswerPiece, 'text' | 'reasoning' | 'toolCall'>;

/** Texts of the tokens that open, divide or close calls; a server that hides such tokens must show these. */
export const callMarks: readonly string[] =
  '<tool_call> </tool_call> <|python_tag|> [TOOL_CALLS] [ARGS] [CALL_ID] <|tool_call> <tool_call|> <|"|> <start_function_call> <end_function_call> <escape> <|start|> <|channel|> <|constrain|> <|message|> <|end|> <|call|> <|return|>'.split(
    ' ',
  );

/**
 * Tells tool calls from the answer in text that comes piece by piece, where the server leaves them in it, for five families: Qwen and
 * Hermes, Llama 3, Mistral, Gemma, and gpt-oss. Several calls in one answer are told apart, each as soon as it is complete.
 */
export class TextCalls {
  readonly #offered: ReadonlySet<string>;
  readonly #calls: WrittenCall[] = [];
  #text = '';
  /** Up to here the text is answered for. */
  #at = 0;
  #told = '';
  #reasoning = '';
  /** Whether the whole answer may be calls without an opener; null while that is not known. */
  #isBare: boolean | null = null;
  #isBehindCall = false;
  /** Whether it is in the format of gpt-oss; null while that is not known. */
  #isHarmony: boolean | null = null;
  readonly #harmony = new HarmonyMessages();

  /** @param offered names of the tools: JSON of another name, without a mark before it, is an answer. */
  constructor(offered: Iterable<string>) {
    this.#offered = new Set(offered);
  }

  push(piece: string): CertainPiece {
    this.#text += piece;
    return this.#advance(false);
  }

  /** When nothing follows. What opens like a call and is none stays in the text. */
  end(): CertainPiece {
    return this.#advance(true);
  }

  /** All that was called. Their ids are empty: the turn that stores them names them. */
  get calls(): readonly ToolCall[] {
    return this.#calls.map((call) => ({ id: '', ...call }));
  }

  /** The text of the answer. */
  get told(): string {
    return this.#told;
  }

  get reasoning(): string {
    return this.#reasoning;
  }

  #advance(isEnd: boolean): CertainPiece {
    this.#isHarmony ??= looksHarmony(this.#text) ?? (isEnd ? false : null);
    if (this.#isHarmony === null) return { text: '' };
    const piece = this.#isHarmony ? this.#fromHarmony(isEnd) : this.#fromForms(isEnd);
    this.#told += piece.text ?? '';
    this.#reasoning += piece.reasoning ?? '';
    return piece;
  }

  #fromHarmony(isEnd: boolean): CertainPiece {
    const { text, reasoning, calls } = this.#harmony.push(this.#text.slice(this.#at), isEnd);
    this.#at = this.#text.length;
    return { text, reasoning, toolCall: this.#shown(calls) };
  }

  #fromForms(isEnd: boolean): CertainPiece {
    let text = '';
    let toolCall = '';
    for (;;) {
      if (this.#isBehindCall && !this.#skipGap(isEnd)) return { text, toolCall };
      const form = this.#opened(isEnd);
      if (form === 'unknown') return { text, toolCall };
      if (!form) {
        text += this.#tell(isEnd ? (this.#nextOpener() ?? this.#text.length) : this.#certain());
        if (this.#at === this.#nextOpener()) continue;
        return { text, toolCall };
      }
      const { opener } = form;
      const taken = form.take(this.#text.slice(this.#at + opener.length), isEnd);
      if (taken === 'more') return { text, toolCall };
      if (taken === null || (opener === '' && !taken.calls.every(({ name }) => this.#offered.has(name)))) {
        // No call: the text goes on behind what looked like one.
        text += this.#tell(this.#at + opener.length);
        if (opener === '') this.#isBare = false;
        continue;
      }
      this.#at += opener.length + taken.length;
      toolCall += this.#shown(taken.calls);
      this.#isBehindCall = true;
    }
  }

  /** Leaves out what models write between calls: white space and semicolons. @returns false while more of it may come. */
  #skipGap(isEnd: boolean): boolean {
    const rest = this.#text.slice(this.#at);
    const next = rest.search(/[^\s;,]/);
    if (next < 0 && !isEnd) return false;
    if (next < 0 || '<[{`'.includes(rest[next] ?? '')) this.#at += next < 0 ? rest.length : next;
    this.#isBehindCall = false;
    return true;
  }

  /** The form of the call that begins at the place that is read; null: there, the answer has text. */
  #opened(isEnd: boolean): CallForm | 'unknown' | null {
    const rest = this.#text.slice(this.#at);
    const found = callForms.find(({ opener }) => rest.startsWith(opener));
    if (found) return found;
    this.#isBare ??= looksBare(this.#text) ?? (isEnd ? false : null);
    if (this.#isBare === null) return 'unknown';
    if (!this.#isBare || this.#told !== '') return null;
    const looks = looksBare(rest);
    return looks === null && !isEnd ? 'unknown' : looks ? bareForm : null;
  }

  #tell(until: number): string {
    const told = this.#text.slice(this.#at, until);
    this.#at = Math.max(this.#at, until);
    return told;
  }

  #nextOpener(): number | null {
    const found = callForms.map(({ opener }) => this.#text.indexOf(opener, this.#at)).filter((at) => at >= 0);
    return found.length === 0 ? null : Math.min(...found);
  }

  /** Up to where the text is no call, whatever comes. */
  #certain(): number {
    const started = callForms.map(({ opener }) => startedLength(this.#text.slice(this.#at), opener));
    return this.#nextOpener() ?? this.#text.length - Math.max(...started);
  }

  /** @returns what to show of them: names, and behind each its arguments. */
  #shown(calls: readonly WrittenCall[]): string {
    let shown = '';
    for (const { name, arguments: given } of calls) {
      shown += `${this.#calls.length > 0 ? '\n' : ''}${name} ${given}`;
      this.#calls.push({ name, arguments: given });
    }
    return shown;
  }
}
