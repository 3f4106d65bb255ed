import type { WrittenCall } from './callForms.ts';

/** How an answer in the format of gpt-oss begins, behind a prompt that ends with `<|start|>assistant`. */
const starts = ['<|channel|>', '<|start|>', ' to=functions.', 'to=functions.'] as const;
const bodyMark = '<|message|>';
const ends = ['<|end|>', '<|call|>', '<|return|>', '<|start|>', '<|channel|>'] as const;

/** Whether a text is in the format; null while too little of it is there. */
export function looksHarmony(text: string): boolean | null {
  if (starts.some((start) => text.startsWith(start))) return true;
  return starts.some((start) => start.startsWith(text)) ? null : false;
}

interface Heard {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly WrittenCall[];
}

/**
 * The messages of an answer in the format of gpt-oss: each has a channel, and a call has a recipient. `analysis` is reasoning, what goes to
 * `functions.NAME` is a call, and all else is the answer.
 */
export class HarmonyMessages {
  #buffer = '';
  /** The head of the message whose body is read; null between messages. */
  #head: string | null = null;
  #arguments = '';

  push(piece: string, isEnd: boolean): Heard {
    this.#buffer += piece;
    const heard = { text: '', reasoning: '', calls: [] as WrittenCall[] };
    for (;;) {
      if (this.#head === null) {
        const at = this.#buffer.indexOf(bodyMark);
        if (at < 0) return heard;
        this.#head = this.#buffer.slice(0, at);
        this.#buffer = this.#buffer.slice(at + bodyMark.length);
      }
      const [end, mark] = this.#nextEnd();
      this.#hear(mark === null && isEnd ? this.#buffer : this.#buffer.slice(0, end), heard);
      if (mark === null && !isEnd) {
        this.#buffer = this.#buffer.slice(end);
        return heard;
      }
      this.#close(heard);
      if (mark === null) return heard;
      // A mark that opens the next message is a part of its head.
      this.#buffer = this.#buffer.slice(end + (mark === '<|channel|>' ? 0 : mark.length));
    }
  }

  /** Where the body ends, and the mark that ends it; without one, up to where no mark can begin. */
  #nextEnd(): [number, string | null] {
    const found = ends
      .map((mark) => [this.#buffer.indexOf(mark), mark] as const)
      .filter(([at]) => at >= 0)
      .sort(([one], [other]) => one - other)[0];
    if (found) return [found[0], found[1]];
    const held = Math.max(...ends.map((mark) => startedLength(this.#buffer, mark)));
    return [this.#buffer.length - held, null];
  }

  #hear(said: string, heard: { text: string; reasoning: string }): void {
    if (recipientOf(this.#head) !== null) this.#arguments += said;
    else if (/<\|channel\|>\s*analysis/.test(this.#head ?? '')) heard.reasoning += said;
    else heard.text += said;
  }

  #close(heard: { calls: WrittenCall[] }): void {
    const name = recipientOf(this.#head);
    if (name !== null) heard.calls.push({ name, arguments: this.#arguments.trim() });
    this.#arguments = '';
    this.#head = null;
  }
}

const recipientOf = (head: string | null): string | null =>
  /\bto=(?:functions\.)?([\w.-]{1,64})/.exec(head ?? '')?.[1] ?? null;

/** How many characters at the end of the text may be the beginning of the mark. */
export function startedLength(text: string, mark: string): number {
  let length = Math.min(text.length, mark.length - 1);
  while (!text.endsWith(mark.slice(0, length))) length--;
  return length;
}
