import { describe, expect, test } from 'vitest';
import type { HttpFault } from '../../fakes/fakeFaults.ts';
import { ask, chat } from '../vllm/rig.ts';
import { contextOf, failure, makeRig, never, someIds, type Rig, type RigOptions } from './rig.ts';

const completion = '/completion';

/** A rig whose server is known already, and then does this to what follows. */
async function afterDescribe(http: HttpFault, options: RigOptions = {}): Promise<Rig> {
  const rig = await makeRig(options);
  await rig.engine.describe(never);
  rig.fake.faults.http = http;
  return rig;
}

describe('a server that refuses or fails', () => {
  test('400 is CWM-5007 with its reason, and tried again only without log-probabilities', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 400, message: 'No such thing.', path: completion });
    const error = await failure(ask(rig));
    expect(error).toMatchObject({ code: 'CWM-5007' });
    expect(error.message).toContain('No such thing.');
    const asked = rig.fake.requestsTo(completion).map(({ body }) => JSON.stringify(body).includes('n_probs'));
    expect(asked).toEqual([true, false]);
  });

  test('404 where a completion should be is no llama-server: CWM-5005', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 404, message: 'File Not Found', path: completion });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5005' });
  });

  test('S0-41 500 is tried three times, then CWM-5004', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 500, path: completion });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5004', retryable: true });
    expect(rig.fake.requestsTo(completion)).toHaveLength(3);
  });

  test('a prompt that an earlier, failed try computed proves nothing', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40));
    await rig.engine.measure(context, never);
    rig.fake.faults.http = { kind: 'status', status: 500, late: true, times: 1, path: completion };
    const { reuse } = await rig.engine.measure(context, never);
    expect(reuse).toMatchObject({ cachedTokens: null, cachedTokensFrom: 'none', tier: null });
  });

  test('while it loads its model: CWM-5004 with its own word, and described as soon as it has', async () => {
    const rig = await makeRig();
    rig.fake.faults.http = { kind: 'status', status: 503, message: 'Loading model' };
    const error = await failure(rig.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5004', retryable: true });
    expect(error.message).toContain('Loading model');
    rig.fake.faults.http = null;
    expect((await rig.engine.describe(never)).kind).toBe('llama-server');
  });

  test('a slot that cannot be saved is a note, because the text is safe', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 500, message: 'Unable to save slot', path: '/slots/' });
    const evidence = await rig.engine.persist(contextOf(someIds(40)), never);
    expect(evidence.handle).toBeNull();
    expect(evidence.notes.join(' ')).toContain('Unable to save slot');
  });

  test('an API key that is missing and one that is wrong are told apart, and neither is shown', async () => {
    const missing = await makeRig({ fake: { faults: { apiKey: 'right' } } });
    const wrong = await makeRig({ fake: { faults: { apiKey: 'right' } }, engine: { apiKey: 'wrong-key' } });
    const right = await makeRig({ fake: { faults: { apiKey: 'right' } }, engine: { apiKey: 'right' } });
    expect((await failure(missing.engine.describe(never))).message).toContain('none is set');
    const error = await failure(wrong.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5006' });
    expect(JSON.stringify(error.report())).not.toContain('wrong-key');
    expect((await right.engine.describe(never)).kind).toBe('llama-server');
  });
});

describe('a server that breaks off', () => {
  test('S0-41 a connection that ends before the answer is CWM-5001 at once', async () => {
    const rig = await afterDescribe({ kind: 'drop', path: completion });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5001' });
    expect(rig.fake.requestsTo(completion)).toHaveLength(1);
  });

  test('a server that goes away over a restore is not sent the same restore again', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40));
    const { handle } = await rig.engine.persist(context, never);
    const before = rig.fake.requestsTo('/slots/1?action=restore').length;
    rig.fake.faults.http = { kind: 'drop', path: '/slots/1?action=restore' };
    const restored = await rig.engine.restore({ ...context, handle }, never);
    expect(restored.outcome).toBe('rejected');
    expect(rig.fake.requestsTo('/slots/1?action=restore')).toHaveLength(before + 1);
    rig.fake.faults.http = null;
    expect((await rig.engine.restore({ ...context, handle }, never)).outcome).toBe('missing');
    const again = await rig.engine.persist(context, never);
    expect((await rig.engine.restore({ ...context, handle: again.handle }, never)).outcome).toBe('restored');
  });

  test('a stream that is cut, or ends before the chunk that says so, is CWM-5101', async () => {
    for (const kind of ['cut', 'stop'] as const) {
      for (const afterChunks of [1, 3, 5]) {
        const rig = await afterDescribe({ kind, afterChunks, path: completion });
        expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101', retryable: true });
      }
    }
  });

  test('any other answer that is cut is CWM-5101', async () => {
    const rig = await afterDescribe({ kind: 'cut', afterChunks: 1, path: completion });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5101' });
  });

  test('a failure inside a stream is the server’s failure, not a cut', async () => {
    const body = 'data: {"error": {"message": "Compute error.", "type": "server_error", "code": 500}}\n\n';
    const rig = await afterDescribe({ kind: 'body', body, type: 'text/event-stream', path: completion });
    const error = await failure(chat(rig));
    expect(error).toMatchObject({ code: 'CWM-5004' });
    expect(error.message).toContain('Compute error.');
  });

  test('a server that is gone is CWM-5001, and one that comes back is asked again', async () => {
    const rig = await makeRig();
    await ask(rig);
    await rig.fake.kill();
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5001' });
    await rig.fake.restart({ model: 'another' });
    await ask(rig);
    expect((await rig.engine.describe(never)).model.id).toBe('another');
  });
});

describe('a server that never answers', () => {
  test('prefill may take 15 minutes, then it is CWM-6001 and not tried again', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completion });
    const answer = failure(ask(rig));
    await rig.fake.untilRequests(completion, 1);
    rig.timer.advance(15 * 60_000);
    expect(await answer).toMatchObject({ code: 'CWM-6001' });
    expect(rig.fake.requestsTo(completion)).toHaveLength(1);
  });

  test('a question that computes nothing is given ten seconds', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'silence', afterChunks: 0, path: '/props' } } } });
    const answer = failure(rig.engine.describe(never));
    await rig.fake.untilRequests('/props', 1);
    rig.timer.advance(10_000);
    expect(await answer).toMatchObject({ code: 'CWM-6001' });
  });

  test('S0-43 an abort ends a request that hangs, and the server sees it go', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completion });
    const controller = new AbortController();
    const answer = failure(chat(rig, undefined, controller.signal));
    await rig.fake.untilRequests(completion, 1);
    const open = rig.fake.openConnections;
    controller.abort();
    expect(await answer).toMatchObject({ code: 'CWM-6003' });
    await expect.poll(() => rig.fake.openConnections).toBeLessThan(open);
  });

  test('S0-43 close ends what is in flight and every connection', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completion });
    const answer = failure(ask(rig));
    await rig.fake.untilRequests(completion, 1);
    await rig.engine.close();
    expect(await answer).toMatchObject({ code: 'CWM-6003' });
    await expect.poll(() => rig.fake.openConnections).toBe(0);
  });
});

describe('a server that answers nonsense', () => {
  test('at first it is no llama-server (CWM-5005)', async () => {
    const faults: HttpFault[] = [
      { kind: 'body', body: '<html>Router login</html>', type: 'text/html' },
      { kind: 'body', body: '{"total_slots": 0}' },
      { kind: 'body', body: '[1, 2' },
      { kind: 'huge' },
      { kind: 'redirect', location: 'http://127.0.0.1:9/props' },
      { kind: 'status', status: 404 },
    ];
    for (const http of faults) {
      const rig = await makeRig({ fake: { faults: { http: { path: '/props', ...http } } } });
      expect(await failure(rig.engine.describe(never)), JSON.stringify(http)).toMatchObject({ code: 'CWM-5005' });
    }
  });

  test('evidence of another form than expected is no evidence, and costs nothing else', async () => {
    for (const body of [
      '{"timings": {"cache_n": -1, "prompt_n": 40}}',
      '{"timings": "fast"}',
      '{"completion_probabilities": [{"content": "a", "probs": [{"tok_str": "a", "prob": 1}]}]}',
    ]) {
      const rig = await afterDescribe({ kind: 'body', body, path: completion });
      const { reuse, canary } = await ask(rig);
      expect(reuse.cachedTokens, body).toBeNull();
      expect(canary).toBeNull();
    }
  });

  test('later it failed (CWM-5004), and what it said is shown', async () => {
    const rig = await afterDescribe({ kind: 'body', body: 'not json', path: completion });
    const error = await failure(ask(rig));
    expect(error).toMatchObject({ code: 'CWM-5004' });
    expect(error.message).toContain('not JSON: "not json"');
    for (const [body, type] of [
      ['data: {"content": 3}\n\n', 'text/event-stream'],
      ['data: oops\n\n', 'text/event-stream'],
      ['{}', 'application/json'],
    ] as const) {
      const rig = await afterDescribe({ kind: 'body', body, type, path: completion });
      expect(await failure(chat(rig)), body).toMatchObject({ code: 'CWM-5004' });
    }
  });

  test('a context that is too long for a slot is CWM-7011 before anything is sent, and as the server says it', async () => {
    const rig = await makeRig({ fake: { faults: { contextTokens: 40 } } });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-7011', context: { tokens: 40, maxModelLen: 40 } });
    expect(rig.fake.requestsTo(completion)).toEqual([]);
    const shrunk = await makeRig();
    await shrunk.engine.describe(never);
    shrunk.fake.faults.contextTokens = 30;
    expect(await failure(ask(shrunk))).toMatchObject({ code: 'CWM-7011' });
    expect(shrunk.fake.requestsTo(completion)).toHaveLength(1);
  });
});
