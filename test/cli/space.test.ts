import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PruneResult, TrashItem, Usage } from '../../src/protocol/schemas/space.ts';
import { readRecord, realBackends } from '../client/support/realBackends.ts';
import { until } from '../support/until.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { cliOn, type Cli } from './support/cli.ts';
import { startCli } from './support/cliProcess.ts';

const { makeStorage } = realBackends();
const startHere = wholeBackends();
const budgetBytes = 8e5;

/** Sizes of the block files, by name. */
function blockFiles(storage: string): Map<string, number> {
  const names = readdirSync(join(storage, 'kv'), { recursive: true, encoding: 'utf8' });
  return new Map(
    names.filter((name) => name.endsWith('.kv')).map((name) => [name, statSync(join(storage, 'kv', name)).size]),
  );
}

const sum = (sizes: Iterable<number>): number => [...sizes].reduce((a, b) => a + b, 0);

async function usage(cwm: Cli): Promise<Usage> {
  return (await cwm.json('usage')) as unknown as Usage;
}

/** A backend with a budget that two windows fill. */
async function serve(storage: string): Promise<void> {
  startCli(['serve', '--storage', storage, '--kv-budget-gb', String(budgetBytes / 1e9), '--storage-quota-gb', '50']);
  await until('the backend is announced', () => {
    try {
      return readRecord(storage);
    } catch {
      return null;
    }
  });
}

describe('cwm, space on the embedded engine', () => {
  it('S0-50 S0-12 enforces the KV budget while the engine runs, measures, pins, prunes, and restores', async () => {
    const storage = makeStorage();
    const project = makeStorage();
    await serve(storage);
    const cwm = cliOn(storage, project);
    const freeze = async (name: string): Promise<void> => {
      const lines = Array.from({ length: 40 }, (_, line) => `export const ${name}${line} = ${line};`);
      writeFileSync(join(project, `${name}.ts`), lines.join('\n'));
      await cwm.json('session', 'new', '--id', `s-${name}`);
      await cwm.json('prime', `s-${name}`, `${name}.ts`);
      const receipt = await cwm.json('freeze', `s-${name}`, name);
      expect(receipt).toMatchObject({ verdict: 'proven', tier: 'disk' });
      // Each is under the budget, and three of them are not.
      expect(receipt['kvBytes']).toBeLessThan(0.95 * budgetBytes);
      expect(receipt['kvBytes']).toBeGreaterThan(budgetBytes / 3);
    };

    await freeze('first');
    await cwm.json('pin', 'first');
    await freeze('second');
    await freeze('third');
    // The eviction may still be at work when the budget is met already.
    const within = await until('the budget is kept, and nothing is evicted any more', async () => {
      const now = await usage(cwm);
      return now.kv.bytes <= budgetBytes && now.kv.bytes === sum(blockFiles(storage).values()) ? now : null;
    });
    expect(within.kv).toMatchObject({ budgetBytes, elsewhereBytes: 0 });
    expect(within.quotaBytes).toBe(50e9);
    const gone = Object.fromEntries(within.items.map(({ name, kv }) => [name, kv?.missingBlocks]));
    expect(gone).toMatchObject({ first: 0 });
    expect(gone['second']).toBeGreaterThan(0);
    expect(within.kv.pinnedBytes).toBe(within.items.find(({ name }) => name === 'first')?.kv?.bytes);

    // Blocks that went under the running engine are a miss, and nothing else.
    const thawed = await cwm.json('thaw', 'second', '--resume');
    expect(thawed).toMatchObject({ content: { blocksDamaged: 0, blocksMissing: gone['second'] } });
    expect(['partial', 'rebuilt']).toContain(thawed['verdict']);
    expect(await cwm.json('send', 's-second', 'Go on.', '--max-tokens', '4')).toMatchObject({
      text: expect.any(String),
    });

    await cwm.json('unpin', 'first');
    const preview = (await cwm.json('prune', '--keep', '1', '--dry-run')) as unknown as PruneResult;
    expect(preview).toMatchObject({ dryRun: true, windows: [{ name: 'first' }, { name: 'third' }] });
    expect(preview.bytesFreed).toBeGreaterThan(0);
    const before = sum(blockFiles(storage).values());
    expect(await cwm.json('prune', '--keep', '1')).toEqual({ ...preview, dryRun: false });
    expect(before - sum(blockFiles(storage).values())).toBe(preview.bytesFreed);

    const { items } = (await cwm.json('trash', 'list')) as unknown as { items: TrashItem[] };
    expect(items.map(({ name }) => name).sort()).toEqual(['first', 'third']);
    const first = items.find(({ name }) => name === 'first');
    expect(await cwm.json('trash', 'restore', first?.id ?? '')).toMatchObject({ kind: 'window', name: 'first' });
    expect(await cwm.json('thaw', 'first')).toMatchObject({ verdict: expect.stringMatching(/partial|rebuilt/) });
    expect(await cwm.json('trash', 'empty')).toEqual({ items: [], bytesFreed: 0 });
    expect(await cwm.json('trash', 'empty', '--all')).toMatchObject({ items: [{ name: 'third' }] });

    const inWords = await cwm.run('usage');
    expect(inWords.stdout).toMatch(/Budget for KV of all model servers +800 kB/);
    expect(inWords.stdout).toMatch(/^WINDOW +KV +ITS OWN +SHARED +MISSING +RECORDS +USED +PINNED$/m);
    expect(inWords.stdout).toMatch(/^first +\S+ [kM]B/m);
  });
});

describe('cwm usage', () => {
  it('S1-35 shows the tokens of turns and their cost by model, client, session and day, and within a session by branch, turn and message', async () => {
    const { storage, client } = await startHere({ kind: 'vscode' });
    const cwm = cliOn(storage);
    expect((await cwm.run('usage', '--by', 'day')).stdout).toBe('No turn has used a model server in this time.\n');
    await client.call('createSession', { id: 's', title: 'A talk' });
    await client.call('send', { session: 's', text: 'One.', maxTokens: 2 });
    await cwm.json('send', 's', 'Two.', '--max-tokens', '2');
    writeFileSync(
      join(storage, 'prices.json'),
      JSON.stringify({ currency: 'EUR', models: { 'fake-model': { input: 1e6, cachedInput: 0, output: 0 } } }),
    );
    const { total } = (await cwm.json('usage', '--by', 'model')) as { total: { computedTokens: number; cost: number } };
    expect(total).toMatchObject({ requests: 2, cost: total.computedTokens });
    const { stdout } = await cwm.run('usage', '--by', 'source');
    expect(stdout).toMatch(/^CLIENT +REQUESTS +PROMPTED +REUSED +COMPUTED +GENERATED +COST$/m);
    expect(stdout).toMatch(/^VS Code +1 .* EUR$/m);
    expect(stdout).toMatch(/^command line +1 .* EUR$/m);
    expect(stdout).toMatch(new RegExp(`^All +2 .* ${total.computedTokens}\\.00 EUR$`, 'm'));
    expect((await cwm.run('usage', '--by', 'session')).stdout).toMatch(/^A talk \(s\) +2 /m);
    expect((await cwm.run('usage', '--session', 'other')).stdout).toContain('No turn');
    expect(await cwm.refusal('usage', '--from', 'yesterday')).toMatchObject({ code: 'CWM-1003' });
    const list = await cwm.run('session', 'messages', 's');
    expect(list.stdout).toMatch(/^ +MESSAGE +WHO +PROMPTED +REUSED +GENERATED +COST +TEXT$/m);
    expect(list.stdout).toMatch(/^4 .* Model .* \d+\.00 EUR /m);
    const { items } = await client.call('listMessages', { session: 's' });
    expect(items.map(({ cost }) => cost?.currency)).toEqual([undefined, 'EUR', undefined, 'EUR']);
    expect(items.reduce((sum, { cost }) => sum + (cost?.amount ?? 0), 0)).toBe(total.cost);
    expect(await client.call('getMessage', { session: 's', message: items[1]!.id })).toEqual(items[1]);

    // A branch that shares the first turn: what is shared counts on each branch, and once in all.
    await cwm.json('branch', 'new', 's', 'try', '--at', '2');
    await cwm.json('send', 's', 'Three.', '--max-tokens', '2');
    const branches = await cwm.run('usage', '--by', 'branch', '--session', 's');
    expect(branches.stdout).toMatch(/^BRANCH +REQUESTS +.* +COST$/m);
    expect(branches.stdout).toMatch(/^main +2 /m);
    expect(branches.stdout).toMatch(/^try +2 /m);
    expect(branches.stdout).toMatch(/^All +3 /m);
    const turns = await cwm.run('usage', '--by', 'turn', '--session', 's');
    expect(turns.stdout).toMatch(/^One\. +1 /m);
    expect(turns.stdout).toMatch(/^Three\. +1 /m);
    expect(await cwm.refusal('usage', '--by', 'turn')).toMatchObject({ code: 'CWM-1003' });
    expect(await cwm.refusal('usage', '--by', 'branch', '--session', 'gone')).toMatchObject({ code: 'CWM-2001' });
    const all = await cwm.json('usage');
    expect(all).toMatchObject({ tokens: { total: { requests: 3 } }, sessions: { count: 1 } });
  });
});

describe('cwm refuses', () => {
  it('a prune that says nothing, and things that are not there', async () => {
    const cwm = cliOn((await startHere()).storage);
    expect(await cwm.refusal('prune')).toMatchObject({ code: 'CWM-1003' });
    expect(await cwm.refusal('pin', 'nothing')).toMatchObject({ code: 'CWM-2002' });
    expect(await cwm.refusal('trash', 'restore', '../windows/w')).toMatchObject({ code: 'CWM-2009' });
    expect(await cwm.json('trash', 'list')).toEqual({ items: [] });
    expect((await cwm.run('prune', '--keep', '3')).stdout).toBe('There is nothing to prune.\n');
    expect((await cwm.run('usage')).stdout).toMatch(/^ {2}Windows +0 of at most 10,000$/m);
  });
});
