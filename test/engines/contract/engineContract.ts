import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomSalt } from '../../../src/base/hash.ts';
import { capabilityNames, type CapabilityName } from '../../../src/protocol/schemas/capabilities.ts';
import type { ChatMessage, Engine, KvContext, OnPiece } from '../../../src/core/ports/engine.ts';

/** An engine under test, with what only its owner can do to it. */
export interface EngineUnderTest {
  readonly engine: Engine;
  /** Ends the server as `kill -9` does and starts it again. Left out where that can't be done. */
  readonly restart?: () => Promise<void>;
  /** Whether KV that was persisted is there after a restart. */
  readonly survivesRestart: boolean;
  /** Whether the engine tells how many tokens it reused. */
  readonly tellsReuse: boolean;
  /** Whether the engine gives log-probabilities. */
  readonly givesCanary: boolean;
  /** Whether block files can be seen from here. */
  readonly blocksReachable: boolean;
  /** Whether a salt keeps conversations apart inside the engine. Default: yes. */
  readonly heedsSalt?: boolean;
  /** Whether a context is kept as one file, whatever the grain of reuse. Default: each full block has a file. */
  readonly keepsContextsWhole?: boolean;
  /** Whether the tokens behind the last reusable block have a file of their own, after the blocks. Default: no. */
  readonly storesTails?: boolean;
  dispose(): Promise<void>;
}

const never = new AbortController().signal;
const blocksOfText = 6;
/** A context must be long enough to be like no other, also where a block is one token. */
const leastTokensOfText = 96;

/**
 * What every {@link Engine} promises, whatever is behind it: the fake, the embedded engine, a real server. One engine
 * serves all tests, each under a salt of its own, so nothing that another test left behind can help it.
 *
 * @param timeoutMs for each test; a real model on a slow machine needs minutes.
 */
export function engineContract(name: string, makeEngine: () => Promise<EngineUnderTest>, timeoutMs = 240_000): void {
  describe(`Engine contract: ${name}`, { timeout: timeoutMs }, () => {
    let subject: EngineUnderTest;
    let engine: Engine;
    let blockTokens: number;

    beforeAll(async () => {
      subject = await makeEngine();
      engine = subject.engine;
      blockTokens = (await engine.describe(never)).blockTokens ?? 256;
    }, timeoutMs);
    afterAll(async () => subject.dispose(), timeoutMs);

    /** A context of some full blocks and a rest, no two alike. */
    const freshContext = async (blocks = blocksOfText): Promise<KvContext> => {
      const wanted = Math.max(leastTokensOfText, blocks * blockTokens + Math.ceil(blockTokens / 2));
      const ids: number[] = [];
      for (let part = 0; ids.length < wanted; part++) {
        ids.push(...(await engine.tokenize([{ role: 'user', content: sentence(part) }], false, never)));
      }
      return { ids: ids.slice(0, wanted), salt: randomSalt(), handle: null };
    };
    const floor = (tokens: number): number => Math.floor((tokens - 1) / blockTokens) * blockTokens;
    const persisted = async (): Promise<KvContext> => {
      const context = await freshContext();
      const { handle } = await engine.persist(context, never);
      return { ...context, handle };
    };
    const chat: readonly ChatMessage[] = [
      { role: 'system', content: 'You answer in one line.' },
      { role: 'user', content: `Repeat: ${sentence(0)}` },
    ];

    test('describe tells version, model and block size, and the same again', async () => {
      const first = await engine.describe(never);
      expect(first.version).not.toBe('');
      expect(first.model.id).not.toBe('');
      expect(first.blockTokens === null || first.blockTokens > 0).toBe(true);
      expect(await engine.describe(never)).toEqual(first);
    });

    test('a probe finds what the engine can do within four tiny requests, and is remembered', async () => {
      const found = await engine.probe(never);
      const { items, cost } = found;
      expect(cost.requests).toBeLessThanOrEqual(4);
      expect(cost.promptTokens).toBeLessThanOrEqual(4 * (3 * blockTokens + 1));
      const { kind } = await engine.describe(never);
      const applicable = capabilityNames.filter((name) => name !== 'block-events' || kind === 'vllm');
      expect(items.map(({ name }) => name)).toEqual(applicable);
      expect(items.filter(({ found }) => found === '')).toEqual([]);
      const stateOf = (name: CapabilityName) => items.find((item) => item.name === name)?.state;
      expect(stateOf('ready')).toBe('yes');
      expect(stateOf('tokenizer')).toBe('yes');
      expect(stateOf('token-ids')).toBe('yes');
      expect(stateOf('canary')).toBe(subject.givesCanary ? 'yes' : 'no');
      expect(stateOf('reuse')).toBe(subject.tellsReuse ? 'yes' : 'unknown');
      const isolation = (subject.heedsSalt ?? true) ? 'yes' : 'no';
      expect(stateOf('isolation')).toBe(subject.tellsReuse ? isolation : 'unknown');
      expect(stateOf('block-files')).toBe(subject.blocksReachable ? 'yes' : 'no');
      expect(await engine.probe(never)).toEqual(found);
    });

    test('generate streams its text, and returns the ids of prompt and answer', async () => {
      const deltas: string[] = [];
      const request = { messages: chat, salt: randomSalt(), maxTokens: 8, temperature: 0, addGenerationPrompt: true };
      const ids: number[] = [];
      let promptIds: readonly number[] | undefined;
      const hear: OnPiece = (piece) => {
        deltas.push(piece.text ?? '');
        ids.push(...(piece.ids ?? []));
        promptIds ??= piece.promptIds;
      };
      const answer = await engine.generate(request, hear, never);
      expect(deltas.join('')).toBe(answer.text);
      if (answer.idsSource === 'engine')
        expect({ ids, promptIds }).toEqual({ ids: answer.outputIds, promptIds: answer.promptIds });
      expect(answer.promptIds).toEqual(await engine.tokenize(chat, true, never));
      expect(answer.outputIds.length).toBeGreaterThan(0);
      expect(answer.outputIds.length).toBeLessThanOrEqual(8);
      expect(['stop', 'length']).toContain(answer.finishReason);
      expect(answer.reuse.promptTokens).toBe(answer.promptIds.length);
    });

    test('generate without a generation prompt computes what the next turn begins with', async () => {
      const request = { messages: chat, salt: randomSalt(), maxTokens: 1, temperature: 0, addGenerationPrompt: false };
      const primed = await engine.generate(request, () => undefined, never);
      const next = await engine.tokenize([...chat, { role: 'user', content: 'And now?' }], true, never);
      expect(next.slice(0, primed.promptIds.length)).toEqual(primed.promptIds);
    });

    test('S0-42 reuse after persist reaches the floor under the same salt, and is 0 under another', async () => {
      const context = await persisted();
      const again = await engine.measure(context, never);
      const control = await engine.measure({ ...context, salt: randomSalt(), handle: null }, never);
      expect(again.reuse.promptTokens).toBe(context.ids.length);
      if (!subject.tellsReuse) {
        expect(again.reuse.cachedTokens).toBeNull();
        return;
      }
      expect(again.reuse.cachedTokens).toBeGreaterThanOrEqual(floor(context.ids.length));
      expect(control.reuse.cachedTokens).toBe(0);
    });

    test('a context that no request ever had is reported as not reused, not as unknown', async () => {
      const { reuse } = await engine.measure(await freshContext(), never);
      expect(reuse.cachedTokens).toBe(subject.tellsReuse ? 0 : null);
    });

    test('the canary is the same each time it is served from the cache, and depends on the context', async () => {
      const context = await persisted();
      const canaries = [await engine.measure(context, never), await engine.measure(context, never)];
      if (!subject.givesCanary) {
        expect(canaries.map(({ canary }) => canary)).toEqual([null, null]);
        return;
      }
      expect(canaries[0]?.canary?.topLogprobs.length).toBeGreaterThan(1);
      expect(canaries[1]?.canary).toEqual(canaries[0]?.canary);
      const other = await engine.measure(await persisted(), never);
      expect(other.canary).not.toEqual(canaries[0]?.canary);
    });

    test('a longer context reuses the blocks of the shorter one', async () => {
      const context = await persisted();
      const { ids } = await freshContext(2);
      const { reuse } = await engine.measure({ ...context, ids: [...context.ids, ...ids] }, never);
      if (subject.tellsReuse) expect(reuse.cachedTokens).toBeGreaterThanOrEqual(floor(context.ids.length));
    });

    test('after a restart, restore and measure find what was persisted, or say that it is gone', async () => {
      if (!subject.restart) return;
      const context = await persisted();
      const before = await engine.measure(context, never);
      await subject.restart();
      const restored = await engine.restore(context, never);
      const after = await engine.measure(context, never);
      if (!subject.tellsReuse) return;
      if (subject.survivesRestart) {
        expect(['on-demand', 'restored']).toContain(restored.outcome);
        expect(after.reuse.cachedTokens).toBeGreaterThanOrEqual(floor(context.ids.length));
        expect(after.canary).toEqual(before.canary);
      } else {
        expect(after.reuse.cachedTokens).toBe(0);
      }
    });

    test('block files: every full block is on disk after persist, has a checksum, and can be forgotten', async () => {
      const context = await persisted();
      const location = await engine.locate(context, never);
      expect(location.reachable).toBe(subject.blocksReachable);
      if (!location.reachable) {
        expect(location.why).not.toBe('');
        return;
      }
      const hashes = location.blocks.map(({ hash }) => hash);
      const isWhole = subject.keepsContextsWhole ?? false;
      const tails = subject.storesTails === true ? 1 : 0;
      expect(hashes).toHaveLength(isWhole ? 1 : Math.floor(context.ids.length / blockTokens) + tails);
      expect(location.blocks.filter(({ stat }) => stat === null)).toEqual([]);
      const checksums = await engine.checksum(hashes, never);
      expect(checksums.every((checksum) => checksum !== null && /^[0-9a-f]{64}$/.test(checksum))).toBe(true);
      expect(new Set(checksums).size).toBe(hashes.length);

      const keptCount = isWhole ? 0 : 1;
      const forgotten = location.blocks.slice(keptCount);
      const forgottenBytes = forgotten.reduce((total, { stat }) => total + (stat?.sizeBytes ?? 0), 0);
      const target = { hashes: forgotten.map(({ hash }) => hash), handle: context.handle };
      expect(await engine.forget(target, never)).toBe(forgottenBytes);
      const after = await engine.locate(context, never);
      const isKept = hashes.map((_, index) => index < keptCount);
      const there = after.reachable ? after.blocks.filter(({ stat }) => stat !== null).map(({ hash }) => hash) : [];
      expect(hashes.map((hash) => there.includes(hash))).toEqual(isKept);
      const kept = checksums.map((checksum, index) => (isKept[index] ? checksum : null));
      expect(await engine.checksum(hashes, never)).toEqual(kept);
      expect(await engine.forget(target, never)).toBe(0);
    });

    test('a block hash that is no hash never becomes a path', async () => {
      const evil = ['../../../etc/passwd', 'A'.repeat(64), `${'0'.repeat(63)}/`, ''];
      for (const hash of evil) {
        await expect(engine.checksum([hash], never)).rejects.toMatchObject({ code: 'CWM-1003' });
        await expect(engine.forget({ hashes: [hash], handle: null }, never)).rejects.toMatchObject({
          code: 'CWM-1003',
        });
      }
    });

    test('more tokens than the model takes are refused, and no ids at all as well', async () => {
      const { model } = await engine.describe(never);
      const salt = randomSalt();
      if (model.maxModelLen !== null) {
        const ids = Array.from({ length: model.maxModelLen + 1 }, () => 65);
        await expect(engine.measure({ ids, salt, handle: null }, never)).rejects.toMatchObject({ code: 'CWM-7011' });
      }
      await expect(engine.measure({ ids: [], salt, handle: null }, never)).rejects.toMatchObject({ code: 'CWM-1003' });
    });

    test('S0-43 an abort ends a call with CWM-6003, before it began and in the middle, and the engine goes on', async () => {
      const context = await freshContext();
      const aborted = AbortSignal.abort();
      await expect(engine.describe(aborted)).rejects.toMatchObject({ code: 'CWM-6003' });
      await expect(engine.measure(context, aborted)).rejects.toMatchObject({ code: 'CWM-6003' });
      await expect(engine.persist(context, aborted)).rejects.toMatchObject({ code: 'CWM-6003' });
      await expect(engine.locate(context, aborted)).rejects.toMatchObject({ code: 'CWM-6003' });

      const controller = new AbortController();
      const request = { messages: chat, salt: randomSalt(), maxTokens: 64, temperature: 0, addGenerationPrompt: true };
      const answer = engine.generate(request, ({ text }) => text && controller.abort(), controller.signal);
      await expect(answer).rejects.toMatchObject({ code: 'CWM-6003' });
      expect((await engine.measure(context, never)).reuse.promptTokens).toBe(context.ids.length);
    });

    test('calls that change the cache wait for each other, and one that leaves the queue does so at once', async () => {
      const contexts = [await freshContext(1), await freshContext(1), await freshContext(1)] as const;
      const controller = new AbortController();
      const first = engine.measure(contexts[0], never);
      const leaving = engine.measure(contexts[1], controller.signal);
      const last = engine.measure(contexts[2], never);
      controller.abort();
      await expect(leaving).rejects.toMatchObject({ code: 'CWM-6003' });
      await expect(Promise.all([first, last])).resolves.toHaveLength(2);
    });
  });
}

const words = 'river stone garden letter winter orange silver morning candle forest'.split(' ');

/** Plain text that differs with each part and each call, so that no two contexts are the same. */
function sentence(part: number): string {
  const pick = (): string => words[Math.floor(Math.random() * words.length)] ?? 'word';
  return `Line ${part}: ${Array.from({ length: 12 }, pick).join(' ')}.`;
}
