import { commonPrefixLength } from '../../../base/tokenIds.ts';
import type { Link } from '../../http/link.ts';
import { specialId, tokenize } from './tokenizing.ts';

interface Known {
  readonly text: string;
  readonly ids: readonly number[];
}

/** A prompt that is remembered, and how many characters another one has in common with it at its beginning. */
interface Nearest {
  readonly known: Known;
  readonly shared: number;
}

/** Prompts that are remembered at least: those of a turn, and of the search for its seam. */
const leastKnown = 4;
/** Of more, so that conversations can take turns: as many as have so many characters, which take some 10 MB with their ids. */
const mostCharacters = 2_000_000;
/** A shorter beginning costs less than the search for it, in characters. */
const leastShared = 4096;
/** Marks as chat templates write them: `<|im_end|>`, `<end_of_turn>`, `</s>`, `[/INST]`. */
const marks = /<[^<>\s]{1,40}>|\[\/?[A-Z_]{2,24}\]/g;

/**
 * Token ids of prompts. llama.cpp takes long to tokenize a long text, and a turn needs its prompt more than once. A prompt grows at its end,
 * and llama.cpp tokenizes the pieces between special tokens each by itself: so what two prompts have in common up to a special token has
 * the same ids. The first time, and for each other mark, the ids of the whole text are asked for as well: where the two differ, nothing is
 * put together on this server.
 */
export class PromptTokens {
  /** The last one used comes last. */
  #known: Known[] = [];
  readonly #specials = new Map<string, number | null>();
  readonly #trusted = new Map<string, boolean>();

  /** It is another server now. */
  reset(): void {
    this.#known = [];
    this.#specials.clear();
    this.#trusted.clear();
  }

  async of(link: Link, text: string, signal: AbortSignal): Promise<readonly number[]> {
    const nearest = this.#nearest(text);
    const ids = nearest?.known.text === text ? nearest.known.ids : await this.#tokenize(link, text, nearest, signal);
    this.#remember({ text, ids });
    return ids;
  }

  async #tokenize(link: Link, text: string, nearest: Nearest | null, signal: AbortSignal): Promise<readonly number[]> {
    const whole = (): Promise<readonly number[]> =>
      tokenize(link, { content: text, add_special: true, parse_special: true }, signal);
    const cut = nearest && (await this.#cutOf(link, nearest, signal));
    if (!cut || this.#trusted.get(cut.mark) === false) return whole();
    const content = text.slice(cut.characters);
    const behind = await tokenize(link, { content, add_special: false, parse_special: true }, signal);
    const joined = [...cut.ids, ...behind];
    if (this.#trusted.get(cut.mark)) return joined;
    const ids = await whole();
    this.#trusted.set(cut.mark, ids.length === joined.length && commonPrefixLength(ids, joined) === ids.length);
    return ids;
  }

  /**
   * The place before the last special token in the common beginning, and the ids up to there; null where none is known for sure. Not behind
   * it: some special tokens take the white space around them away, and do so in both texts alike only where they stand in both.
   */
  async #cutOf(
    link: Link,
    { known, shared }: Nearest,
    signal: AbortSignal,
  ): Promise<{ readonly mark: string; readonly characters: number; readonly ids: readonly number[] } | null> {
    const last = [...known.text.slice(0, shared).matchAll(marks)].at(-1);
    if (!last) return null;
    const [mark] = last;
    let id = this.#specials.get(mark);
    if (id === undefined) this.#specials.set(mark, (id = await specialId(link, mark, signal)));
    if (id === null) return null;
    const characters = last.index;
    const before = countOf(known.text.slice(0, characters), mark);
    const places = [...known.ids.keys()].filter((at) => known.ids[at] === id);
    const place = places[before];
    // The id may stand for another text as well.
    if (place === undefined || places.length !== countOf(known.text, mark)) return null;
    return { mark, characters, ids: known.ids.slice(0, place) };
  }

  #nearest(text: string): Nearest | null {
    const candidates = this.#known.map((known) => ({ known, shared: commonLength(known.text, text) }));
    const best = candidates.reduce<(typeof candidates)[number] | null>(
      (found, one) => (one.shared > (found?.shared ?? 0) ? one : found),
      null,
    );
    return best && best.shared >= leastShared ? best : null;
  }

  #remember(known: Known): void {
    if (known.text.length < leastShared) return;
    this.#known = [...this.#known.filter(({ text }) => text !== known.text), known];
    let characters = this.#known.reduce((sum, { text }) => sum + text.length, 0);
    while (this.#known.length > leastKnown && characters > mostCharacters)
      characters -= this.#known.shift()?.text.length ?? 0;
  }
}

const countOf = (text: string, part: string): number => text.split(part).length - 1;

function commonLength(one: string, other: string): number {
  const limit = Math.min(one.length, other.length);
  let length = 0;
  while (length < limit && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length;
}
