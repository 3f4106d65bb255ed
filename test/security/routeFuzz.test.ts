import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackendRequest } from '../../src/client/transport.ts';
import { routes, type RouteName } from '../../src/protocol/api.ts';
import { shapes } from '../../src/protocol/routes/shapes.ts';
import { errors } from '../../src/protocol/errors.ts';
import { isSampled, runs } from '../support/nightly.ts';
import { wholeBackends, type WholeBackend } from './support/wholeBackend.ts';
import { fc } from '../support/fc.ts';

const start = wholeBackends(afterAll);
const names = (Object.keys(routes) as RouteName[]).filter((name) => name !== 'shutdown' && name !== 'retire');

/** Of every kind that a field could be, and of none: among them ids that exist. */
const strange = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('s', 'w', 'S', 'w2', 'x1') },
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(
    '',
    ' ',
    '..',
    '../s',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'null',
    '\0',
    '\ud800',
    '__proto__',
    'constructor',
    'toString',
  ),
  fc.constantFrom('nul', 'con', '%00', '%2e%2e%2f', '\u202e', '🧊', 'ａ', "'; DROP TABLE windows; --", '%', '_', '*'),
  fc.constantFrom('x'.repeat(64), 'x'.repeat(65), 'x'.repeat(129), 'x'.repeat(100_000), '9'.repeat(400)),
  fc.constantFrom(
    'file:///p',
    'file:///',
    'http://[',
    'embedded:',
    'embedded:relative',
    'http://127.0.0.1:1',
    'ftp://x',
  ),
  fc.constantFrom(0, -1, 1, 1.5, 1e308, -0, 2 ** 53, 101, Number.MAX_SAFE_INTEGER),
  fc.constantFrom(
    '0',
    '-1',
    '1e9',
    'NaN',
    'Infinity',
    '0x10',
    'true',
    'false',
    '2026-01-01',
    'tomorrow',
    'asc',
    'name',
  ),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { maxLength: 12 }),
  fc.dictionary(fc.string({ maxLength: 10 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
  fc.jsonValue({ maxDepth: 3 }),
);

const fieldsOf = (name: RouteName): string[] => Object.keys(shapes[name].input.shape);

/** An input with any of the route's fields and some that it does not have. */
const inputOf = (name: RouteName): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries([...fieldsOf(name), 'extra', '__proto__'].map((field) => [field, strange])), {
    requiredKeys: [],
  });

/** As a client sends it that knows the routes and nothing of what may be in them. */
function requestOf(name: RouteName, input: Record<string, unknown>): { method: string; path: string; body?: string } {
  const { method, path } = routes[name];
  const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'));
  const encode = (value: string): string => encodeURIComponent(value.toWellFormed());
  const filled = path.replaceAll(/:(\w+)/g, (_, field: string) => encode(text(input[field] ?? 'x1').slice(0, 2000)));
  if (method === 'POST' || method === 'PUT') return { method, path: filled, body: JSON.stringify(input) };
  const query = Object.entries(input).map(([field, value]) => `${encode(field)}=${encode(text(value).slice(0, 2000))}`);
  return { method, path: `${filled}?${query.join('&')}` };
}

/** Of routes whose answer is no JSON. */
const textPaths = names.filter((name) => 'answersText' in routes[name]).map((name): string => routes[name].path);

/** With any method. */
type LooseRequest = Omit<BackendRequest, 'method'> & { readonly method: string };

/** Never a crash, never "something went wrong": an answer, or an error of the table. */
async function expectTyped(backend: WholeBackend, request: LooseRequest): Promise<void> {
  const shown = `${request.method} ${request.path} ${request.body ?? ''}`.slice(0, 500);
  const answer = await backend.raw(request as BackendRequest);
  if (answer.status === 204) {
    expect(answer.body, shown).toBe('');
    return;
  }
  const [pathname = ''] = request.path.split('?');
  const answersText = request.method === 'GET' && textPaths.includes(pathname);
  if (answersText && answer.status === 200) return;
  expect(answer.body, `${shown} → ${answer.status}`).toMatch(/^\{/);
  const body = JSON.parse(answer.body) as { error?: { code: string; message: string } };
  if (answer.status < 300) {
    expect(body.error, shown).toBeUndefined();
    return;
  }
  expect(
    Object.values(errors).map(({ code }) => code),
    `${shown} → ${answer.status} ${answer.body.slice(0, 300)}`,
  ).toContain(body.error?.code);
  expect(body.error?.code, `${shown} → ${body.error?.message}`).not.toBe('CWM-9001');
  expect(answer.body.length, `${shown} → ${answer.body.slice(0, 200)}`).toBeLessThan(5000);
}

/** Whatever a route before has done to the session and its window, they are there again. */
async function refill({ client }: WholeBackend): Promise<void> {
  const ids = async (): Promise<string[]> => (await client.call('listSessions', {})).items.map(({ id }) => id);
  if (!(await ids()).includes('s')) await client.call('createSession', { id: 's', project: 'file:///p' });
  await client.call('send', { session: 's', text: 'What is ice?', maxTokens: 2 }).catch(() => undefined);
  await client.call('freeze', { session: 's', window: 'w', checkpoint: true }).catch(() => undefined);
}

describe('S0-60 every route, whatever it is asked', () => {
  // One for all routes: what one of them leaves behind, the next one meets.
  let backend: WholeBackend;
  beforeAll(async () => void (backend = await start()));

  it.each(names)('%s answers with a result or an error of the table', async (name) => {
    await refill(backend);
    await fc.assert(
      fc.asyncProperty(inputOf(name), async (input) => {
        await expectTyped(backend, requestOf(name, input));
      }),
      { numRuns: runs(8, 60), endOnFailure: false },
    );
    await backend.client.call('health', {});
    const { steps } = await backend.client.call('verify', {});
    expect(steps.flatMap(({ problems }) => problems)).toEqual([]);
  });

  it('bodies that are no JSON objects, and paths that are none', async () => {
    await refill(backend);
    const bodies = [
      '',
      '{',
      'null',
      '[]',
      '1',
      '"x"',
      '{"a":}',
      '\ufeff{}',
      '{"__proto__":{"session":"s"}}',
      '[[[['.repeat(20_000),
      'x',
    ];
    for (const [at, name] of names.entries()) {
      const { method, path } = routes[name];
      for (const [which, body] of bodies.entries()) {
        if (!isSampled(at + which, 4)) continue;
        // Node's client sends no length with a GET, so that its body would be read as the next request.
        const headers = { 'content-length': String(Buffer.byteLength(body)) };
        await expectTyped(backend, { method, path: path.replaceAll(/:\w+/g, 's'), body, headers });
      }
    }
    for (const path of [
      '/',
      '//',
      '/api',
      '/api/contexts/',
      '/api/contexts/%',
      '/api/contexts/%ff%fe',
      '/api/contexts/s/../../x',
      '/api/windows/%00',
    ]) {
      for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'])
        await expectTyped(backend, { method, path });
    }
  });
});
