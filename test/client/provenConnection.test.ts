import { createServer, type Server } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { backendProof } from '../../src/protocol/backendRecord.ts';
import { requestBackend } from '../../src/client/transport.ts';

const opened: Server[] = [];
const places: string[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) server.close();
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

const token = 'the-token-of-the-backend';
const text = 'a word of the user';
const http = (body: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** Listens where a backend would, stores every byte that it gets, and answers each piece. Null ends the connection after the answer. */
async function program(answer: (heard: string, connection: number, address: string) => readonly [string, boolean]) {
  const place = mkdtempSync(join(tmpdir(), 'cwm-'));
  places.push(place);
  const address =
    process.platform === 'win32' ? `\\\\.\\pipe\\cwm-test-${process.pid}-${places.length}` : join(place, 's');
  const heard: string[] = [];
  let connections = 0;
  const ends: Promise<void>[] = [];
  const server = createServer((socket) => {
    const connection = ++connections;
    ends.push(new Promise((resolve) => void socket.once('close', () => resolve())));
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard.push(bytes.toString('latin1'));
      const [reply, ends] = answer(bytes.toString('latin1'), connection, address);
      if (ends) socket.end(reply);
      else socket.write(reply);
    });
  });
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const record = { pid: 1, version: '1', address, startedAt: '', token };
  const send = () =>
    requestBackend(
      record,
      { method: 'POST', path: '/api/contexts', body: JSON.stringify({ text }) },
      { timeoutMs: 5000 },
    );
  const read = (of = record) =>
    requestBackend(
      of,
      { method: 'GET', path: `/api/search?${new URLSearchParams({ text }).toString()}` },
      { timeoutMs: 5000 },
    );
  return { record, heard, send, read, ends, connections: () => connections };
}

const proofFor = (heard: string, address: string): string =>
  JSON.stringify({ proof: backendProof(token, address, /nonce=([0-9a-f]{64})/.exec(heard)?.[1] ?? '') });
const isChallenge = (heard: string): boolean => heard.startsWith('GET /api/challenge?');

describe('S0-50 a program in the place of the backend', () => {
  it('the control: a backend that proves its token gets the token and the text, on one connection', async () => {
    const { heard, send } = await program((said, connection, address) => [
      http(isChallenge(said) ? proofFor(said, address) : String(connection)),
      false,
    ]);
    expect(await send()).toMatchObject({ status: 200, body: '1' });
    expect(heard.join('')).toContain(token);
    expect(heard.join('')).toContain(text);
  });

  it.each([
    ['answers everything with yes', () => [http('{"status":"healthy","pid":1}'), false]],
    ['makes a proof up', () => [http(`{"proof":"${'0'.repeat(64)}"}`), false]],
    ['speaks no HTTP', () => ['hello\r\n\r\n', true]],
    ['asks for the next request', () => ['HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n', false]],
    [
      'passes on the proof of a backend at another address',
      (said: string) => [http(proofFor(said, 'elsewhere')), false],
    ],
    [
      'ends the connection after a true proof, to be asked again',
      (said: string, _: number, at: string) => [http(proofFor(said, at)), true],
    ],
  ] as [string, (said: string, connection: number, address: string) => readonly [string, boolean]][])(
    'that %s never sees the token nor a word of text',
    async (_, answer) => {
      // A later connection finds an impostor without the proof.
      const { heard, send } = await program((said, connection, at) =>
        connection === 1 ? answer(said, connection, at) : [http('{}'), false],
      );
      await expect(send()).rejects.toThrow();
      expect(heard.filter((said) => !isChallenge(said))).toEqual([]);
      expect(heard.join('')).not.toContain(token);
    },
  );

  it('the control: no connection of a change stays open after its answer, even where the backend would wait for another request', async () => {
    const { send, ends } = await program((said, _, address) => [
      http(isChallenge(said) ? proofFor(said, address) : '1').replace('\r\n', '\r\nconnection: keep-alive\r\n'),
      false,
    ]);
    await send();
    expect(ends).toHaveLength(1);
    await Promise.all(ends);
  });

  it('that replaces the backend between two requests sees neither', async () => {
    const { heard, send } = await program((said, connection, address) => [
      http(isChallenge(said) ? (connection === 1 ? proofFor(said, address) : '{"proof":""}') : '{}'),
      false,
    ]);
    await send();
    const before = heard.length;
    await expect(send()).rejects.toThrow('does not know its token');
    expect(heard.slice(before).every(isChallenge)).toBe(true);
  });
});

describe('S0-50 a connection whose other end has proved itself', () => {
  /** Answers the challenge, and the number of the connection to everything else. */
  const honest = (said: string, connection: number, address: string): readonly [string, boolean] => [
    http(isChallenge(said) ? proofFor(said, address) : String(connection)),
    false,
  ];
  const challenges = (heard: readonly string[]): number => heard.filter(isChallenge).length;

  it('serves what reads, one request after the other, and is asked for one proof', async () => {
    const { heard, read } = await program(honest);
    for (let at = 0; at < 3; at++) expect(await read()).toMatchObject({ status: 200, body: '1' });
    expect(challenges(heard)).toBe(1);
  });

  it('is not that of a change, which has its own', async () => {
    const { heard, read, send, connections } = await program(honest);
    expect(await read()).toMatchObject({ body: '1' });
    expect(await send()).toMatchObject({ body: '2' });
    expect(await read()).toMatchObject({ body: '1' });
    expect([challenges(heard), connections()]).toEqual([2, 2]);
  });

  it('serves one request at a time', async () => {
    const { read } = await program(honest);
    await read();
    const bodies = (await Promise.all([read(), read(), read()])).map(({ body }) => body);
    expect(bodies.toSorted()).toEqual(['1', '2', '3']);
  });

  it('is no more than the fifth that waits for another request', async () => {
    const { read, ends } = await program(honest);
    await Promise.all(Array.from({ length: 5 }, () => read()));
    expect(ends).toHaveLength(5);
    await Promise.race(ends);
  });

  it('is not that of a backend with another token at the same address', async () => {
    const { record, heard, read } = await program(honest);
    await read();
    await expect(read({ ...record, token: 'the-token-of-the-next-backend' })).rejects.toThrow(
      'does not know its token',
    );
    expect(challenges(heard)).toBe(2);
    expect(heard.join('')).not.toContain('the-token-of-the-next-backend');
  });

  it('is followed by one that proves itself again where it has ended, and an impostor in its place sees nothing', async () => {
    const { heard, read, ends } = await program((said, connection, at) => {
      const [reply] = connection === 1 ? honest(said, connection, at) : [http('{"proof":""}')];
      return [reply, connection === 1 && !isChallenge(said)];
    });
    await read();
    await Promise.all(ends);
    const before = heard.length;
    await expect(read()).rejects.toThrow('does not know its token');
    expect(heard.slice(before).every(isChallenge)).toBe(true);
  });

  it('that ends instead of the next answer is followed by one of its own, which gets the request once more', async () => {
    let asked = 0;
    const { heard, read } = await program((said, connection, at) => {
      if (!isChallenge(said) && ++asked === 2) return ['', true];
      return honest(said, connection, at);
    });
    expect(await read()).toMatchObject({ body: '1' });
    expect(await read()).toMatchObject({ body: '2' });
    expect([asked, challenges(heard)]).toEqual([3, 2]);
  });

  it('does not serve another request where its answer says that it ends', async () => {
    const { heard, read } = await program((said, connection, at) => {
      const [reply] = honest(said, connection, at);
      return [isChallenge(said) ? reply : reply.replace('\r\n', '\r\nconnection: close\r\n'), false];
    });
    expect(await read()).toMatchObject({ body: '1' });
    expect(await read()).toMatchObject({ body: '2' });
    expect(challenges(heard)).toBe(2);
  });
});
