import { describe, expect, it } from 'vitest';
import type { CoreContext } from '../../src/core/context.ts';
import { bindOperations, operations, type Operations } from '../../src/core/operations.ts';
import { coreRoutes, type CoreRouteName, type Route } from '../../src/protocol/api.ts';

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
      const bound = bindOperations(broken, () => void thatWrote.push(name));
      await expect((bound[name] as () => Promise<unknown>)(), name).rejects.toThrow();
    }
    expect(thatWrote).toEqual([
      'editMessage',
      'regenerate',
      'continueAnswer',
      'faultPage',
      'send',
      'approveTools',
      'denyTools',
      'answerQuestion',
      'acceptPlan',
      'prime',
      'importKv',
      'freeze',
      'thaw',
      'makeProjectBase',
    ]);
  });

  it('report while they work exactly where the route streams', () => {
    const names = Object.keys(operations) as CoreRouteName[];
    const reporting = names.filter((name) => operations[name].run.length > 3);
    expect(reporting).toEqual(names.filter((name) => (coreRoutes[name] as Route).streams));
  });
});
