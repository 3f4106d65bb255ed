import { createServer, type RequestListener } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { requestBackend, TransportError } from '../../src/client/transport.ts';
import type { BackendRecord } from '../../src/protocol/backendRecord.ts';
import { CwmError } from '../../src/protocol/errors.ts';

const limits = { timeoutMs: 60_000 };
const get = { method: 'GET', path: '/api/health' } as const;

/** A backend that answers like this, on a socket of its own. */
async function backend(answer: RequestListener): Promise<BackendRecord> {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-transport-'));
  const address = process.platform === 'win32' ? `\\\\.\\pipe\\${folder.slice(-20)}` : join(folder, 's');
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(address, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });
  return { pid: process.pid, version: '1', address, startedAt: '2026-11-29' };
}

describe('a request to the backend', () => {
  it('says what its body is, and sends the headers of its caller', async () => {
    const asked: object[] = [];
    const listening = await backend((request, response) => {
      const { authorization, 'content-type': type, 'x-more': more } = request.headers;
      asked.push({ method: request.method, url: request.url, authorization, type, more });
      response.end('{}');
    });
    await requestBackend(listening, get, limits);
    const body = { method: 'POST', path: '/api/sessions', body: '{}', headers: { 'x-more': '1' } } as const;
    await requestBackend(listening, body, limits);
    expect(asked).toEqual([
      { method: 'GET', url: '/api/health', authorization: undefined, type: undefined, more: undefined },
      { method: 'POST', url: '/api/sessions', authorization: undefined, type: 'application/json', more: '1' },
    ]);
  });

  it.each([
    ['7', 7],
    [undefined, null],
    ['soon', null],
    ['1.5', null],
  ])('gives status, body, and the number of the last signal that it caused: %j', async (header, signals) => {
    const listening = await backend((_, response) => {
      response.writeHead(201, header === undefined ? {} : { 'x-cwm-signals': header });
      response.end('{"text":"ü"}');
    });
    expect(await requestBackend(listening, get, limits)).toEqual({ status: 201, body: '{"text":"ü"}', signals });
  });

  const failureOf = async (request: Promise<unknown>): Promise<unknown> =>
    request.then(
      () => null,
      (error: unknown) => error,
    );

  it('can be made again where no backend listens', async () => {
    const listening = await backend(() => {});
    const failure = await failureOf(
      requestBackend({ ...listening, address: `${listening.address}-gone` }, get, limits),
    );
    expect(failure).toBeInstanceOf(TransportError);
    expect(failure).toMatchObject({ sent: false, message: expect.stringContaining('ENOENT') });
  });

  it('may have been carried out where the backend dies before or in the middle of its answer', async () => {
    const silent = await backend((request) => request.socket.destroy());
    expect(await failureOf(requestBackend(silent, get, limits))).toMatchObject({ name: 'TransportError', sent: true });
    const half = await backend((request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"half":', () => request.socket.destroy());
    });
    expect(await failureOf(requestBackend(half, get, limits))).toMatchObject({ name: 'TransportError', sent: true });
  });

  it('S0-40 ends with OperationTimeout when the answer takes too long', async () => {
    const listening = await backend(() => {});
    await expect(requestBackend(listening, get, { timeoutMs: 5 })).rejects.toMatchObject({
      name: 'OperationTimeout',
      message: 'The backend did not answer within 0 s.',
    });
  });

  it('S0-43 ends at once when it is aborted, with the reason, and the backend sees that', async () => {
    const leave = new AbortController();
    const gone = Promise.withResolvers<void>();
    const listening = await backend((request) => {
      request.socket.once('close', () => gone.resolve());
      leave.abort(new CwmError('Cancelled', 'The user left.'));
    });
    await expect(requestBackend(listening, get, { ...limits, signal: leave.signal })).rejects.toThrow('The user left.');
    await gone.promise;
  });
});
