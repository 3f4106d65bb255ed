import { describe, expect, it } from 'vitest';
import { OperationFailedError, WorkerLostError } from '../../../src/embedded/worker/llamaProcess.ts';
import { startsWithTrial } from '../../../src/embedded/worker/partsTrial.ts';

describe('the trial whether llama.cpp takes a state in parts', () => {
  const failing = (error: Error, tries: boolean[]) =>
    startsWithTrial(async (config: string, triesParts) => {
      tries.push(triesParts);
      if (triesParts) throw error;
      return config;
    });

  it('is made at each start, as long as no process dies of it', async () => {
    const tries: boolean[] = [];
    const start = startsWithTrial(async (config: string, triesParts) => {
      tries.push(triesParts);
      return config;
    });
    expect([await start('a'), await start('b')]).toEqual(['a', 'b']);
    expect(tries).toEqual([true, true]);
  });

  it('costs a process that dies of it, and no later start makes it', async () => {
    const tries: boolean[] = [];
    const start = failing(new WorkerLostError('start', 'The llama.cpp process ended with SIGABRT.'), tries);
    expect([await start('a'), await start('b')]).toEqual(['a', 'b']);
    expect(tries).toEqual([true, false, false]);
  });

  it('is not blamed for a model that cannot be loaded', async () => {
    const tries: boolean[] = [];
    const start = failing(new OperationFailedError('no model', 'model'), tries);
    await expect(start('a')).rejects.toThrow('no model');
    expect(tries).toEqual([true]);
  });
});
