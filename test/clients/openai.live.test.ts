import { createRequire } from 'node:module';
import { afterEach, expect, test } from 'vitest';
import { clientModules } from './install.ts';
import { served, type Served } from './served.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

type Said = { role: string; content: string };
interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string | null } }[];
}
/** The part of the `openai` package that is used here; it is installed apart, so that no type of it is known. */
interface OpenAi {
  readonly models: { list(): Promise<{ readonly data: readonly { readonly id: string }[] }> };
  readonly chat: { readonly completions: { create(body: object): Promise<AsyncIterable<Chunk>> } };
}

const openAi = ({ url, token }: Served, project: string): OpenAi => {
  const { default: Client } = createRequire(clientModules('openai'))('openai') as {
    default: new (options: object) => OpenAi;
  };
  return new Client({ baseURL: `${url}/p/${project}/v1`, apiKey: token, maxRetries: 0 });
};

test('the openai package: two turns are one session in the right project, a fork is a branch, a stop stores the part', async () => {
  const gateway = await served(cleanUps);
  const api = openAi(gateway, 'demo');
  const model = (await api.models.list()).data[0]?.id;
  const ask = async (messages: readonly Said[], pieces = Infinity): Promise<string> => {
    let answer = '';
    let count = 0;
    const body = { model, messages, stream: true, max_tokens: pieces === Infinity ? 12 : 400, temperature: 0.5 };
    for await (const { choices } of await api.chat.completions.create(body)) {
      answer += choices[0]?.delta.content ?? '';
      if (++count > pieces) break;
    }
    return answer;
  };
  const hi = [
    { role: 'system', content: 'You are terse.' },
    { role: 'user', content: 'Say hi' },
  ];
  const first = await ask(hi);
  const again = [...hi, { role: 'assistant', content: first }, { role: 'user', content: 'And again' }];
  const second = await ask(again);
  await expect
    .poll(() => gateway.sessions())
    .toEqual([
      {
        project: 'project://demo',
        branches: 1,
        said: ['user: Say hi', `assistant (limit): ${first}`, 'user: And again', `assistant (limit): ${second}`],
      },
    ]);
  const other = await ask([...again.slice(0, 3), { role: 'user', content: 'Another way' }]);
  await expect
    .poll(async () => (await gateway.sessions())[0])
    .toMatchObject({ branches: 2, said: { 3: `assistant (limit): ${other}` } });

  await ask([...again, { role: 'assistant', content: second }, { role: 'user', content: 'Tell a long story.' }], 5);
  await expect.poll(async () => (await gateway.sessions())[0]?.said.at(-1)).toMatch(/^assistant \(stopped\): ./);
  expect(await gateway.sessions()).toHaveLength(1);
});
