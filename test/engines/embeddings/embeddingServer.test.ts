import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { EmbeddingServer } from '../../../src/engines/embeddings/embeddingServer.ts';
import { LinkFactory } from '../../../src/engines/http/linkFactory.ts';
import { defaultTimeouts, systemTimer, type Timer } from '../../../src/engines/http/timing.ts';
import type { Answer, SeenRequest } from '../../fakes/fakeHttp.ts';
import { FakeHttpServer } from '../../fakes/fakeHttpServer.ts';

let elapsedMs = 0;
afterEach(() => (elapsedMs = 0));

interface Asked {
  readonly model: string;
  readonly input: readonly string[];
}
const bodyOf = ({ body }: SeenRequest): Asked => body as Asked;

/** Time that is over when a test says so. */
class Timers implements Timer {
  #last = (): void => undefined;

  schedule(_delayMs: number, task: () => void): () => void {
    this.#last = task;
    return () => undefined;
  }

  /** No answer before the time is over. */
  timeOut(): Promise<never> {
    setImmediate(() => this.#last());
    return new Promise(() => undefined);
  }
}

async function serverWith(
  models: readonly object[],
  answer: (asked: Asked) => Answer | Promise<Answer>,
  options: { isOfChats?: boolean; model?: string } = {},
  timer: Timer = systemTimer,
) {
  const server = new FakeHttpServer({
    faults: { http: null },
    answer: (request) =>
      request.path === '/v1/models' ? { status: 200, json: { data: models } } : answer(bodyOf(request)),
  });
  await server.listen();
  const links = new LinkFactory({
    connect: async () => ({ url: server.url }),
    apiKey: undefined,
    timeouts: defaultTimeouts,
    timer,
    sleep: async () => undefined,
    random: () => 0,
    onConnectionFailure: () => undefined,
  });
  onTestFinished(async () => {
    await links.close();
    await server.kill();
  });
  const clock = { now: () => new Date(0), elapsedMs: () => elapsedMs };
  const embedder = new EmbeddingServer({ server: server.url, links, clock, isOfChats: false, ...options });
  const asked = (): Asked[] => server.requests.filter(({ path }) => path === '/v1/embeddings').map(bodyOf);
  return { embedder, asked, server };
}

const vectors = ({ input }: Asked): Answer => ({
  status: 200,
  json: { data: input.map((text, index) => ({ index, embedding: [text.length, 1] })).reverse() },
});
const refusal: Answer = { status: 501, json: { error: { message: 'This server does not support embeddings.' } } };
const { signal } = new AbortController();

describe('a server with embeddings', () => {
  test('S1-55 its model for embeddings is found, each text gets its own vector, and models that want it get their form', async () => {
    const { embedder, asked } = await serverWith([{ id: 'gemma-3' }, { id: 'intfloat/e5-small' }], vectors);
    expect(await embedder.embed(['ab', 'c'], 'page', signal)).toEqual({
      model: 'intfloat/e5-small',
      vectors: [
        [11, 1],
        [10, 1],
      ],
    });
    await embedder.embed(['?'], 'question', signal);
    expect(asked().map(({ input }) => input)).toEqual([['passage: ab', 'passage: c'], ['query: ?']]);
  });

  test('a server without embeddings is asked once, and again an hour later', async () => {
    let isReady = false;
    const { embedder, asked } = await serverWith([{ id: 'chat' }], (body) => (isReady ? vectors(body) : refusal), {
      isOfChats: true,
    });
    expect(await embedder.embed(['a'], 'page', signal)).toBeNull();
    isReady = true;
    expect(await embedder.embed(['a'], 'page', signal)).toBeNull();
    expect(asked()).toHaveLength(1);
    elapsedMs = 3_600_001;
    expect(await embedder.embed(['a'], 'page', signal)).not.toBeNull();
  });

  test('a server that loads its model, is too busy or wants another key is asked again with the next texts', async () => {
    for (const status of [401, 429, 500, 503]) {
      let isReady = false;
      const { embedder } = await serverWith([{ id: 'embed' }], (body) =>
        isReady ? vectors(body) : { status, json: { error: { message: 'Loading model' } } },
      );
      await expect(embedder.embed(['a'], 'page', signal)).rejects.toMatchObject({ context: { status } });
      isReady = true;
      expect(await embedder.embed(['a'], 'page', signal)).toMatchObject({ model: 'embed' });
    }
  });

  test('a server of chats is asked for no model that it would have to load, and one that is loaded is used', async () => {
    const models = [
      { id: 'chat', status: { value: 'loaded' } },
      { id: 'bge-small-en', status: { value: 'unloaded' } },
    ];
    const cold = await serverWith(models, vectors, { isOfChats: true });
    expect(await cold.embedder.embed(['a'], 'page', signal)).toBeNull();
    expect(cold.asked()).toEqual([]);
    const warm = await serverWith(
      models.map(({ id }) => ({ id, status: { value: 'loaded' } })),
      vectors,
      { isOfChats: true },
    );
    expect(await warm.embedder.embed(['a'], 'page', signal)).toMatchObject({ model: 'bge-small-en' });
  });

  test('S1-55 a text that the server refuses costs no other its vector', async () => {
    const { embedder, asked } = await serverWith([{ id: 'embed' }], (body) =>
      body.input.some(({ length }) => length > 500)
        ? { status: 500, json: { error: { message: 'input is too large to process' } } }
        : vectors(body),
    );
    const lengths = [900, 450, 1, 2, 3, 4, 5, 6, 7, 8];
    const texts = lengths.map((length) => 'x'.repeat(length));
    const { vectors: given } = (await embedder.embed(texts, 'page', signal)) ?? {};
    expect(given?.map((vector) => vector?.[0] ?? null)).toEqual([null, ...lengths.slice(1)]);
    expect(Math.max(...asked().map(({ input }) => input.length))).toBe(8);
    await expect(embedder.embed(texts.slice(0, 1), 'page', signal)).rejects.toMatchObject({ context: { status: 500 } });
  });

  test('a server that is too slow for eight texts is asked for fewer, and for no more later', async () => {
    const timer = new Timers();
    const lengths: number[] = [];
    const { embedder } = await serverWith(
      [{ id: 'embed' }],
      (body) => {
        lengths.push(body.input.length);
        return body.input.length > 2 ? timer.timeOut() : vectors(body);
      },
      {},
      timer,
    );
    const texts = Array.from({ length: 8 }, (_, at) => 'x'.repeat(at + 1));
    expect((await embedder.embed(texts, 'page', signal))?.vectors.map((vector) => vector?.[0])).toEqual(
      texts.map(({ length }) => length),
    );
    expect(lengths).toEqual([8, 4, 2, 2, 2, 2]);
    lengths.length = 0;
    await embedder.embed(texts, 'page', signal);
    expect(lengths).toEqual([2, 2, 2, 2]);
  });

  test('an answer with too few vectors, or of different lengths, is none', async () => {
    for (const embeddings of [[[1, 2]], [[1, 2], [3]], [[], []]]) {
      let isFirst = true;
      const { embedder } = await serverWith([{ id: 'embed' }], (body) => {
        if (isFirst) return ((isFirst = false), vectors(body));
        return { status: 200, json: { data: embeddings.map((embedding, index) => ({ index, embedding })) } };
      });
      await embedder.embed(['a'], 'page', signal);
      await expect(embedder.embed(['a', 'b'], 'page', signal)).rejects.toMatchObject({ name: 'EngineFailed' });
    }
  });
});
