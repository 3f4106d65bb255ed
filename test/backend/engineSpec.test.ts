import { describe, expect, it, vi } from 'vitest';
import { engineKeyFor, withRequest } from '../../src/backend/requestScope.ts';
import { engineSpecRules } from '../../src/backend/engines/adapters.ts';
import * as engineSpecs from '../../src/protocol/engineSpec.ts';

const parseEngineSpec = (spec: string) => engineSpecs.parseEngineSpec(spec, engineSpecRules);

describe('engine spec', () => {
  it('is a URL, "embedded", or "embedded:" and an absolute path', () => {
    expect(parseEngineSpec('embedded')).toEqual({ kind: 'embedded', modelFile: null });
    expect(parseEngineSpec('embedded:/models/a b.gguf')).toEqual({ kind: 'embedded', modelFile: '/models/a b.gguf' });
    expect(parseEngineSpec('https://host:8000/v1')).toEqual({
      kind: 'url',
      url: 'https://host:8000/v1',
      places: {},
    });
  });

  it('may name the folder of llama-server’s slot files, as it is written or percent-encoded', () => {
    const folderOf = (spec: string): unknown => parseEngineSpec(spec);
    const url = 'http://localhost:8080';
    expect(folderOf(`${url}#slots=/var/a+b c`)).toEqual({ kind: 'url', url, places: { slots: '/var/a+b c' } });
    expect(folderOf(`${url}/x#slots=/var/a%26b%23`)).toMatchObject({
      url: `${url}/x`,
      places: { slots: '/var/a&b#' },
    });
    expect(folderOf(`${url}#`)).toEqual({ kind: 'url', url, places: {} });
  });

  it('may name the URL of LMCache’s coordinator, beside a folder', () => {
    expect(parseEngineSpec('http://host:8000#tier=/kv&lmcache=http://host:9300?world_size=2')).toMatchObject({
      places: { tier: '/kv', lmcache: 'http://host:9300?world_size=2' },
    });
  });

  it('may name where vLLM publishes events: a Unix socket, or a port of the loopback address', () => {
    const eventsOf = (place: string) => parseEngineSpec(`http://host:8000#events=${place}`);
    for (const place of [
      'ipc:///run/user/1/vllm.sock',
      'tcp://127.0.0.1:5557',
      'tcp://localhost:5557',
      'tcp://[::1]:1',
    ])
      expect(eventsOf(place)).toMatchObject({ places: { events: place } });
    expect(eventsOf('ipc:///a%20b%26c')).toMatchObject({ places: { events: 'ipc:///a b&c' } });
  });

  it.each([
    'ipc://relative',
    'ipc://',
    'ipc:///',
    'ipc:///a%00b',
    'tcp://10.0.0.5:5557',
    'tcp://*:5557',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:99999',
    'tcp://127.0.0.1:5557/x',
    'tcp://127.0.0.1.example.org:5557',
    'tcp://me@127.0.0.1:5557',
    'http://127.0.0.1:5557',
    'off',
    '',
  ])('events, which hold salts in the clear, are not read from %j: CWM-1003', (place) => {
    expect(() => parseEngineSpec(`http://host:8000#events=${place}`)).toThrow(
      expect.objectContaining({ code: 'CWM-1003', message: expect.stringContaining('"events"') }),
    );
  });

  it.each([
    '#lmcache=host:9300',
    '#lmcache=/kv',
    '#lmcache=http://me:secret@host',
    '#lmcache=',
    '#slots',
    '#slots=',
    '#slots=relative',
    '#slots=/a&blocks=/b',
    '#/a',
    '#slots=/%zz',
    '#__proto__=/a',
  ])('names no folder with %j: CWM-1003', (fragment) => {
    expect(() => parseEngineSpec(`http://host:8000${fragment}`)).toThrow(expect.objectContaining({ code: 'CWM-1003' }));
  });

  it.each(['', 'embeded', 'embedded:', 'embedded:model.gguf', 'ftp://host', 'localhost:8000', 'file:///x'])(
    'is not %j: CWM-1003 with what to give instead',
    (spec) => {
      expect(() => parseEngineSpec(spec)).toThrow(
        expect.objectContaining({ code: 'CWM-1003', hint: expect.stringContaining('http://host:port') }),
      );
    },
  );

  it('S0-60 holds no password, which would end up in records and messages', () => {
    for (const spec of ['http://me:secret@host', 'http://host:8000/?api_key=secret'])
      expect(() => parseEngineSpec(spec)).toThrow(
        expect.objectContaining({ code: 'CWM-1003', message: expect.not.stringContaining('secret') }),
      );
  });
});

describe('engine key', () => {
  const server = 'https://mine:8000/v1';
  const usual = { now: `${server}#tier=/x`, own: 'embedded' };
  const keyFor = (url: string) => engineKeyFor(url, usual);

  it('is that of the request and of nothing beside it, also behind awaits', async () => {
    vi.stubEnv('CWM_API_KEY', '');
    const later = async (): Promise<string | undefined> => {
      await Promise.resolve();
      return keyFor(server);
    };
    const keys = await Promise.all([
      withRequest({ client: 'test', engineKey: 'one' }, later),
      withRequest({ client: 'test', engineKey: 'two' }, later),
      later(),
    ]);
    expect(keys).toEqual(['one', 'two', undefined]);
  });

  it('goes to the server that it is for, and to no other one, whatever a folder names', async () => {
    vi.stubEnv('CWM_API_KEY', 'own');
    const elsewhere = [
      'http://mine:8000/v1',
      'https://mine:8001/v1',
      'https://mine.evil:8000/v1',
      'https://evil/',
      'embedded',
    ];
    const sent = (for_?: string) =>
      withRequest({ client: 'cli', engineKey: 'key', engineKeyFor: for_ }, async () =>
        [server, ...elsewhere].map(keyFor),
      );
    const nowhere = elsewhere.map(() => undefined);
    expect(await sent()).toEqual(['key', ...nowhere]);
    expect(await sent('https://mine:8000/other')).toEqual(['key', ...nowhere]);
    expect(await sent('https://third/')).toEqual([undefined, ...nowhere]);
    // The backend's own is for the server that it was started with, or for the one that is named beside it.
    expect(keyFor(server)).toBeUndefined();
    expect(engineKeyFor(server, { now: 'https://evil/', own: server })).toBe('own');
    expect(engineKeyFor('https://evil/', { now: 'https://evil/', own: server })).toBeUndefined();
    vi.stubEnv('CWM_API_KEY_FOR', 'https://third/v1');
    expect(keyFor('https://third/')).toBe('own');
    expect(engineKeyFor(server, { now: server, own: server })).toBeUndefined();
    vi.unstubAllEnvs();
  });
});

it('K4 the model of a server that has several is a part of the spec, and replaces one that it names', () => {
  expect(engineSpecs.withModel('http://h:1', 'a/b:c d')).toBe('http://h:1#model=a%2Fb%3Ac%20d');
  expect(engineSpecs.withModel('http://h:1#tier=/x&model=old', 'new')).toBe('http://h:1#tier=/x&model=new');
  expect(engineSpecs.withModel('embedded', 'new')).toBeNull();
});

it('splits a spec into the server and the model that it names', () => {
  expect(engineSpecs.splitModel('http://h:1')).toEqual({ server: 'http://h:1', model: null });
  expect(engineSpecs.splitModel('http://h:1#model=a%2Fb')).toEqual({ server: 'http://h:1', model: 'a/b' });
  const whole = { server: 'http://h:1#tier=/x&slots=/y', model: 'm' };
  expect(engineSpecs.splitModel('http://h:1#tier=/x&model=m&slots=/y')).toEqual(whole);
  expect(engineSpecs.splitModel('embedded:/models/a#model=b')).toBeNull();
});
