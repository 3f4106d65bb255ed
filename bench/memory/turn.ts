import {
  noEvidence,
  type ChatMessage,
  type Engine,
  type GenerateRequest,
  type Generation,
  type OnPiece,
} from '../../src/core/ports/engine.ts';
import { aMessage, aSession, lineageId, messageId, sessionId } from '../../test/store/builders.ts';
import { coreWith, type PassingCore } from '../coreWith.ts';
import { atMost, median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';

const sizes = { short: 1_000, long: 10_000 } as const;
type Size = keyof typeof sizes;
const limit = 32_000;
const turns = 60;

/**
 * What a turn costs in a session of 10,000 messages with virtual memory, beside one of 1,000: both have left the prompt but for the last ones.
 * Processor time without the engine's.
 */
export const memoryTurn: Benchmark = {
  ids: ['TURN'],
  async run() {
    const engine = new ListedEngine();
    await using made = await coreWith(engine as unknown as Engine, undefined, { checkpoints: { enabled: false } });
    const costs = { short: [] as number[], long: [] as number[] };
    for (const size of ['short', 'long'] as const) {
      await fill(made, size);
      // Most messages leave the prompt in the first turn.
      for (let at = 0; at < 3; at++) await turn(made, engine, size);
      const { inPrompt } = await made.cwm.memoryState({ session: size });
      mustHold(inPrompt < sizes[size], 'messages have left the prompt');
    }
    for (let at = 0; at < turns; at++)
      for (const size of ['short', 'long'] as const) costs[size].push(await turn(made, engine, size));
    return [
      figure('CPU time of a turn without the engine', costs, median),
      figure('on average, turns in which messages leave among them', costs, meanOf),
    ];
  },
};

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function figure(
  what: string,
  costs: Readonly<Record<Size, readonly number[]>>,
  of: (values: readonly number[]) => number,
): Figure {
  const [value, baseline] = [of(costs.long), of(costs.short)];
  return {
    ...atMost('TURN', `${what}, ${sizes.long.toLocaleString('en-US')} messages with virtual memory`, value, 5, turns),
    baseline: { what: `${sizes.short.toLocaleString('en-US')} messages`, value: baseline },
    ratio: baseline / value,
  };
}

async function turn({ cwm }: PassingCore, engine: ListedEngine, session: Size): Promise<number> {
  engine.cpuMs = 0;
  const before = process.cpuUsage();
  await cwm.send({ session, text: question });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 - engine.cpuMs;
}

async function fill({ store }: PassingCore, size: Size): Promise<void> {
  const count = sizes[size];
  const id = sessionId(size);
  const lineage = lineageId(`l-${size}`);
  await store.lineages.create({ id: lineage, salt: size, generation: 0 });
  const settings = { memory: { enableVm: true } };
  const session = aSession({ id: size, lineage, engine: 'http://listed', model: null, settings });
  await store.sessions.create(session);
  const messages = Array.from({ length: count }, (_, at) => ({
    ...aMessage(`m${at + 1}`, at + 1, `Message ${at}: ${'and so it goes on. '.repeat(8)}`),
    role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  }));
  for (let at = 0; at < count; at += 1000) await store.messages.append(id, messages.slice(at, at + 1000));
  const main = { name: 'main', head: messageId(`m${count}`), length: count, parentMessageId: null };
  await store.sessions.update({ ...session, branches: { main }, version: 2 });
}

const question = 'And so it goes on. '.repeat(9);

/** Computes nothing: a list of ids for each message, which it makes once. */
class ListedEngine {
  readonly spec = 'http://listed';
  /** Its own processor time. */
  cpuMs = 0;
  readonly #lists = new Map<string, readonly number[]>();

  async describe() {
    const model = { id: 'listed', root: null, maxModelLen: limit, fingerprint: null };
    return { kind: 'vllm', version: '1', model, blockTokens: 16, hashProfile: null, isUntried: false, notices: [] };
  }

  async tokenize(messages: readonly ChatMessage[], addGenerationPrompt: boolean): Promise<number[]> {
    const before = process.cpuUsage();
    const ids = messages.flatMap(({ content }) => this.#idsOf(content));
    if (addGenerationPrompt) ids.push(1);
    this.#took(before);
    return ids;
  }

  async generate({ messages }: GenerateRequest, onPiece: OnPiece): Promise<Generation> {
    const promptIds = await this.tokenize(messages, true);
    const text = 'And so it went. '.repeat(10);
    const outputIds = [...this.#idsOf(text)];
    onPiece({ promptIds });
    onPiece({ text, ids: outputIds });
    return {
      text,
      promptIds,
      outputIds,
      idsSource: 'engine',
      finishReason: 'stop',
      reuse: noEvidence(promptIds.length),
    };
  }

  async close(): Promise<void> {}

  #idsOf(text: string): readonly number[] {
    const known = this.#lists.get(text);
    if (known) return known;
    const ids = Array.from({ length: Math.ceil(text.length / 4) }, (_, at) => (text.length * 7 + at) % 200_000);
    this.#lists.set(text, ids);
    return ids;
  }

  #took(before: NodeJS.CpuUsage): void {
    const { user, system } = process.cpuUsage(before);
    this.cpuMs += (user + system) / 1000;
  }
}
