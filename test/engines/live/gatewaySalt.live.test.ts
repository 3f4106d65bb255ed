import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withBackendOn } from '../../../bench/passingBackend.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { oneSlotServer } from './oneSlotServer.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const minutes = 60_000;

/** Of the system prompt that every conversation has. The whole length is for the night: computing it takes minutes on a CPU. */
const wanted = process.env['CWM_NIGHTLY'] === '1' ? 8192 : 1024;
/** The prompt's tokens are counted by its characters, roughly: the figure says what they were. */
const contextTokens = 2 * wanted;

interface Asked {
  readonly sent: number;
  readonly reused: number;
  /** Until the answer's end, which is one token. */
  readonly ms: number;
}

const rule = (at: number): string => `Rule ${at}: be brief and kind.`;

/** @param rules in the system prompt. @returns what the server said of each conversation: two of one project, then two of another. */
async function conversations(args: readonly string[], model: string, rules: number): Promise<readonly Asked[]> {
  const storage = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const system = Array.from({ length: rules }, (_, at) => rule(at)).join('\n');
  return withBackendOn(
    storage,
    async (client) => {
      const { http } = await client.connect();
      const token = (await readFile(join(storage, 'http-token'), 'utf8')).trim();
      const asked: Asked[] = [];
      for (const project of ['one', 'other'])
        for (const question of ['Why is the sky blue?', 'How deep is the sea, and how many fish does it have?']) {
          const messages = [
            { role: 'system', content: system },
            { role: 'user', content: question },
          ];
          const started = performance.now();
          const answer = await fetch(`${http ?? ''}/p/${project}/v1/chat/completions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-cwm-token': token },
            body: JSON.stringify({ model, messages, max_tokens: 1, temperature: 0 }),
            signal: AbortSignal.timeout(30 * minutes),
          });
          const text = await answer.text();
          const ms = performance.now() - started;
          expect(answer.status, text).toBe(200);
          const [reused, sent] = (answer.headers.get('x-cwm-reused') ?? '').split('/').map(Number);
          asked.push({ sent: sent ?? Number.NaN, reused: reused ?? Number.NaN, ms });
        }
      return asked;
    },
    ['--http', '127.0.0.1:0', ...args],
  );
}

function note(server: string, asked: readonly Asked[]): void {
  const told = asked.map(({ sent, reused, ms }) => `${reused} of ${sent} in ${(ms / 1000).toFixed(1)} s`);
  noteFigure(
    `The same system prompt through the gateway, ${server}: one project ${told.slice(0, 2).join(', ')}; another ${told.slice(2).join(', ')}`,
  );
}

/** A question and the template's own words. */
const rest = 100;

/** The second conversation of each project computes its question, and no project finds what the other has. */
function expectSeparate(asked: readonly Asked[], blockTokens: number, foreign = 0): void {
  for (const [at, { sent, reused }] of asked.entries()) {
    if (at % 2 === 1) expect(reused).toBeGreaterThan(sent - rest - blockTokens);
    else expect(reused).toBeLessThanOrEqual(at === 0 ? 0 : foreign);
  }
}

describe('two conversations of a project with the same long system prompt, and two of another project, through the gateway', () => {
  const gemmaRules = Math.floor(wanted / 10);

  test(
    'on the embedded engine, the second one reuses it and another project nothing',
    async () => {
      const args = [
        '--engine',
        `embedded:${gemmaModel()}`,
        '--embedded-context',
        String(contextTokens),
        '--embedded-threads',
        '1',
      ];
      const asked = await conversations(args, 'gemma-3-270m-q4_k_m', gemmaRules);
      note('embedded engine, Gemma 3 270M', asked);
      expectSeparate(asked, 32);
      const short = await conversations(args, 'gemma-3-270m-q4_k_m', 43);
      note('embedded engine, Gemma 3 270M, a short one', short);
      expectSeparate(short, 32);
    },
    60 * minutes,
  );

  test(
    'on vLLM, the second one reuses its floor and another project nothing',
    async () => {
      const server = await startVllm(
        {
          model: await vllmModel('tiny', { signal: never }),
          connector: 'none',
          servedName: 'served',
          maxModelLen: contextTokens,
        },
        never,
      );
      onTestFinished(() => server.stop());
      const asked = await conversations(['--engine', server.url], 'served', gemmaRules);
      note('vLLM, a tiny model', asked);
      expectSeparate(asked, 32);
    },
    30 * minutes,
  );

  test(
    'on llama-server, the second one reuses it, and the first one of another project computes it',
    async () => {
      const { engine } = await oneSlotServer({ modelPath: gemmaModel(), contextTokens });
      const asked = await conversations(['--engine', engine], 'served', gemmaRules);
      note('llama-server with one slot, Gemma 3 270M', asked);
      expectSeparate(asked, 512);
    },
    60 * minutes,
  );
});
