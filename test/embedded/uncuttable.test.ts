import { rmSync, statSync, truncateSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blockNames, cachedBy, EngineProcess, promptIds, saidBy, type Completion } from './support/engineProcess.ts';
import { writeOddModel, type OddArchitecture } from './support/oddModel.ts';
import { scratch, type Scratch } from './support/smallModel.ts';

interface Usage {
  readonly prompt_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

describe.each<OddArchitecture>(['gemma3', 'mamba', 'lfm2'])('a model whose state cannot be cut: %s', (architecture) => {
  let folder: Scratch;
  let model: string;
  let engine: EngineProcess;
  const conversation = promptIds(300, 1);

  const restart = async (): Promise<void> => {
    await engine.kill();
    engine = await EngineProcess.start(engine.kvDir, '--model', model);
  };
  /** What a place holds, whatever was computed before. */
  const stateFile = async (ids: readonly number[], blocks: number): Promise<string> => {
    const name = blockNames(ids)[blocks - 1] ?? '';
    return (await engine.kvFile(name)).replace(/\.kv$/, '.state');
  };

  beforeAll(async () => {
    folder = scratch();
    model = writeOddModel(`${folder.path}/odd.gguf`, architecture);
    engine = await EngineProcess.start(`${folder.path}/kv`, '--model', model);
  });
  afterAll(async () => {
    await engine.kill();
    folder[Symbol.dispose]();
  });

  it('reuses the floor of the same prompt, and says the same, bit for bit', async () => {
    const cold = await engine.complete(conversation);
    const again = await engine.complete(conversation);
    expect([cold, again].map(cachedBy)).toEqual([0, 288]);
    expect(saidBy(again)).toEqual(saidBy(cold));
  });

  it('continues a conversation in memory, from where the last answer ended', async () => {
    const prompt = promptIds(200, 2);
    const answer = await engine.complete(prompt);
    const next = [...prompt, ...(answer.choices[0]?.token_ids ?? []), ...promptIds(40, 3)];
    // The last token of an answer is said, not evaluated.
    expect(cachedBy(await engine.complete(next))).toBe(prompt.length + 7);
  });

  it('branches from the place where a turn ended, as if it had been computed', async () => {
    const stem = promptIds(320, 5);
    await engine.complete([...stem, 300], { max_tokens: 1 });
    const first = await engine.complete([...stem, ...promptIds(64, 6)]);
    const second = await engine.complete([...stem, ...promptIds(64, 7)]);
    expect([first, second].map(cachedBy)).toEqual([expect.any(Number), 320]);
    const elsewhere = await engine.complete([...stem, ...promptIds(64, 7)], { cache_salt: 'elsewhere' });
    expect(cachedBy(elsewhere)).toBe(0);
    expect(second.choices[0]?.token_ids).toEqual(elsewhere.choices[0]?.token_ids);
  });

  it('continues behind the system prompt that two chats have in common, however short it is and however long their questions', async () => {
    const system = { role: 'system', content: 'Be brief and kind. '.repeat(12) };
    const ask = async (question: string, more: object = {}) => {
      const messages = [system, { role: 'user', content: question }];
      const body = { messages, max_tokens: 1, temperature: 0, ...more };
      const answer = await engine.json<{ usage: Usage }>('/v1/chat/completions', body);
      const { prompt_tokens: sent, prompt_tokens_details: details } = answer.usage;
      return { sent, reused: details.cached_tokens };
    };
    const { count } = await engine.json<{ count: number }>('/tokenize', {
      messages: [system],
      add_generation_prompt: false,
    });
    expect(count).toBeGreaterThan(64);
    expect(count).toBeLessThan(400);
    const first = await ask('How deep is the sea? '.repeat(150));
    expect(first.sent).toBeGreaterThan(1024);
    expect(first.reused).toBe(0);
    const second = await ask('Why is the sky blue?');
    expect(second.reused).toBeGreaterThan(count - 64);
    expect(second.reused).toBeLessThanOrEqual(count);
    expect((await ask('Why is the sky blue?', { cache_salt: 'elsewhere' })).reused).toBe(0);
  });

  describe('after kill -9', () => {
    const changing = promptIds(1200, 8);
    const damaged = promptIds(250, 10);
    const prompt = promptIds(700, 4);
    let before: Completion;
    let whole: Completion;

    // One restart for all: a start takes as long as everything else here.
    beforeAll(async () => {
      await engine.complete(changing);
      before = await engine.complete(prompt, { max_tokens: 24 });
      whole = await engine.complete(damaged);
      await restart();
      const file = await stateFile(damaged, 7);
      truncateSync(file, statSync(file).size - 1);
    });

    it('loses nothing: the same tokens, the same bits', async () => {
      const after = await engine.complete(prompt, { max_tokens: 24 });
      expect(cachedBy(after)).toBe(672);
      expect(saidBy(after)).toEqual(saidBy(before));
    });

    it('reuses up to one batch earlier when the end of a turn changes afterwards', async () => {
      const changed = [...changing.slice(0, 1160), ...promptIds(40, 9)];
      expect(cachedBy(await engine.complete(changed))).toBe(1024);
    });

    it('never continues from a damaged state: it is deleted, computed again, and the answer is the same', async () => {
      const healed = await engine.complete(damaged);
      expect(cachedBy(healed)).toBe(0);
      expect(healed.choices[0]?.token_ids).toEqual(whole.choices[0]?.token_ids);
      await restart();
      expect(cachedBy(await engine.complete(damaged))).toBe(224);
      rmSync(await stateFile(damaged, 7));
    });
  });
});
