import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { makeCore, type Core } from '../src/core/core.ts';
import { noEvidence, type Engine, type Generation, type OnPiece } from '../src/core/ports/engine.ts';
import { diskFiles, type Files } from '../src/store/disk/files.ts';
import type { FileStore } from '../src/store/fileStore.ts';
import { openStore } from '../src/store/openStore.ts';
import { aMessage, aSession, contextTokens, lineageId, messageId, sessionId } from '../test/store/builders.ts';
import { median, mustHold, type Benchmark, type Figure } from './benchmark.ts';

const tokensOfMessage = 40;
const turns = 25;
const sizes = { short: 100, long: 10_000 } as const;
type Size = keyof typeof sizes;

/** What a turn costs in a session of 10,000 messages, beside one of 100, on an engine that computes nothing: without the prompt's transfer. */
export const longSession: Benchmark = {
  ids: ['TURN'],
  async run() {
    const directory = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const written = { bytes: 0 };
    const store = await openStore({ directory, clock: systemClock, files: counting(diskFiles, written) });
    const engine = new PassingEngine();
    const cwm = coreOver(store, engine);
    try {
      for (const size of ['short', 'long'] as const) await fill(store, engine, size);
      const costs = { short: [] as Cost[], long: [] as Cost[] };
      // The first turn after a start reads the conversation.
      for (const size of ['short', 'long'] as const) await turn(cwm, engine, written, size);
      for (let at = 0; at < turns; at++) {
        for (const size of ['short', 'long'] as const) costs[size].push(await turn(cwm, engine, written, size));
      }
      const { items } = await cwm.listMessages({ session: 'long', limit: 1 });
      mustHold(items.length === 1, 'the long session has its messages');
      return [
        figure('CPU time of a turn', 'ms', costs, ({ cpuMs }) => cpuMs),
        figure('written by a turn', 'bytes', costs, ({ bytes }) => bytes),
      ];
    } finally {
      await cwm.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

interface Cost {
  readonly cpuMs: number;
  readonly bytes: number;
}

async function turn(cwm: Core, engine: PassingEngine, written: { bytes: number }, size: Size): Promise<Cost> {
  engine.prepare(size);
  const bytesBefore = written.bytes;
  const before = process.cpuUsage();
  await cwm.send({ session: size, text: 'And so it goes on. '.repeat(9) });
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1000, bytes: written.bytes - bytesBefore };
}

function figure(
  what: string,
  unit: 'ms' | 'bytes',
  costs: Readonly<Record<Size, readonly Cost[]>>,
  pick: (cost: Cost) => number,
): Figure {
  const value = median(costs.long.map(pick));
  const baseline = median(costs.short.map(pick));
  return {
    id: 'TURN',
    what: `${what}, ${sizes.long.toLocaleString('en-US')} messages of ${tokensOfMessage} tokens`,
    unit,
    value,
    baseline: { what: `${sizes.short} messages`, value: baseline },
    ratio: baseline / value,
    wanted: 'at most 1.5 × as much',
    met: value <= 1.5 * baseline,
    runs: turns,
  };
}

async function fill(store: FileStore, engine: PassingEngine, size: Size): Promise<void> {
  const count = sizes[size];
  const id = sessionId(size);
  const lineage = lineageId(`l-${size}`);
  await store.lineages.create({ id: lineage, salt: size, generation: 0 });
  const session = aSession({ id: size, lineage, engine: engine.spec, model: null });
  await store.sessions.create(session);
  const messages = Array.from({ length: count }, (_, at) => ({
    ...aMessage(`m${at + 1}`, at + 1, `Message ${at}: ${'and so it goes on. '.repeat(8)}`),
    role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  }));
  for (let at = 0; at < count; at += 1000) await store.messages.append(id, messages.slice(at, at + 1000));
  const ids = Array.from({ length: count * tokensOfMessage }, (_, at) => (at * 7919) % 200_000);
  engine.contexts.set(size, ids);
  await store.sessions.saveTokens(id, ids);
  const main = { name: 'main', head: messageId(`m${count}`), length: count, parentMessageId: null };
  const tokens = { ...contextTokens(ids), messageCount: count };
  await store.sessions.update({ ...session, branches: { main }, tokens, version: 2 });
}

const piece = Array.from({ length: tokensOfMessage }, (_, at) => at);

/** Its prompts are what it saw before, and as many ids more as a message has. */
class PassingEngine {
  readonly spec = 'http://passing';
  readonly contexts = new Map<Size, number[]>();
  #promptIds: readonly number[] = [];
  #turns = 0;

  /** The ids come as they would from the transfer, which is not measured. */
  prepare(size: Size): void {
    const ids = this.contexts.get(size) ?? [];
    // The answer of the turn before, and the new message: in place, for garbage of the benchmark is no cost of the product.
    ids.push(...(this.#turns++ > 1 ? piece : []), ...piece);
    this.#promptIds = ids;
  }

  async describe() {
    const model = { id: 'passing', root: null, maxModelLen: null, fingerprint: null };
    return { kind: 'vllm', version: '1', model, blockTokens: 16, hashProfile: null, isUntried: false, notices: [] };
  }

  async generate(_request: unknown, onPiece: OnPiece): Promise<Generation> {
    const promptIds = this.#promptIds;
    onPiece({ promptIds });
    onPiece({ text: 'And so it went. '.repeat(10), ids: piece });
    return {
      text: 'And so it went. '.repeat(10),
      promptIds,
      outputIds: piece,
      idsSource: 'engine',
      finishReason: 'stop',
      reuse: noEvidence(promptIds.length),
    };
  }
}

function coreOver(store: FileStore, engine: PassingEngine): Core {
  return makeCore({
    store,
    clock: systemClock,
    changes: { emit: () => undefined },
    engines: {
      defaultSpec: engine.spec,
      get: () => engine as unknown as Engine,
      status: () => Promise.reject(new Error('Nobody asks for it here.')),
    },
    files: { read: async () => ({ files: [], skipped: [] }) },
    // They would ask for KV, which this engine has none of.
    checkpoints: { enabled: false },
  });
}

const counting = (files: Files, written: { bytes: number }): Files => ({
  ...files,
  create: (file, bytes) => {
    written.bytes += bytes.length;
    return files.create(file, bytes);
  },
  append: (file, bytes) => {
    written.bytes += bytes.length;
    return files.append(file, bytes);
  },
});
