import { VllmEngine } from '../src/engines/vllm/vllmEngine.ts';
import { FakeVllm } from '../test/fakes/fakeVllm.ts';
import { mustHold, type Benchmark } from './benchmark.ts';
import { coreWith } from './coreWith.ts';
import { countingProxy } from './countingProxy.ts';

const tokens = 32_768;

/** What a freeze moves between backend and server: the ids with each request, once back to be compared, and nothing of the KV. */
export const wire: Benchmark = {
  ids: ['WIRE'],
  async run(signal) {
    const server = await FakeVllm.start({ faults: { maxModelLen: 2 * tokens } });
    await using proxy = await countingProxy(server.url);
    const engine = new VllmEngine({ spec: proxy.url, connect: async () => ({ url: proxy.url }) });
    try {
      await using core = await coreWith(engine);
      await core.cwm.createSession({ id: 's' });
      await core.cwm.send({ session: 's', text: 'x'.repeat(tokens - 64), maxTokens: 32 }, signal);
      const session = await core.cwm.getSession({ session: 's' });
      const ids = await core.store.loadTokens(core.id, session.tokens?.sha256 ?? '');
      const idBytes = Buffer.byteLength(JSON.stringify(ids));
      const [sentBefore, receivedBefore] = [proxy.sentBytes, proxy.receivedBytes];
      const requestsBefore = server.requestsTo('/v1/completions').length;
      const receipt = await core.cwm.freeze({ session: 's', window: 'w' }, signal);
      mustHold(receipt.verdict === 'proven', 'the freeze is proven');
      const sent = server.requestsTo('/v1/completions').slice(requestsBefore);
      // The rest are tiny.
      const requests = sent.filter(({ body }) => JSON.stringify(body).length > idBytes).length;
      const moved = proxy.sentBytes - sentBefore + proxy.receivedBytes - receivedBefore;
      return [
        {
          id: 'WIRE',
          what: `moved by a freeze of ${ids.length} tokens with ${requests} requests of them`,
          unit: 'bytes',
          value: moved,
          baseline: { what: 'the ids as JSON', value: idBytes },
          ratio: moved / idBytes,
          wanted: `the ids ${requests} times there and once back, and 32 KiB`,
          met: moved < (requests + 1) * idBytes + 32_768,
          runs: 1,
        },
      ];
    } finally {
      await engine.close();
      await server.stop();
    }
  },
};
