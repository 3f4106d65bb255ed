import { createSecretKey } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPrices } from '../../../src/backend/metrics/prices.ts';
import { tokenUsage } from '../../../src/backend/metrics/tokenUsage.ts';
import { UsageLedger } from '../../../src/backend/metrics/usageLedger.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';
import type { TokensTaken } from '../../../src/protocol/schemas/session.ts';
import { plainEnvelope, sealedEnvelope } from '../../../src/store/encryption/envelope.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();

const session = 's' as SessionId;

const aTurn = (changes: Partial<TokensTaken> = {}): TokensTaken => ({
  model: 'qwen',
  promptTokens: 1_000,
  cachedTokens: 800,
  outputTokens: 50,
  ...changes,
});

function ledgers(directory = makeDirectory(), envelope = plainEnvelope) {
  const file = path.join(directory, 'usage.jsonl');
  const failures: unknown[] = [];
  const said: string[] = [];
  const log = {
    write: (_: string, event: string) => void said.push(event),
    failure: (_: string, error: unknown) => void failures.push(error),
  };
  const today = { now: new Date(2026, 2, 9, 23, 59) };
  const open = async (isReadOnly = false): Promise<UsageLedger> => {
    const ledger = new UsageLedger(file, envelope, { now: () => today.now }, log);
    await ledger.load(isReadOnly);
    return ledger;
  };
  return { directory, file, failures, said, today, open };
}

const report = async (ledger: UsageLedger, input: Parameters<typeof tokenUsage>[1] = {}, prices = '/nowhere') =>
  tokenUsage(
    {
      lines: ledger.lines,
      prices: await readPrices(prices),
      pricesFile: prices,
      titleOf: async (id) => `Title ${id}`,
      requestsOf: async () => [],
    },
    input,
  );

describe('S1-35 the usage of tokens', () => {
  test('the sums are those of all processes, by day, session, client and model', async () => {
    const { open, today, failures } = ledgers();
    const first = await open();
    first.add(session, 'vscode', aTurn());
    first.add(session, 'vscode', aTurn({ cachedTokens: 0 }));
    today.now = new Date(2026, 2, 10);
    first.add('t' as SessionId, 'cli', aTurn({ model: 'gpt' }));
    await first.close();
    const second = await open();
    second.add(session, 'http', aTurn({ model: 'gpt' }));
    expect((await report(second)).total).toMatchObject({
      requests: 4,
      promptTokens: 4_000,
      cachedTokens: 2_400,
      computedTokens: 1_600,
      outputTokens: 200,
    });
    const named = async (by: 'model' | 'source' | 'day' | 'session') =>
      (await report(second, { by })).items.map(({ name, requests }) => [name, requests]);
    expect(await named('day')).toEqual([
      ['2026-03-10', 2],
      ['2026-03-09', 2],
    ]);
    expect(await named('model')).toEqual([
      ['qwen', 2],
      ['gpt', 2],
    ]);
    expect(await named('source')).toContainEqual(['http', 1]);
    expect((await report(second, { by: 'session' })).items[0]).toMatchObject({ name: 's', title: 'Title s' });
    expect((await report(second, { from: '2026-03-10', session: 't' })).total.requests).toBe(1);
    expect((await report(second, { to: '2026-03-09' })).total.requests).toBe(2);
    await expect(report(second, { from: '2026-02-30' })).rejects.toMatchObject({ name: 'InvalidParameter' });
    await second.close();
    expect(failures).toEqual([]);
  });

  test('what no server said is null, never 0, and a request without counts is counted as one', async () => {
    const ledger = await ledgers().open();
    ledger.add(session, 'cli', aTurn({ cachedTokens: null }));
    expect((await report(ledger)).total).toMatchObject({
      promptTokens: 1_000,
      cachedTokens: null,
      untoldTokens: 1_000,
    });
    ledger.add(session, 'cli', aTurn({ model: 'mute', promptTokens: null, cachedTokens: null, outputTokens: null }));
    const { items, total } = await report(ledger);
    expect(items.find(({ name }) => name === 'mute')).toMatchObject({
      requests: 1,
      uncounted: 1,
      promptTokens: null,
      cachedTokens: null,
      outputTokens: null,
    });
    expect(total).toMatchObject({ promptTokens: 1_000, uncounted: 1 });
  });

  test('a price is for a million tokens, with one of its own for those that were reused; a model without a price costs null', async () => {
    const { directory, open } = ledgers();
    const prices = path.join(directory, 'prices.json');
    writeFileSync(
      prices,
      JSON.stringify({
        currency: 'EUR',
        models: {
          qwen: { input: 2, cachedInput: 0.5, output: 8 },
          own: { input: 0, output: 0 },
          plain: { input: 2, output: 8 },
          odd: { input: 'much' },
        },
      }),
    );
    const ledger = await open();
    for (const model of ['qwen', 'own', 'plain']) ledger.add(session, 'cli', aTurn({ model }));
    const before = await report(ledger, {}, prices);
    const cost = (name: string) => before.items.find((item) => item.name === name)?.cost;
    expect(cost('qwen')).toBeCloseTo((200 * 2 + 800 * 0.5 + 50 * 8) / 1e6, 12);
    expect(cost('plain')).toBeCloseTo((1_000 * 2 + 50 * 8) / 1e6, 12);
    expect(cost('own')).toBe(0);
    expect(before).toMatchObject({ currency: 'EUR', unpriced: [], notes: [expect.stringContaining('"odd"')] });
    expect(before.total.cost).toBeCloseTo((cost('qwen') ?? 0) + (cost('plain') ?? 0), 12);
    ledger.add(session, 'cli', aTurn({ model: 'odd' }));
    const after = await report(ledger, {}, prices);
    expect(after.total.cost).toBeNull();
    expect(after.items.find(({ name }) => name === 'odd')?.cost).toBeNull();
    expect(after.unpriced).toEqual(['odd']);
    writeFileSync(prices, 'input: 2');
    expect((await report(ledger, {}, prices)).notes).toEqual([`${prices} is not JSON.`]);
  });

  test('a kill in the middle of a line costs that line, and a damaged line costs itself', async () => {
    const { file, open, said } = ledgers();
    const first = await open();
    for (const model of ['a', 'b', 'c']) first.add(session, 'cli', aTurn({ model }));
    await first.close();
    const damaged = readFileSync(file, 'utf8').replace('"model":"b"', '"model":"x"');
    writeFileSync(file, damaged);
    appendFileSync(file, '0123');
    const second = await open();
    expect(second.lines.map(({ model }) => model)).toEqual(['a', 'c']);
    expect(said).toEqual(['damaged lines of the usage were left out']);
    second.add(session, 'cli', aTurn({ model: 'd' }));
    await second.close();
    expect((await open()).lines.map(({ model }) => model)).toEqual(['a', 'c', 'd']);
  });

  test('a file with many more lines than sums is written again at the start, and a file that is only read stays as it is', async () => {
    const { file, open } = ledgers();
    const first = await open();
    for (let turn = 0; turn < 1_100; turn++) first.add(session, 'cli', aTurn());
    await first.close();
    const long = statSync(file).size;
    expect((await open(true)).lines).toMatchObject([{ requests: 1_100 }]);
    expect(statSync(file).size).toBe(long);
    await open();
    expect(statSync(file).size).toBeLessThan(long / 500);
    expect((await open()).lines).toMatchObject([{ requests: 1_100, promptTokens: 1_100_000 }]);
  });

  test('while the file cannot be written nothing is lost, and the next write has it all', async () => {
    const { directory, file, failures, open } = ledgers(path.join(makeDirectory(), 'gone'));
    const first = await open();
    first.add(session, 'cli', aTurn());
    await first.close();
    expect(failures).not.toEqual([]);
    mkdirSync(directory);
    first.add(session, 'cli', aTurn());
    await first.close();
    expect((await open()).lines).toMatchObject([{ requests: 2 }]);
    expect(statSync(file).mode & 0o077).toBe(0);
  });
});

test('S0-60 in an encrypted store neither a session nor a model is in the file, and what was in clear is encrypted when it is opened', async () => {
  const directory = makeDirectory();
  const clear = ledgers(directory);
  const first = await clear.open();
  first.add(session, 'vscode', aTurn());
  await first.close();
  expect(readFileSync(clear.file, 'utf8')).toContain('qwen');
  const key = createSecretKey(Buffer.alloc(32, 7));
  const sealed = ledgers(directory, sealedEnvelope(key));
  const second = await sealed.open();
  expect(readFileSync(sealed.file, 'latin1')).not.toMatch(/qwen|vscode/);
  second.add(session, 'vscode', aTurn());
  await second.close();
  expect(readFileSync(sealed.file, 'latin1')).not.toMatch(/qwen|vscode/);
  expect((await sealed.open()).lines).toMatchObject([{ requests: 2, model: 'qwen' }]);
  expect([...clear.failures, ...sealed.failures, ...sealed.said]).toEqual([]);
});
