import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseBackendArguments } from '../../../src/backend/arguments.ts';
import { loadPolicies } from '../../../src/backend/tools/policyFile.ts';
import { pageOf } from '../../../src/core/memory/page.ts';
import type { Candidate, Pressure } from '../../../src/core/memory/eviction/policy.ts';
import { aMessage } from '../../store/builders.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();

const written = (code: string, name = 'mine.mjs'): string => {
  const file = path.join(makeDirectory(), name);
  writeFileSync(file, code);
  return file;
};

const mine = `export default {
  name: 'shortest-first',
  heldShare: 0.5,
  score: ({ tokens }) => tokens,
  keptTokens: ({ evictAt }) => evictAt / 4,
};`;

const candidate: Candidate = { page: pageOf(aMessage('m1', 1), 40), tokens: 40, position: 0.25, thrash: 0 };
const pressure: Pressure = { used: 900, evictAt: 800, target: 600, sequence: 9, reused: null, lostInFront: 0 };

describe('policies of eviction from a file of the user', () => {
  test('S1-05 S1-45 one or several are loaded as they are written', async () => {
    const log = { failure: () => expect.unreachable() };
    const [policy] = await loadPolicies(written(mine), log);
    expect(policy).toMatchObject({ name: 'shortest-first', heldShare: 0.5 });
    expect(policy?.score(candidate, pressure)).toBe(40);
    expect(policy?.keptTokens?.(pressure)).toBe(200);
    const both = await loadPolicies(
      written(`const score = () => 1; export default [{ name: 'a', score }, { name: 'b', score }];`),
      log,
    );
    expect(both.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('S1-45 the example in docs/memory.md is one', async () => {
    const page = readFileSync(path.join(import.meta.dirname, '../../../docs/memory.md'), 'utf8');
    const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
    const [policy] = await loadPolicies(written(code), { failure: () => expect.unreachable() });
    expect(page).toContain(`--memory-policy ${policy?.name}\n`);
    expect(policy?.score(candidate, pressure)).toBeCloseTo(0.25 + candidate.page.importance - 0.02);
    expect(policy?.keptTokens?.(pressure)).toBeCloseTo(800 / 3);
  });

  test.each([
    ['no module', 'export default {', 'cannot be used'],
    ['no policy', 'export const policy = 1;', 'cannot be used'],
    ['no name', 'export default { score: () => 1 };', 'name'],
    ['a name that no option can have', `export default { name: 'My Own', score: () => 1 };`, 'lower-case'],
    ['no score', `export default { name: 'mine' };`, 'score'],
    ['a share that cannot be', `export default { name: 'mine', score: () => 1, heldShare: 2 };`, 'heldShare'],
    ['the name of ours', `export default { name: 'lru', score: () => 1 };`, 'there is a policy "lru" already'],
    ['an empty list', 'export default [];', 'cannot be used'],
  ])('S1-45 a file with %s is refused with its name and the reason', async (_, code, why) => {
    const file = written(code);
    await expect(loadPolicies(file, { failure: () => undefined })).rejects.toMatchObject({
      code: 'CWM-1003',
      message: expect.stringContaining(why) as string,
      hint: expect.stringContaining('--memory-policy-file') as string,
    });
    await expect(loadPolicies(file, { failure: () => undefined })).rejects.toThrow(file);
  });

  test('S1-45 a file that is not there is refused', async () => {
    await expect(loadPolicies('/nowhere/mine.mjs', { failure: () => undefined })).rejects.toThrow('/nowhere/mine.mjs');
  });

  test('S1-45 a policy that throws, answers no number, or writes on what it gets costs no turn, and the log says so once', async () => {
    const told: string[] = [];
    const log = { failure: (event: string) => void told.push(event) };
    const [bad] = await loadPolicies(
      written(`export default { name: 'bad', score: () => NaN, keptTokens: () => { throw new Error('no'); } };`),
      log,
    );
    expect([bad?.score(candidate, pressure), bad?.keptTokens?.(pressure)]).toEqual([0.25, 600]);
    expect(told).toEqual([expect.stringContaining('the eviction policy "bad" of')]);
    const [writer] = await loadPolicies(
      written(`export default { name: 'writer', score: (c, p) => { c.page.tokens = 0; p.used = 0; return 1; } };`),
      log,
    );
    expect(writer?.score(candidate, pressure)).toBe(1);
    expect([candidate.page.tokens, pressure.used]).toEqual([40, 900]);
  });

  test('S1-45 a policy that answers later costs no turn, and its failure does not end the process', async () => {
    const file = written(`
      export const handlers = [];
      const later = { then: (...given) => void handlers.push(...given.map((each) => typeof each)) };
      export default { name: 'slow', score: () => later };`);
    const [slow] = await loadPolicies(file, { failure: () => undefined });
    expect(slow?.score(candidate, pressure)).toBe(0.25);
    const { handlers } = (await import(pathToFileURL(file).href)) as { readonly handlers: readonly string[] };
    await Promise.resolve();
    expect(handlers).toEqual(['function', 'function']);
  });

  test('S1-45 the command line names the file', () => {
    const named = parseBackendArguments(['--storage', '/s', '--memory-policy-file', 'mine.mjs'], {});
    expect(named.memoryPolicyFile).toBe(path.resolve('mine.mjs'));
    expect(parseBackendArguments(['--storage', '/s'], {}).memoryPolicyFile).toBeNull();
  });
});
