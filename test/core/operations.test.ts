import { describe, expect, it } from 'vitest';
import type { CoreContext } from '../../src/core/context.ts';
import { bindOperations, type Operations } from '../../src/core/operations.ts';
import { coreRoutes } from '../../src/protocol/api.ts';

/** A core whose every part throws: an operation on it fails at once. */
const broken = new Proxy({} as CoreContext, {
  get: () => {
    throw new Error('This core is broken.');
  },
});

describe('operations', () => {
  it("answer each of the core's routes", () => {
    expect(Object.keys(bindOperations(broken, () => undefined)).sort()).toEqual(Object.keys(coreRoutes).sort());
  });

  it('have the KV budget enforced after those that make an engine write KV, failed ones too', async () => {
    const thatWrote: string[] = [];
    for (const name of Object.keys(coreRoutes) as (keyof Operations)[]) {
      const operations = bindOperations(broken, () => void thatWrote.push(name));
      await expect((operations[name] as () => Promise<unknown>)(), name).rejects.toThrow();
    }
    expect(thatWrote).toEqual(['send', 'prime', 'freeze', 'thaw']);
  });
});
