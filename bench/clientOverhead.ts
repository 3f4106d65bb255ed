import { Agent, request } from 'undici';
import { VllmEngine } from '../src/engines/vllm/vllmEngine.ts';
import type { SeenRequest } from '../test/fakes/fakeHttp.ts';
import { FakeVllm } from '../test/fakes/fakeVllm.ts';
import { median, mustHold, timed, type Benchmark } from './benchmark.ts';

const tokens = 1024;
const runs = 200;

/**
 * What the client adds to each request over undici alone, which sends the very same requests and parses the same answers. The two take
 * turns, so that other load on the machine affects both.
 */
export const clientOverhead: Benchmark = {
  ids: ['CLIENT'],
  async run(signal) {
    const server = await FakeVllm.start();
    const engine = new VllmEngine({ spec: server.url, connect: async () => ({ url: server.url }) });
    const agent = new Agent({ connections: 1, pipelining: 1 });
    const context = { ids: Array.from({ length: tokens }, (_, at) => 32 + (at % 90)), salt: 'salt', handle: null };
    try {
      // The first computes; the second is the first that claims reuse, after which the server is asked for what it cannot have.
      for (let warmUp = 0; warmUp < 2; warmUp++) await engine.measure(context, signal);
      server.requests.length = 0;
      await engine.measure(context, signal);
      const same = [...server.requests];
      const raw = async (): Promise<void> => {
        for (const seen of same) await sendAgain(agent, server.url, seen);
      };
      await raw();

      const differences: number[] = [];
      const baselines: number[] = [];
      for (let run = 0; run < runs; run++) {
        server.requests.length = 0;
        const alone = await timed(raw);
        const ours = await timed(() => engine.measure(context, signal));
        mustHold(server.requests.length === 2 * same.length, 'both sent the same number of requests');
        mustHold(ours.result.reuse.cachedTokens === tokens - 16, 'all was reused');
        differences.push((ours.ms - alone.ms) / same.length);
        baselines.push(alone.ms / same.length);
      }
      const baseline = median(baselines);
      const added = median(differences);
      return [
        {
          id: 'CLIENT',
          what: `added to each of ${same.length} requests of a measurement, ${tokens} tokens`,
          unit: 'ms',
          value: added,
          baseline: { what: 'undici alone', value: baseline },
          ratio: (baseline + added) / baseline,
          wanted: '< 1 ms',
          met: added < 1,
          runs,
        },
      ];
    } finally {
      await agent.close();
      await engine.close();
      await server.stop();
    }
  },
};

async function sendAgain(agent: Agent, url: string, { method, path, body }: SeenRequest): Promise<void> {
  const answer = await request(url + path, {
    dispatcher: agent,
    method: method as 'GET' | 'POST',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.body.text();
  if (String(answer.headers['content-type']).startsWith('application/json')) JSON.parse(text);
}
