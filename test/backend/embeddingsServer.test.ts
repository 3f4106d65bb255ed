import { tmpdir } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { BackendEngines } from '../../src/backend/engines/backendEngines.ts';
import { codeOf, never } from '../core/coreFixture.ts';
import { FakeHttpServer } from '../fakes/fakeHttpServer.ts';

function enginesWith(embeddings: string, lines: object[] = []): BackendEngines {
  const engines = new BackendEngines({
    storage: tmpdir(),
    defaultSpec: 'embedded',
    embedded: { entry: 'none', args: [] },
    embeddings,
    sleep: async () => undefined,
    log: { write: (level, event, fields) => lines.push({ level, event, ...fields }), failure: () => undefined },
    emit: () => undefined,
  });
  onTestFinished(() => engines.close());
  return engines;
}

test.each([
  '127.0.0.1:8081',
  'embedded',
  'embedded:/m.gguf',
  'on',
  'http://user:pw@host',
  'http://host?x=1',
  'http://host#foo=1',
])('S1-55 %s is no server of embeddings: the backend does not start with it', (setting) => {
  expect(() => enginesWith(setting)).toThrow(
    expect.objectContaining({ name: 'InvalidConfig', message: expect.stringContaining('--embeddings-server') }),
  );
});

test.each(['off', 'http://127.0.0.1:8081', 'http://127.0.0.1:8081#model=bge'])('%s is a setting', (setting) => {
  expect(() => enginesWith(setting).embedder('embedded')).not.toThrow();
});

test('what keeps a named server from being used is in the log, each failure once until an answer comes', async () => {
  let status = 503;
  const server = new FakeHttpServer({
    faults: { http: null },
    answer: ({ path }) =>
      path === '/v1/models'
        ? { status: 200, json: { data: [{ id: 'embed' }] } }
        : { status, json: status === 200 ? { data: [{ embedding: [1] }] } : { error: { message: 'Loading model' } } },
  });
  await server.listen();
  onTestFinished(() => server.kill());
  const lines: object[] = [];
  const ask = () => enginesOf.embedder('embedded')!.embed(['a'], 'page', never());
  const enginesOf = enginesWith(server.url, lines);
  for (let at = 0; at < 3; at++) expect(await codeOf(ask())).toMatch(/^CWM-5/);
  const line = {
    level: 'warning',
    server: server.url,
    code: expect.stringMatching(/^CWM-5/),
    message: expect.stringContaining('Loading model'),
  };
  expect(lines).toMatchObject([line]);
  status = 200;
  expect(await ask()).toMatchObject({ model: 'embed' });
  status = 503;
  expect(await codeOf(ask())).toMatch(/^CWM-5/);
  expect(lines).toMatchObject([line, line]);
});

test('a named server on another machine needs https, and the log says so', async () => {
  const lines: object[] = [];
  const embedder = enginesWith('http://gpu-box:8081', lines).embedder('embedded');
  expect(await codeOf(embedder!.embed(['a'], 'page', never()))).toMatch(/^CWM-/);
  expect(lines).toMatchObject([{ message: expect.stringContaining('https') }]);
});
