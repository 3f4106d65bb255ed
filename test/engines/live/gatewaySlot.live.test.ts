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
  async ask(): Promise<{ readonly sent: number; readonly reused: number }> {
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

describe('the gateway before a llama-server with one slot', () => {
  test('two conversations that take turns at once continue from their slot files, and compute no prompt twice', async () => {
    const { engine } = await oneSlotServer({ modelPath: gemmaModel(), contextTokens: 2048 });
    const storage = await mkdtemp(join(tmpdir(), 'cwm-live-'));
    onTestFinished(() => rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
    const { asked, computed } = await withBackendOn(
      storage,
      async (client) => {
        const { http } = await client.connect();
        const token = (await readFile(join(storage, 'http-token'), 'utf8')).trim();
        const url = `${http ?? ''}/p/live/v1/chat/completions`;
        const talks = ['one', 'other'].map((name) => new Talk(name, url, token));
        for (const talk of talks) await talk.ask();
        const before = await computedBy(engine);
        const switched: { readonly sent: number; readonly reused: number }[] = [];
        for (let round = 0; round < 2; round++) for (const talk of talks) switched.push(await talk.ask());
        return { asked: switched, computed: (await computedBy(engine)) - before };
      },
      ['--http', '127.0.0.1:0', '--engine', engine],
    );
    const told = asked.map(({ sent, reused }) => `${reused} of ${sent}`).join(', ');
    noteFigure(
      `llama-server with one slot through the gateway, conversations that take turns at once: ${told}; ${computed} tokens computed in all`,
    );
    // The last answer and the new question are computed, and what a sliding window loses.
    for (const { sent, reused } of asked) expect(reused).toBeGreaterThan(sent - 80);
    // Saving, reading back and canaries compute a few tokens each time; a whole prompt is more than 1,000.
    expect(computed).toBeLessThan(1000);
  }, 240_000);
});
