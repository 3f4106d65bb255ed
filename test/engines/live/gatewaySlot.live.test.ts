import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withBackendOn } from '../../../bench/passingBackend.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { oneSlotServer } from './oneSlotServer.ts';

interface Usage {
  readonly prompt_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number };
}

/** A client's conversation, which it sends whole each time. */
class Talk {
  readonly #url: string;
  readonly #token: string;
  readonly #messages: { readonly role: string; readonly content: string }[];

  constructor(name: string, url: string, token: string) {
    this.#url = url;
    this.#token = token;
    const rules = Array.from({ length: 80 }, (_, at) => `Rule ${at} of ${name}: be brief and kind.`);
    this.#messages = [{ role: 'system', content: rules.join('\n') }];
  }

  /** @returns the tokens of the prompt, and those of them that were not computed. */
  async ask(): Promise<Asked> {
    this.#messages.push({ role: 'user', content: `Question ${this.#messages.length}?` });
    const answer = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-cwm-token': this.#token },
      body: JSON.stringify({ model: 'served', messages: this.#messages, max_tokens: 4, temperature: 0 }),
    });
    const { choices, usage } = (await answer.json()) as {
      choices: { readonly message: { readonly content: string } }[];
      usage: Usage;
    };
    this.#messages.push({ role: 'assistant', content: choices[0]?.message.content ?? '' });
    return { sent: usage.prompt_tokens, reused: usage.prompt_tokens_details?.cached_tokens ?? 0 };
  }
}

/** Prompt tokens that a llama-server computed since it started, of whatever request. */
async function computedBy(engine: string): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', engine))).text();
  return Number(/^llamacpp:prompt_tokens_total (\d+)/m.exec(metrics)?.[1]);
}

/** @param run gets a way to begin a conversation, and the directory where everything is stored. */
async function throughGateway<T>(
  engine: string,
  run: (talk: (name: string) => Talk, storage: string) => Promise<T>,
): Promise<T> {
  const storage = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return withBackendOn(
    storage,
    async (client) => {
      const { http } = await client.connect();
      const token = (await readFile(join(storage, 'http-token'), 'utf8')).trim();
      return run((name) => new Talk(name, `${http ?? ''}/p/live/v1/chat/completions`, token), storage);
    },
    ['--http', '127.0.0.1:0', '--engine', engine],
  );
}

interface Asked {
  readonly sent: number;
  readonly reused: number;
}

const told = (asked: readonly Asked[]): string => asked.map(({ sent, reused }) => `${reused} of ${sent}`).join(', ');

/** The last answer and the new question are computed, and what a sliding window loses. */
function expectContinued(asked: readonly Asked[]): void {
  for (const { sent, reused } of asked) expect(reused, told(asked)).toBeGreaterThan(sent - 80);
}

describe('the gateway before a llama-server with one slot', () => {
  test('two conversations that take turns at once continue from their slot files, and compute no prompt twice', async () => {
    const { engine } = await oneSlotServer({ modelPath: gemmaModel(), contextTokens: 2048 });
    const { asked, computed } = await throughGateway(engine, async (talk) => {
      const talks = ['one', 'other'].map(talk);
      for (const each of talks) await each.ask();
      const before = await computedBy(engine);
      const switched: Asked[] = [];
      for (let round = 0; round < 2; round++) for (const each of talks) switched.push(await each.ask());
      return { asked: switched, computed: (await computedBy(engine)) - before };
    });
    noteFigure(
      `llama-server with one slot through the gateway, conversations that take turns at once: ${told(asked)}; ${computed} tokens computed in all`,
    );
    expectContinued(asked);
    // Saving, reading back and canaries compute a few tokens each time; a whole prompt is more than 1,000.
    expect(computed).toBeLessThan(1000);
  }, 240_000);
});

describe('the gateway before a llama-server with two slots', () => {
  test.each([
    ['of its own for each', { cacheRamMib: 0 }],
    ['in one cache, which is what it does by itself', { cacheRamMib: 8192, sharesCache: true }],
  ])(
    'three conversations that take turns at once continue, and the end of the server costs none of them more than its last turn: slots %s',
    async (which, more) => {
      const started = await oneSlotServer({ modelPath: gemmaModel(), contextTokens: 4096, slots: 2, ...more });
      const { engine } = started;
      const { turns, computed, after, afterwards } = await throughGateway(engine, async (talk) => {
        const talks = ['one', 'other', 'third'].map(talk);
        for (const each of talks) await each.ask();
        const before = await computedBy(engine);
        const turns: Asked[] = [];
        for (let round = 0; round < 2; round++) for (const each of talks) turns.push(await each.ask());
        const computed = (await computedBy(engine)) - before;
        await started.kill();
        await started.startAgain();
        const after: Asked[] = [];
        for (const each of talks) after.push(await each.ask());
        return { turns, computed, after, afterwards: await computedBy(engine) };
      });
      noteFigure(
        `llama-server with two slots ${which} through the gateway, three conversations that take turns at once: ${told(turns)}; ${computed} tokens computed in all; after kill -9: ${told(after)}; ${afterwards} tokens computed in all`,
      );
      expectContinued(turns);
      expect(computed).toBeLessThan(1000);
      // What was in a slot when the server ended is at most a turn ahead of its checkpoint.
      for (const { sent, reused } of after) expect(reused, told(after)).toBeGreaterThan(0.8 * sent);
    },
    480_000,
  );
});
