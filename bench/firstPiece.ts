import { FakeVllm } from '../test/fakes/fakeVllm.ts';
import { median, mustHold, type Benchmark } from './benchmark.ts';
import { countingProxy } from './countingProxy.ts';
import { withPassingBackend } from './passingBackend.ts';

const turns = 60;
const warmUps = 10;
/** The first chunk of a stream that says something. */
const saysSomething = /"delta":\{[^}]*"content":"[^"]/;

/**
 * From the first character of an answer on its way from the model server to a client that has it: through the backend, a process of its own,
 * and both sockets.
 */
export const firstPiece: Benchmark = {
  ids: ['STREAM'],
  async run() {
    const server = await FakeVllm.start();
    let leftAt = 0;
    await using proxy = await countingProxy(server.url, (chunk) => {
      if (leftAt === 0 && saysSomething.test(chunk.toString())) leftAt = performance.now();
    });
    const delays: number[] = [];
    try {
      await withPassingBackend(async (client) => {
        await client.call('createSession', { id: 's', engine: proxy.url });
        for (let at = 0; at < warmUps + turns; at++) {
          let heardAt = 0;
          leftAt = 0;
          const onText = (): void => void (heardAt ||= performance.now());
          await client.call(
            'send',
            { session: 's', text: `And then, ${at}?`, maxTokens: 16, continueFrom: 'template' },
            { onText },
          );
          mustHold(heardAt > leftAt && leftAt > 0, 'the first piece was seen on both sides');
          if (at >= warmUps) delays.push(heardAt - leftAt);
        }
      });
    } finally {
      await server.stop();
    }
    const value = median(delays);
    return [
      {
        id: 'STREAM',
        what: 'first character, from the model server to the client',
        unit: 'ms',
        value,
        baseline: null,
        ratio: null,
        wanted: 'below 2 ms',
        met: value < 2,
        runs: turns,
      },
    ];
  },
};
