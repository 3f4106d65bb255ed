import { describe, expect, test } from 'vitest';
import type { HttpFault } from '../../fakes/fakeFaults.ts';
import { afterDescribe, ask, completions, contextOf, failure, makeRig, never, someIds, type Rig } from './rig.ts';

/** What a server does to each request that asks for log-probabilities. */
async function refusing(fault: HttpFault): Promise<Rig> {
  const rig = await afterDescribe({ ...fault, path: completions });
  rig.fake.onRequest = ({ body }) => {
    const asks = typeof body === 'object' && body !== null && 'logprobs' in body;
    rig.fake.faults.http = asks ? { ...fault, path: completions } : null;
  };
  return rig;
}

describe('K1 a server without usable log-probabilities', () => {
  test.each<[string, HttpFault]>([
    ['refuses them', { kind: 'status', status: 400, message: 'greater than max allowed: 0' }],
    ['fails over them', { kind: 'status', status: 500 }],
    ['answers what is no JSON', { kind: 'body', body: 'oops' }],
    ['answers with an error', { kind: 'body', body: '{"error": "no log-probabilities here"}' }],
    [
      'gives none that are numbers',
      { kind: 'body', body: '{"choices": [{"logprobs": {"top_logprobs": [{"a": NaN}]}}]}' },
    ],
  ])('that %s is measured without a canary, and not asked for one again', async (_, fault) => {
    const rig = await refusing(fault);
    const context = contextOf(someIds(40));
    // The try that failed may have computed the context: then nothing that is reused now was there before.
    const first = await rig.engine.measure(context, never);
    expect(first.canary).toBeNull();
    expect(first.reuse.cachedTokens ?? 0).toBe(0);
    await rig.engine.measure(context, never);
    const asked = rig.fake.requestsTo(completions).length;
    expect(await rig.engine.measure(context, never)).toMatchObject({ canary: null, reuse: { cachedTokens: 32 } });
    expect(rig.fake.requestsTo(completions)).toHaveLength(asked + 1);
  });

  test('-Infinity stands for a token that cannot come next', async () => {
    const body =
      '{"choices": [{"token_ids": [7], "logprobs": {"top_logprobs": [{"token_id:7": -0.1, "token_id:8": -Infinity}]}}]}';
    const rig = await afterDescribe({ kind: 'body', body, path: completions });
    const { canary } = await ask(rig);
    expect(canary?.topLogprobs).toEqual([
      { token: 'token_id:7', logprob: -0.1 },
      { token: 'token_id:8', logprob: -9999 },
    ]);
  });

  test('a failure over one context alone is that of its KV, and is not hidden', async () => {
    const rig = await makeRig();
    await ask(rig);
    rig.fake.faults.http = { kind: 'status', status: 400, message: 'not JSON compliant', path: completions, times: 1 };
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5004' });
    const cold = await afterDescribe({
      kind: 'status',
      status: 400,
      message: 'not JSON compliant',
      path: completions,
      times: 1,
    });
    expect(await failure(ask(cold))).toMatchObject({ code: 'CWM-5004' });
  });
});
