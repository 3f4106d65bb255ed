import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseHttpAddress } from '../../../src/backend/api/httpAddress.ts';
import { readHttpToken } from '../../../src/backend/api/httpToken.ts';
import type { HttpWish } from '../../../src/backend/api/serveHttp.ts';
import { challengePath } from '../../../src/protocol/backendRecord.ts';
import { backendsInProcess } from '../support/backendInProcess.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const start = backendsInProcess();
const makeDirectory = temporaryDirectories();

interface Served {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly calls: () => number;
}

async function served(times: HttpWish['times'] = {}): Promise<Served> {
  const tokenFile = path.join(makeDirectory(), 'token');
  const { backend, fake } = await start({ http: { address: '127.0.0.1:0', remote: false, tokenFile, times } });
  const url = backend.record.http ?? '';
  return {
    url,
    port: Number(new URL(url).port),
    token: readFileSync(tokenFile, 'utf8').trim(),
    calls: () => fake.calls.length,
  };
}

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly code: string | undefined;
}

/** `fetch` does not let a test choose `Host`. */
function ask(
  { url, token }: Served,
  { method = 'GET', path: to = '/api/windows', headers = {}, body }: Sent = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}${to}`,
      { method, headers: { authorization: `Bearer ${token}`, ...headers } },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => {
          const { error } = JSON.parse(text || '{}') as { error?: { code: string } };
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, code: error?.code });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends these bytes and nothing more; what comes back until the backend ends the connection. */
function sendRaw({ port }: Served, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

describe('the API on TCP (S4-30)', () => {
  it('answers a client that has the token, as on the socket', async () => {
    const backend = await served();
    expect(await ask(backend)).toMatchObject({ status: 200 });
    expect(await ask(backend, { headers: { host: `localhost:${backend.port}` } })).toMatchObject({ status: 200 });
    expect(await ask(backend, { headers: { origin: backend.url } })).toMatchObject({ status: 200 });
  });

  it('says nothing about the token of the socket, with its own token or without', async () => {
    const backend = await served();
    const to = `${challengePath}?nonce=${'0'.repeat(64)}`;
    expect(await ask(backend, { path: to, headers: { authorization: '' } })).toMatchObject({ code: 'CWM-8005' });
    expect(await ask(backend, { path: to })).toMatchObject({ status: 404 });
  });

  it('is not there unless it is asked for', async () => {
    expect((await start()).backend.record).not.toHaveProperty('http');
  });

  it.each(['', 'Bearer', 'Bearer wrong', 'Basic Og=='])(
    'refuses the token %j, for every path',
    async (authorization) => {
      const backend = await served();
      for (const to of ['/api/windows', '/api/events', '/nothing']) {
        const answer = await ask(backend, { path: to, headers: { authorization } });
        expect(answer).toMatchObject({ status: 401, code: 'CWM-8005' });
        expect(answer.headers['www-authenticate']).toBe('Bearer');
      }
      expect(backend.calls()).toBe(0);
    },
  );

  it.each(['evil.example', 'evil.example:PORT', 'localhost', '127.0.0.1:1', '192.0.2.1:PORT'])(
    'refuses the host %s even with the token',
    async (host) => {
      const backend = await served();
      const answer = await ask(backend, { headers: { host: host.replace('PORT', String(backend.port)) } });
      expect(answer).toMatchObject({ status: 403, code: 'CWM-8001' });
      expect(backend.calls()).toBe(0);
    },
  );

  it.each(['localhost:PORT.evil.example', '[::1', '@'])('refuses the malformed host %s', async (host) => {
    const backend = await served();
    const answer = await ask(backend, { headers: { host: host.replace('PORT', String(backend.port)) } });
    expect(answer).toMatchObject({ status: 400, code: 'CWM-1003' });
    expect(backend.calls()).toBe(0);
  });

  it('refuses pages of other origins, and allows none by CORS', async () => {
    const backend = await served();
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of foreign) {
      const answer = await ask(backend, { headers });
      expect(answer).toMatchObject({ status: 403, code: 'CWM-8001' });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    const preflight = await ask(backend, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    expect(preflight.status).toBe(403);
    expect(backend.calls()).toBe(0);
  });

  it('refuses a body that says it is too large before it reads it', async () => {
    const backend = await served();
    const head = `POST /api/contexts HTTP/1.1\r\nhost: 127.0.0.1:${backend.port}\r\nauthorization: Bearer ${backend.token}\r\n`;
    const received = await sendRaw(backend, `${head}content-length: 17000000\r\n\r\n`);
    expect(received).toMatch(/^HTTP\/1\.1 413 .*"CWM-7012"/s);
    expect(backend.calls()).toBe(0);
  });

  it('refuses a body that grows too large without saying so', async () => {
    const backend = await served();
    const answer = await ask(backend, {
      method: 'POST',
      path: '/api/contexts',
      headers: { 'transfer-encoding': 'chunked' },
      body: 'x'.repeat(17 * 1024 * 1024),
    });
    expect(answer).toMatchObject({ status: 413, code: 'CWM-7012' });
  });

  it('ends a body that comes too slowly', async () => {
    const backend = await served({ bodyMs: 50 });
    const head = `POST /api/contexts HTTP/1.1\r\nhost: 127.0.0.1:${backend.port}\r\nauthorization: Bearer ${backend.token}\r\n`;
    const received = await sendRaw(backend, `${head}content-length: 100\r\n\r\n{`);
    expect(received).toMatch(/^HTTP\/1\.1 408 .*"CWM-6004"/s);
    expect(backend.calls()).toBe(0);
  });

  it('ends headers that come too slowly, are too large, or are no HTTP', async () => {
    const backend = await served({ headersMs: 50, checkMs: 20 });
    expect(await sendRaw(backend, 'GET /api/windows HTTP/1.1\r\nhost: x')).toMatch(/^HTTP\/1\.1 408 .*"CWM-6004"/s);
    expect(await sendRaw(backend, `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 413 .*"CWM-7012"/s,
    );
    expect(await sendRaw(backend, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*"CWM-1003"/s);
  });

  it('leaves what ends the backend or acts for the user alone to the own clients on the socket, whatever a client says of itself', async () => {
    const backend = await served();
    const paths = ['/api/shutdown', '/api/retire', '/api/engine'];
    for (const to of paths) {
      const sent = { method: 'POST', path: to, headers: { 'x-cwm-client': 'cli.1' }, body: '{"engine":"embedded"}' };
      expect(await ask(backend, sent), to).toMatchObject({ status: 403, code: 'CWM-8001' });
    }
  });
});

describe('a stranger with the token of the API on TCP', () => {
  const send = (backend: Served, method: string, to: string, body: object) =>
    ask(backend, { method, path: to, headers: { 'x-cwm-client': 'cli.1' }, body: JSON.stringify(body) });
  const refused = { status: 403, code: 'CWM-8001' };

  it('reads no file of the user by adding it to a context, and writes none by synchronising', async () => {
    const backend = await served();
    expect(await send(backend, 'POST', '/api/contexts/s/files', { paths: ['/etc/passwd'] })).toMatchObject(refused);
    expect(await send(backend, 'POST', '/api/contexts/s/tracker/sync', { folder: '/tmp' })).toMatchObject(refused);
    expect(await ask(backend, { path: '/api/files?folder=/' })).toMatchObject(refused);
    expect(backend.calls()).toBe(0);
  });

  it('has the backend ask no model server of its choice, which would get the API key', async () => {
    const backend = await served();
    for (const engine of ['http://evil.example', 'http://127.0.0.1:1#slots=/home/me', 'embedded:/home/me/x.gguf', '']) {
      expect(await send(backend, 'POST', '/api/contexts', { title: 'T', project: null, engine })).toMatchObject(
        refused,
      );
      expect(await send(backend, 'POST', '/api/contexts/s/messages', { text: 'T', engine })).toMatchObject(refused);
      expect(await ask(backend, { path: `/api/models?engine=${encodeURIComponent(engine)}` })).toMatchObject(refused);
      expect(await ask(backend, { path: `/api/doctor?engine=${encodeURIComponent(engine)}` })).toMatchObject(refused);
    }
    expect(backend.calls()).toBe(0);
    const unnamed = await send(backend, 'POST', '/api/contexts', { title: 'T', project: null });
    expect(unnamed).not.toMatchObject(refused);
    expect(backend.calls()).toBe(1);
  });
});

describe('the address of the API on TCP', () => {
  it.each([
    ['8765', '127.0.0.1', 8765],
    ['localhost:0', 'localhost', 0],
    ['127.1.2.3:1', '127.1.2.3', 1],
    ['[::1]:80', '::1', 80],
  ])('reads %s', (written, host, port) => {
    expect(parseHttpAddress(written, false)).toEqual({ host, port });
  });

  it.each(['', 'x', ':1', '65536', '::1:80', 'a:b', '[x]:1', '127.0.0.1', '1:2:3'])(
    'does not understand %j',
    (written) => {
      expect(() => parseHttpAddress(written, true)).toThrow('must be [HOST:]PORT');
    },
  );

  it.each(['0.0.0.0:1', '[::]:1', '192.0.2.1:1', 'example.org:1', '127.evil.example:1'])(
    'goes beyond loopback to %s only on insistence',
    (written) => {
      expect(() => parseHttpAddress(written, false)).toThrow('would let other machines connect');
      expect(parseHttpAddress(written, true).port).toBe(1);
    },
  );
});

describe('the file with the token', () => {
  it.skipIf(process.platform === 'win32')(
    'is made for its user alone, and refused when others can read it',
    async () => {
      const file = path.join(makeDirectory(), 'token');
      const token = await readHttpToken(file);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(await readHttpToken(file)).toBe(token);
      chmodSync(file, 0o640);
      await expect(readHttpToken(file)).rejects.toThrow(`Other users can read the token file ${file}.`);
    },
  );

  it('is refused when it holds no token', async () => {
    const file = path.join(makeDirectory(), 'token');
    for (const content of ['', 'short', 'x'.repeat(600), `${'x'.repeat(40)} y`]) {
      writeFileSync(file, content, { mode: 0o600 });
      await expect(readHttpToken(file)).rejects.toMatchObject({ name: 'InvalidConfig' });
    }
  });
});
