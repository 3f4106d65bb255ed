import { VllmEngine } from '../src/engines/vllm/vllmEngine.ts';
import { FakeVllm } from '../test/fakes/fakeVllm.ts';
import { mustHold, type Benchmark } from './benchmark.ts';
import { coreWith } from './coreWith.ts';
import { countingProxy } from './countingProxy.ts';

const tokens = 32_768;

/**
 * What a freeze moves between backend and server where it cannot see the block files: the ids with each request, fewer where the canary is
 * asked over a beginning; once back, to be compared; and nothing of the KV.
 */
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
      const ids = await core.store.sessions.loadTokens(core.id, session.tokens?.sha256 ?? '');
      const idBytes = Buffer.byteLength(JSON.stringify(ids));
      const [sentBefore, receivedBefore] = [proxy.sentBytes, proxy.receivedBytes];
      const requestsBefore = server.requestsTo('/v1/completions').length;
      const receipt = await core.cwm.freeze({ session: 's', window: 'w' }, signal);
      mustHold(receipt.verdict === 'reused', 'the freeze has all reused');
      const times =
        server
          .requestsTo('/v1/completions')
          .slice(requestsBefore)
          .reduce((sum, { body }) => sum + (body as { readonly prompt: readonly number[] }).prompt.length, 0) /
        ids.length;
      const moved = proxy.sentBytes - sentBefore + proxy.receivedBytes - receivedBefore;
      return [
        {
          id: 'WIRE',
          what: `moved by a freeze of ${ids.length} tokens, block files out of sight`,
          unit: 'bytes',
          value: moved,
          baseline: { what: 'the ids as JSON', value: idBytes },
          ratio: moved / idBytes,
          wanted: `the ids ${times.toFixed(1)} times there and once back, and 64 KiB`,
          met: moved < (times + 1) * idBytes + 65_536,
          runs: 1,
        },
      ];
    } finally {
      await engine.close();
      await server.stop();
    }
  },
};
