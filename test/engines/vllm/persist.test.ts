import { describe, expect, test } from 'vitest';
import { completions, contextOf, makeRig, never, someIds } from './rig.ts';

describe('how lasting the KV of a context is', () => {
  test('a tier whose files lie elsewhere is waited for by its counters, until it writes no more', async () => {
    const rig = await makeRig({ tier: { lastBlock: 'next-step' }, engine: { blockFiles: undefined } });
    const { notes, reuse } = await rig.engine.persist(contextOf(someIds(100)), never);
    expect(reuse).toMatchObject({ promptTokens: 100 });
    // Six blocks of 256 bytes; the last of them came with the request of one token that makes the server take another step.
    expect(notes).toEqual([expect.stringContaining(`the server's tier wrote ${6 * 256} bytes during the operation.`)]);
    expect(rig.fake.requestsTo(completions)).toHaveLength(2);
    expect(rig.pauses).toEqual([250]);
  });

  test('nothing is waited for where the server shows no tier', async () => {
    const rig = await makeRig();
    const { notes } = await rig.engine.persist(contextOf(someIds(100)), never);
    expect(notes).toEqual([expect.stringContaining('the server shows no tier beyond its memory.')]);
    expect(rig.fake.requestsTo(completions)).toHaveLength(1);
    expect(rig.pauses).toEqual([]);
  });

  test('a server that counted other tokens than it was sent is not believed about their reuse', async () => {
    const rig = await makeRig({ fake: { faults: { keepsLastTokens: 40, returnsTokenIds: false } } });
    const { notes } = await rig.engine.persist(contextOf(someIds(100)), never);
    expect(notes[0]).toBe(
      'The server counted 40 tokens of the 100 that it was sent, so what it reuses of them was not observed.',
    );
  });

  test('K1 a server of another kind that takes no ids costs the proof, and no freeze', async () => {
    const rig = await makeRig({ fake: { faults: { hasVersion: false, metrics: false } } });
    const models = JSON.stringify({ object: 'list', data: [{ id: 'm', owned_by: 'library' }] });
    rig.fake.onRequest = ({ path }) => {
      rig.fake.faults.http = path.startsWith('/v1/models')
        ? { kind: 'body', body: models }
        : { kind: 'status', status: 400, message: 'prompt must be a string', path: completions };
    };
    const { notes, reuse, handle } = await rig.engine.persist(contextOf(someIds(100)), never);
    expect(reuse).toMatchObject({ promptTokens: 100, cachedTokens: null, cachedTokensFrom: 'none' });
    expect(handle).toBeNull();
    expect(notes).toEqual([
      expect.stringMatching(/^This server computes nothing over token ids.* It said: .*must be a string/),
    ]);
  });
});
