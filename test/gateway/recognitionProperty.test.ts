import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Asked, Item } from '../../src/gateway/formats/item.ts';
import { isEmptyAnswer, shortHash } from '../../src/gateway/recognition/canonical.ts';
import type { Said } from '../../src/gateway/recognition/said.ts';
import { KnownConversations } from '../../src/gateway/recognition/knownConversations.ts';
import { Recogniser } from '../../src/gateway/recognition/recogniser.ts';
import { scratchFile, scratchInMemory } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';
import { Journal, type JournalFile } from '../../src/gateway/recording/journal.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { fc } from '../support/fc.ts';
import { runs } from '../support/nightly.ts';
import { leading, NaiveRecognition, type NaiveSaid } from './naiveRecognition.ts';

const makeDirectory = temporaryDirectories();
const tools = [{ type: 'function', function: { name: 'read', parameters: {} } }];
const user = (text: string): Item => ({ role: 'user', text });
const assistant = (text: string): Item => ({ role: 'assistant', text });

function journalInMemory(): JournalFile {
  let lines: readonly string[] = [];
  return {
    read: async () => lines,
    append: async (more) => void (lines = [...lines, ...more]),
    setAside: async () => undefined,
    replace: async (all) => void (lines = all),
  };
}

/** A recogniser that holds as few conversations as it can, and the naive one: what one does, the other does. */
class Both {
  readonly naive = new NaiveRecognition();
  readonly file = journalInMemory();
  recogniser = this.#recogniser();
  journal = new Journal(this.file);
  nowMs = 0;
  /** What a client has of each conversation and branch. */
  readonly transcripts: Item[][] = [];
  readonly #numbers = new Map<string, number>();
  readonly #answers: { readonly said: Said; readonly naive: NaiveSaid }[] = [];
  readonly #stored: NaiveSaid[] = [];

  #recogniser(): Recogniser {
    // Four buckets: nearly everything shares one with something else.
    const index = new ScratchIndex(scratchInMemory(), 4);
    return new Recogniser(index, new KnownConversations(index, 1, 1));
  }

  ask(items: readonly Item[], system: string, key: string | null, outcome: string): void {
    this.nowMs += 10;
    const asked: Asked = { model: 'm', streams: true, system, items, tools };
    const found = this.recogniser.recognise(asked, { client: 'c', project: null, key }, this.nowMs);
    const wanted = this.naive.recognise(items, shortHash(system), key, this.nowMs);
    if (found?.kind !== 'turn') throw new Error('It is no turn.');
    const { session } = found.conversation;
    if (!this.#numbers.has(session)) this.#numbers.set(session, wanted.talk.number);
    const at = (known: number, number: number | undefined, length: number) => ({ known, number, length });
    expect(at(found.known, this.#numbers.get(session), found.last.length)).toEqual(
      at(wanted.known, wanted.talk.number, leading(wanted.last).length),
    );
    expect(found.prefixBreak?.cause === 'system').toBe(wanted.breaks);
    expect([...found.places].map(({ chain }) => chain)[0]).toBe(found.last.chain);
    if (outcome === 'fails') {
      this.recogniser.conversations.drop(found.last);
      this.naive.drop(wanted.last);
    } else if (outcome !== 'waits') {
      const answer = assistant(outcome);
      this.#answers.push({
        said: this.recogniser.conversations.add(found.conversation, found.last, answer, true),
        naive: this.naive.add(wanted.talk, wanted.last, answer, true),
      });
      this.transcripts.push([...items, answer]);
    }
  }

  async store(number: number): Promise<void> {
    const answer = this.#answers[number % this.#answers.length];
    if (!answer) return;
    const all: Said[] = [];
    for (let at: Said | null = answer.said; at?.item; at = at.before) all.unshift(at);
    this.recogniser.conversations.stored(all);
    await this.journal.stored(all);
    for (const said of leading(answer.naive)) {
      if (!said.isStored) this.#stored.push(said);
      said.isStored = true;
    }
  }

  async restart(): Promise<void> {
    this.recogniser = this.#recogniser();
    this.journal = new Journal(this.file);
    const sessions = [...this.#numbers.keys()].map((id) => ({ id, project: null, lineage: 'l' }));
    await this.journal.restore(this.recogniser, sessions as never);
    const named = (key: string) => this.#numbers.get(this.recogniser.known.named(key)?.session ?? '');
    this.naive.restart(this.#stored, named);
    this.#answers.length = 0;
  }

  forget(number: number): void {
    const answer = this.#answers[number % this.#answers.length];
    if (!answer) return;
    const { conversation } = answer.said;
    this.recogniser.forget(conversation);
    this.naive.forget(answer.naive.talk);
    this.#numbers.delete(conversation.session);
    const left = this.#answers.filter(({ said }) => said.conversation.session !== conversation.session);
    this.#answers.splice(0, Infinity, ...left);
  }
}

const question = fc.constantFrom('a', 'b', 'c');
const number = fc.nat({ max: 1000 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('goes on', 'goes on', 'goes on', 'forks', 'edits', 'repeats', 'begins', 'tells more'),
      of: number,
      at: number,
      question,
      system: fc.constantFrom('You code.', 'You cook.'),
      key: fc.constantFrom(null, null, 'x', 'y'),
      outcome: fc.constantFrom('yes', 'yes', 'no', '', 'fails', 'waits'),
      leavesOut: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('stores'), of: number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restarts', 'forgets'), of: number }) },
);
type Step = typeof step extends { generate: unknown } ? (typeof step extends fc.Arbitrary<infer S> ? S : never) : never;

function itemsOf(each: Extract<Step, { question: string }>, transcripts: readonly Item[][]): readonly Item[] {
  const said = transcripts.length === 0 ? [] : transcripts[each.of % transcripts.length]!;
  const asked = user(each.question);
  const cut = said.slice(0, 2 * (each.at % (said.length / 2 || 1)));
  switch (each.kind) {
    case 'goes on':
      return [...said, asked];
    case 'forks':
      return [...cut, asked];
    case 'edits':
      return [...cut, asked, ...said.slice(cut.length + 1), user('a')];
    case 'repeats':
      return said.length > 1 ? said.slice(0, -1) : [asked];
    case 'tells more':
      return [...said, asked, assistant('Said by the client.'), user('b'), assistant('yes'), user('c')];
    default:
      return [asked];
  }
}

describe('recognition with nearly nothing in memory', () => {
  test('gives the same answer as a naive search, after any turns, forks, edits, failures, losses and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const both = new Both();
        for (const each of steps) {
          if ('question' in each) {
            const items = itemsOf(each, both.transcripts);
            const sent = each.leavesOut ? items.filter((item) => !isEmptyAnswer(item)) : items;
            both.ask(sent, each.system, each.key, each.outcome);
          } else if (each.kind === 'stores') await both.store(each.of);
          else if (each.kind === 'restarts') await both.restart();
          else both.forget(each.of);
        }
      }),
      { numRuns: runs(150, 5000) },
    );
  });

  test('empty answers may be left out or come in any spelling: nothing is lost or doubled, and no conversation takes the words of another', () => {
    const turn = fc.record({
      of: number,
      begins: fc.boolean(),
      /** What the user says, in one message or in several. */
      questions: fc.array(question, { minLength: 1, maxLength: 2 }),
      answer: fc.constantFrom('', '', ' ', 'yes', 'no'),
      /** How the client says the empty answers of the conversation until now. */
      empty: fc.constantFrom(null, '', ' ', '<think>Hm.</think>'),
    });
    const words = (items: readonly Item[]) => items.filter((item) => !isEmptyAnswer(item)).map(({ text }) => text);
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 40 }), fc.boolean(), (turns, areUnique) => {
        const recogniser = new Recogniser(new ScratchIndex(scratchInMemory(), 4));
        const texts = new Map<string, Item>();
        const talks: { items: readonly Item[]; last: Said }[] = [];
        for (const [at, { of, begins, questions, answer, empty }] of turns.entries()) {
          const talk = begins ? undefined : talks[of % talks.length];
          const before = (talk?.items ?? []).flatMap((item) =>
            isEmptyAnswer(item) ? (empty === null ? [] : [assistant(empty)]) : [item],
          );
          const items = [...before, ...questions.map((text) => user(areUnique ? `${text} ${at}` : text))];
          const asked: Asked = { model: 'm', streams: true, system: '', items, tools };
          const found = recogniser.recognise(asked, { client: 'c', project: null, key: null }, at + 1);
          if (found?.kind !== 'turn') throw new Error('It is no turn.');
          const added = recogniser.conversations.add(found.conversation, found.last, assistant(answer), true);
          const said: Said[] = [];
          for (let up: Said | null = added; up; up = recogniser.conversations.before(up)) said.unshift(up);
          for (const each of said) if (each.item) texts.set(each.id, each.item);
          recogniser.conversations.stored(said.filter(({ item }) => item));
          const stored = said.map(({ id }) => texts.get(id)!);
          expect(words(stored)).toEqual(words([...items, assistant(answer)]));
          if (areUnique && talk) {
            expect(found.conversation.session).toBe(talk.last.conversation.session);
            expect(said.map(({ id }) => id)).toContain(talk.last.id);
          }
          if (areUnique && !talk) expect(found.known).toBe(0);
          if (talk) Object.assign(talk, { items: [...items, assistant(answer)], last: added });
          else talks.push({ items: [...items, assistant(answer)], last: added });
        }
      }),
      { numRuns: runs(150, 5000) },
    );
  });

  test('what is in memory does not grow with what was said: 400 messages or 8,000, in 100 conversations', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const index = new ScratchIndex(scratchFile(makeDirectory()));
    const recogniser = new Recogniser(index);
    const journal = new Journal({ ...journalInMemory(), append: async () => undefined });
    const talks = Array.from({ length: 100 }, (): Item[] => []);
    const heapAfter = async (turns: number): Promise<number> => {
      for (let turn = 0; turn < turns; turn++)
        for (const [at, said] of talks.entries()) {
          said.push(user(`Question ${said.length} of ${at}`));
          const asked: Asked = { model: 'm', streams: true, system: 'You code.', items: said, tools };
          const found = recogniser.recognise(asked, { client: 'c', project: null, key: null }, 1);
          if (found?.kind !== 'turn') throw new Error('It is no turn.');
          const answer = assistant(`Answer ${said.length}`);
          const all = [found.last, recogniser.conversations.add(found.conversation, found.last, answer, true)];
          recogniser.conversations.stored(all);
          await journal.stored(all);
          said.push(answer);
        }
      expect(recogniser.conversations.unstored).toBe(0);
      expect(talks.every((said) => said.length === talks[0]!.length)).toBe(true);
      const lengths = talks.map((said) => said.splice(0).length);
      gc();
      const { heapUsed } = process.memoryUsage();
      // The next turns need them again.
      for (const [at, said] of talks.entries())
        for (let number = 0; number < lengths[at]!; number += 2)
          said.push(user(`Question ${number} of ${at}`), assistant(`Answer ${number + 1}`));
      return heapUsed;
    };
    await heapAfter(2);
    const before = await heapAfter(2);
    const after = await heapAfter(36);
    expect(after - before).toBeLessThan(1 << 20);
    const last: Asked = { model: 'm', streams: true, system: 'You code.', items: [...talks[7]!, user('Why?')], tools };
    expect(recogniser.recognise(last, { client: 'c', project: null, key: null }, 1)).toMatchObject({ known: 80 });
  });

  test('of many conversations, those that were used last are in memory, and every one of them is found', () => {
    const index = new ScratchIndex(scratchInMemory());
    const recogniser = new Recogniser(index, new KnownConversations(index, 10, 3));
    const asked = (items: readonly Item[]): Asked => ({ model: 'm', streams: true, system: 'You code.', items, tools });
    const asker = (at: number) => ({ client: 'c', project: null, key: `name ${at}` });
    const sessions = Array.from({ length: 50 }, (_, at) => {
      const found = recogniser.recognise(asked([user(`Question of ${at}`)]), asker(at), at + 1);
      if (found?.kind !== 'turn') throw new Error('It is no turn.');
      const answer = recogniser.conversations.add(found.conversation, found.last, assistant(`Yes, ${at}.`), true);
      recogniser.conversations.stored([found.last, answer]);
      return found.conversation.session;
    });
    expect(recogniser.known.recent.size).toBe(10);
    expect([...recogniser.known.recent.values()].filter(({ system }) => system !== null)).toHaveLength(3);
    for (const [at, session] of sessions.entries()) {
      expect(recogniser.known.named(`name ${at}`)?.session).toBe(session);
      const more = [user(`Question of ${at}`), assistant(`Yes, ${at}.`), user('Why?')];
      expect(recogniser.recognise(asked(more), asker(at), 100 + at)).toMatchObject({
        known: 2,
        conversation: { session },
      });
    }
    const [first] = sessions;
    recogniser.forget(recogniser.known.get(first!)!);
    expect(recogniser.known.get(first!)).toBeNull();
    expect(
      recogniser.recognise(asked([user('Question of 0'), assistant('Yes, 0.'), user('Why?')]), asker(0), 200),
    ).toMatchObject({
      known: 0,
    });
  });

  test('what cannot be written to the file stays in memory, is found there, and is written later', () => {
    const file = scratchInMemory();
    let isFull = true;
    const write = (bytes: Uint8Array, at: number): void => {
      if (isFull) throw new Error('ENOSPC');
      file.write(bytes, at);
    };
    const recogniser = new Recogniser(new ScratchIndex({ ...file, write }));
    const asked = (items: readonly Item[]): Asked => ({ model: 'm', streams: true, system: '', items, tools });
    const turn = (items: readonly Item[]) => {
      const found = recogniser.recognise(asked(items), { client: 'c', project: null, key: 'x' }, 1);
      if (found?.kind !== 'turn') throw new Error('It is no turn.');
      const answer = recogniser.conversations.add(found.conversation, found.last, assistant('Yes.'), true);
      return { found, store: () => recogniser.conversations.stored([found.last, answer]) };
    };
    expect(turn([user('a')]).store).toThrow('ENOSPC');
    expect(recogniser.conversations.unstored).toBe(2);
    isFull = false;
    const next = turn([user('a'), assistant('Yes.'), user('b')]);
    expect(next.found).toMatchObject({ known: 2 });
    next.store();
    expect(recogniser.conversations.unstored).toBe(0);
    expect(turn([user('a'), assistant('Yes.'), user('b'), assistant('Yes.'), user('c')]).found).toMatchObject({
      known: 4,
    });
  });
});
