import type { Item } from '../../src/gateway/formats/item.ts';
import { canonical, chainOf, isEmptyAnswer, rootOf } from '../../src/gateway/recognition/canonical.ts';

interface Talk {
  readonly number: number;
  readonly keys: Set<string>;
  systemKey: string;
  usedMs: number;
}

export interface NaiveSaid {
  readonly talk: Talk;
  readonly before: NaiveSaid | null;
  readonly item: Item;
  readonly chain: string;
  readonly isAnswer: boolean;
  /** Where the answer is looked for when its question has changed, and how that has to begin. */
  readonly asked: readonly { readonly behind: string; readonly line: string | null }[];
  isStored: boolean;
}

/** The rules of recognition with everything in memory, each message looked at from the first one on. */
export class NaiveRecognition {
  #said: NaiveSaid[] = [];
  #begun = 0;
  readonly #byKey = new Map<string, Talk>();

  recognise(items: readonly Item[], systemKey: string, key: string | null, nowMs: number) {
    const named = (key !== null && this.#byKey.get(key)) || null;
    const match = this.#find(items, named, systemKey);
    const isContinued =
      match.last !== null &&
      (match.last.talk === named ||
        leading(match.last).some(({ isAnswer }) => isAnswer) ||
        (match.known === items.length && !this.#hasAnswered(match.last.talk)));
    const talk = isContinued
      ? match.last!.talk
      : { number: ++this.#begun, keys: new Set<string>(), systemKey, usedMs: 0 };
    if (key !== null) {
      this.#byKey.set(key, talk);
      talk.keys.add(key);
    }
    const breaks = talk.usedMs > 0 && talk.systemKey !== systemKey;
    Object.assign(talk, { systemKey, usedMs: nowMs });
    let last = isContinued ? match.last : null;
    const known = isContinued ? match.known : 0;
    for (const item of items.slice(known)) last = this.add(talk, last, item, false);
    return { talk, known, breaks, last: last! };
  }

  add(talk: Talk, before: NaiveSaid | null, item: Item, isAnswer: boolean): NaiveSaid {
    const chain = chainOf(before?.chain ?? rootOf(null), item);
    const there = this.#said.find((said) => said.talk === talk && said.chain === chain && said.before === before);
    if (there && !isAnswer) return there;
    const said = {
      talk,
      before,
      item,
      chain,
      isAnswer,
      asked: isAnswer ? askedAt(before!, item) : [],
      isStored: false,
    };
    this.#said.push(said);
    return said;
  }

  drop(last: NaiveSaid): void {
    for (let at: NaiveSaid | null = last; at && !at.isStored && !at.isAnswer; at = at.before) {
      const dropped: NaiveSaid = at;
      if (this.#said.some(({ before }) => before === dropped)) return;
      this.#said = this.#said.filter((said) => said !== dropped);
    }
  }

  forget(talk: Talk): void {
    this.#said = this.#said.filter((said) => said.talk !== talk);
    for (const [key, named] of this.#byKey) if (named === talk) this.#byKey.delete(key);
  }

  /**
   * What is not stored is gone, and nobody knows what was used last.
   *
   * @param order of the messages that are stored. @param named which names are stored: they come with a message.
   */
  restart(order: readonly NaiveSaid[], named: (key: string) => number | undefined): void {
    const there = new Set(this.#said);
    this.#said = order.filter((said) => there.has(said));
    for (const { talk } of this.#said) talk.usedMs = 0;
    for (const key of this.#byKey.keys()) {
      const said = this.#said.find(({ talk }) => talk.number === named(key));
      if (said) this.#byKey.set(key, said.talk);
      else this.#byKey.delete(key);
    }
  }

  #hasAnswered(talk: Talk): boolean {
    return this.#said.some((said) => said.talk === talk && said.isAnswer);
  }

  #find(items: readonly Item[], named: Talk | null, systemKey: string) {
    const answered = items.findLastIndex(({ role }) => role === 'assistant') + 1;
    let chain = rootOf(null);
    let last: readonly NaiveSaid[] = [];
    let known = 0;
    let meant: { last: NaiveSaid | null; known: number } = { last: null, known: 0 };
    while (known < items.length) {
      const next = chainOf(chain, items[known]!);
      const found = this.#said.filter((said) => said.chain === next);
      if (found.length > 0) {
        [chain, last] = [next, found];
        known++;
      } else {
        const asked = this.#asked(chain, items[known]!, items[known + 1], named, systemKey);
        if (!asked) break;
        chain = asked.chain;
        last = this.#said.filter((said) => said.chain === asked.chain);
        known += 2;
      }
      const best = known < answered ? null : bestOf(fitting(last, items, known, named), named, systemKey);
      const isMeant =
        best &&
        (best.talk === named || (best.talk.systemKey === systemKey && (!meant.last || meant.last.talk !== named)));
      if (isMeant) meant = { last: best, known };
    }
    return meant.last ? meant : { last: bestOf(fitting(last, items, known, named), named, systemKey), known };
  }

  /** An answer of ours whose question has changed. */
  #asked(chain: string, item: Item, answer: Item | undefined, named: Talk | null, systemKey: string): NaiveSaid | null {
    if (item.role !== 'user' || !answer) return null;
    const answers = this.#said.filter((said) => said.isAnswer && canonical(said.item) === canonical(answer));
    const best = (line: string | null) =>
      bestOf(
        answers.filter(({ asked }) => asked.some((at) => at.behind === chain && at.line === line)),
        named,
        systemKey,
      );
    return best(null) ?? best(lineOf(item));
  }
}

const chainBehind = (said: NaiveSaid | null): string => said?.chain ?? rootOf(null);
const lineOf = ({ text }: Item): string => text.trim().split('\n', 1)[0]!.trimEnd();

/** Behind the question, and behind what a client may have put before it. */
function askedAt(question: NaiveSaid, answer: Item): NaiveSaid['asked'] {
  const isEmpty = isEmptyAnswer(answer);
  const line = isEmpty ? lineOf(question.item) : null;
  const found: { behind: string; line: string | null }[] =
    isEmpty && question.isStored ? [] : [{ behind: chainBehind(question.before), line }];
  let { before } = question;
  while (!question.isStored && before?.item.role === 'assistant' && !before.isAnswer && found.length <= 4) {
    before = before.before?.before ?? null;
    found.push({ behind: chainBehind(before), line: lineOf(question.item) });
  }
  return found;
}

export function leading(said: NaiveSaid): readonly NaiveSaid[] {
  const all: NaiveSaid[] = [];
  for (let at: NaiveSaid | null = said; at; at = at.before) all.unshift(at);
  return all;
}

/** Of the client's own conversation, else of all: empty answers where the client says one or leaves one out, otherwise what else there is. */
function fitting(all: readonly NaiveSaid[], items: readonly Item[], known: number, named: Talk | null) {
  const [item, next] = [items[known - 1], items[known]];
  const isWanted = (item !== undefined && isEmptyAnswer(item)) || next?.role === 'user';
  const own = all.filter(({ talk }) => talk === named);
  const from = own.length > 0 ? own : all;
  const wanted = from.filter((said) => isEmptyAnswer(said.item) === isWanted);
  return wanted.length > 0 ? wanted : from;
}

/** Of one conversation, what a model of ours wrote or answered. */
function bestOf(all: readonly NaiveSaid[], named: Talk | null, systemKey: string): NaiveSaid | null {
  const own = all.filter(({ talk }) => talk === named);
  const fitting = all.filter(({ talk }) => talk.systemKey === systemKey);
  const of = [own, fitting].find(({ length }) => length > 0) ?? all;
  const last = of.reduce<NaiveSaid | null>(
    (best, said) => (best && best.talk.usedMs > said.talk.usedMs ? best : said),
    null,
  );
  const same = of.filter(({ talk }) => talk === last?.talk);
  return same.findLast((said) => leading(said).some(({ isAnswer }) => isAnswer)) ?? last;
}
