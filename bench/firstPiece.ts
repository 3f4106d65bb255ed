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
    const direct: number[] = [];
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
          leftAt = 0;
          const straightAt = await heardStraight(proxy.url, `And then, ${at}?`);
          if (at >= warmUps) direct.push(straightAt - leftAt);
        }
      });
    } finally {
      await server.stop();
    }
    const value = median(delays);
    const fastest = delays.toSorted((one, other) => one - other)[Math.floor(turns / 10)] ?? Number.NaN;
    return [
      {
        id: 'STREAM',
        what: 'first character, from the model server to the client',
        unit: 'ms',
        value,
        baseline: { what: 'straight to a client in this process', value: median(direct) },
        ratio: value / median(direct),
        wanted: 'below 2 ms',
        met: value < 2,
        runs: turns,
      },
      {
        id: 'STREAM',
        what: 'the same, the fastest tenth: no process waited for a core',
        unit: 'ms',
        value: fastest,
        baseline: null,
        ratio: null,
        wanted: 'below 2 ms',
        met: fastest < 2,
        runs: turns,
      },
    ];
  },
};

/** When a client without a backend has the first character of an answer. */
async function heardStraight(url: string, content: string): Promise<number> {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  const body = { model: data[0]?.id, messages: [{ role: 'user', content }], max_tokens: 16, stream: true };
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  let heardAt = 0;
  let text = '';
  for await (const piece of answer.body ?? []) {
    text += Buffer.from(piece).toString();
    if (saysSomething.test(text)) heardAt ||= performance.now();
  }
  mustHold(heardAt > 0, 'a client without a backend was answered');
  return heardAt;
}
