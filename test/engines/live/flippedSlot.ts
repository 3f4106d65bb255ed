import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { fetchAlone } from './fetchAlone.ts';
import type { ModelServer } from './guardedServer.ts';
import type { Flip } from './missRate.ts';

/* What each check of a slot file's content sees of one flipped bit, asked of a llama-server over the wire. */

export type BitKind = 'any' | 'high';

const answerTokens = 32;
const canaryTokens = 8;
const alternatives = 5;
/** Printing a float32 in decimal and reading it back moves it by less than this, in nats. */
const printingError = 1e-6;

const completionSchema = z.object({
  timings: z.object({ cache_n: z.int() }),
  completion_probabilities: z.array(
    z.object({
      id: z.int(),
      top_logprobs: z.array(z.object({ id: z.int(), logprob: z.nullable(z.number()) })),
    }),
  ),
});
type Answer = z.infer<typeof completionSchema>['completion_probabilities'];

/** What a server answers to a saved context. */
interface Answers {
  /** The next tokens over the very context. */
  readonly end: Answer;
  /** One token over each beginning, longest first; none for a model whose KV cannot be cut. */
  readonly beginnings: readonly Answer[];
  /** What follows a question. */
  readonly question: Answer;
}

/** A context in a server's slot file, and what the server answers over it as long as it is whole. */
export class FlippedSlot {
  readonly #start: () => Promise<ModelServer>;
  readonly #slotDir: string;
  #server: ModelServer;
  #ids: readonly number[] = [];
  #questionIds: readonly number[] = [];
  #canCut = true;
  #whole: Answers | null = null;
  /** In nats: of an end, of beginnings, of an answer. */
  #noise: readonly [number, number, number] = [0, 0, 0];

  private constructor(start: () => Promise<ModelServer>, slotDir: string, server: ModelServer) {
    this.#start = start;
    this.#slotDir = slotDir;
    this.#server = server;
  }

  static async save(start: () => Promise<ModelServer>, slotDir: string, text: string): Promise<FlippedSlot> {
    const slot = new FlippedSlot(start, slotDir, await start());
    slot.#ids = await slot.#tokenize(text);
    slot.#questionIds = await slot.#tokenize('\nAnd what follows from that?\n');
    await slot.#ask(slot.#ids, 1);
    await slot.#act('save');
    await slot.#restore();
    const half = slot.#ids.slice(0, Math.floor(slot.#ids.length / 2));
    const { timings } = await slot.#post('/completion', slot.#request(half, 1), completionSchema);
    slot.#canCut = timings.cache_n === half.length - 1;
    const whole = await slot.#answers();
    const again = await slot.#answers();
    slot.#whole = whole;
    slot.#noise = [
      farthest(whole.end, again.end),
      Math.max(0, ...whole.beginnings.map((answer, at) => farthest(answer, again.beginnings[at] ?? []))),
      farthest(whole.question, again.question),
    ];
    return slot;
  }

  get canCut(): boolean {
    return this.#canCut;
  }

  /** Flips a bit of the file, asks, and flips it back. */
  async flip(kind: BitKind, random: () => number): Promise<Flip> {
    const file = join(this.#slotDir, 'flipped.slot');
    const { size } = await stat(file);
    const at = kind === 'any' ? Math.floor(random() * size) : highByte(size, random);
    const mask = kind === 'any' ? 1 << Math.floor(random() * 8) : random() < 0.5 ? 0x20 : 0x40;
    await flipBit(file, at, mask);
    try {
      return this.#compare(await this.#answers());
    } catch {
      // Refused, or ended over it: no answer is made of it.
      await this.#server.kill();
      this.#server = await this.#start();
      return this.#found({ end: true, several: true, beginnings: true }, false, false);
    } finally {
      await flipBit(file, at, mask);
    }
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  #compare({ end, beginnings, question }: Answers): Flip {
    const whole = this.#whole as Answers;
    const [noise, noiseOfBeginnings, noiseOfQuestion] = this.#noise;
    const seen = {
      end: isBeyond(farthest(whole.end.slice(0, 1), end.slice(0, 1)), noise),
      several: isBeyond(farthest(whole.end, end), noise),
      beginnings: whole.beginnings.some((answer, at) =>
        isBeyond(farthest(answer, beginnings[at] ?? []), noiseOfBeginnings),
      ),
    };
    const isWrong = whole.question.map(({ id }) => id).join() !== question.map(({ id }) => id).join();
    return this.#found(seen, isWrong, isWrong || isBeyond(farthest(whole.question, question), noiseOfQuestion));
  }

  #found(
    { end, several, beginnings }: Readonly<Record<'end' | 'several' | 'beginnings', boolean>>,
    isWrong: boolean,
    hasMoved: boolean,
  ): Flip {
    return {
      seenBy: {
        'one token at the end': end,
        [`${canaryTokens} tokens at the end`]: several,
        ...(this.#canCut && {
          'one token at the end and over three beginnings': end || beginnings,
          [`${canaryTokens} tokens at the end, and over three beginnings`]: several || beginnings,
        }),
      },
      isWrong,
      hasMoved,
    };
  }

  async #answers(): Promise<Answers> {
    await this.#restore();
    const question = await this.#ask([...this.#ids, ...this.#questionIds], answerTokens);
    await this.#restore();
    const end = await this.#ask(this.#ids, canaryTokens);
    const beginnings: Answer[] = [];
    for (const quarters of this.#canCut ? [3, 2, 1] : []) {
      beginnings.push(await this.#ask(this.#ids.slice(0, Math.floor((this.#ids.length * quarters) / 4)), 1));
    }
    return { end, beginnings, question };
  }

  async #restore(): Promise<void> {
    await this.#act('erase');
    await this.#act('restore');
  }

  async #act(action: string): Promise<void> {
    await this.#post(`/slots/0?action=${action}`, { filename: 'flipped.slot' }, z.unknown());
  }

  async #ask(prompt: readonly number[], tokens: number): Promise<Answer> {
    return (await this.#post('/completion', this.#request(prompt, tokens), completionSchema)).completion_probabilities;
  }

  #request(prompt: readonly number[], tokens: number): object {
    const greedy = { temperature: 0, n_probs: alternatives, ignore_eos: true };
    return { prompt, n_predict: tokens, ...greedy, id_slot: 0, cache_prompt: true };
  }

  async #tokenize(content: string): Promise<readonly number[]> {
    return (await this.#post('/tokenize', { content }, z.object({ tokens: z.array(z.int()) }))).tokens;
  }

  async #post<T extends z.ZodMiniType>(path: string, body: object, schema: T): Promise<z.output<T>> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetchAlone(this.#server.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 200)}`);
    return schema.parse(JSON.parse(text));
  }
}

const isBeyond = (difference: number, noise: number): boolean => difference > noise + printingError;

/** The largest difference of a log-probability up to the first token that is another, which makes what follows another text. */
function farthest(one: Answer, other: Answer): number {
  let difference = 0;
  for (const [at, { id, top_logprobs }] of one.entries()) {
    const there = other[at];
    if (!there) return Infinity;
    const values = new Map(there.top_logprobs.map((entry) => [entry.id, entry.logprob]));
    for (const { id: token, logprob } of top_logprobs) {
      const value = values.get(token);
      // What left the five likeliest moved by at least as much as it now lies below the fifth.
      const least = Math.min(...there.top_logprobs.map((entry) => entry.logprob ?? -Infinity));
      difference = Math.max(difference, Math.abs((logprob ?? -Infinity) - (value ?? least)));
    }
    if (Number.isNaN(difference)) return Infinity;
    if (there.id !== id) return Math.max(difference, 2 * printingError);
  }
  return difference;
}

/** The upper half of a half-precision number, well behind the file's head. */
const highByte = (size: number, random: () => number): number => {
  const head = 8_001;
  return head + 2 * Math.floor(random() * Math.floor((size - head) / 2));
};

async function flipBit(file: string, at: number, mask: number): Promise<void> {
  await using handle = await open(file, 'r+');
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.of((buffer[0] ?? 0) ^ mask), 0, 1, at);
}
