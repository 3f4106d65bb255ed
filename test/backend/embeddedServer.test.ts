import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { EmbeddedServer } from '../../src/backend/engines/embeddedServer.ts';
import { killHard } from '../client/support/realBackends.ts';
import { temporaryDirectories } from './support/temporaryDirectory.ts';
import { until } from '../support/until.ts';
import { isRunning } from '../support/isRunning.ts';

const makeDirectory = temporaryDirectories();
const entry = fileURLToPath(new URL('./support/fakeEmbedded.ts', import.meta.url));
const signal = new AbortController().signal;
const servers: EmbeddedServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Made {
  readonly server: EmbeddedServer;
  /** Ids of the processes that were started. */
  readonly starts: () => number[];
  readonly changes: () => number;
  /** Everything that the children were told, one line of JSON each. */
  readonly hints: () => string;
}

function make(play: string, startTimeoutMs?: number): Made {
  const kvDir = join(makeDirectory(), 'kv');
  let changes = 0;
  const server = new EmbeddedServer({
    entry,
    args: ['--kv-dir', kvDir, '--play', play],
    log: { write: () => undefined, failure: () => undefined },
    onChange: () => changes++,
    endTimeoutMs: 100,
    ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }),
  });
  servers.push(server);
  // A child that is killed early enough has not written itself down.
  const starts = (): number[] =>
    existsSync(`${kvDir}.starts`) ? readFileSync(`${kvDir}.starts`, 'utf8').trim().split('\n').map(Number) : [];
  const hints = (): string => (existsSync(`${kvDir}.hints`) ? readFileSync(`${kvDir}.hints`, 'utf8') : '');
  return { server, starts, changes: () => changes, hints };
}

describe('embedded server', () => {
  it('starts nothing until somebody asks, and then one for all who do', async () => {
    const { server, starts, changes } = make('serve');
    expect(starts()).toEqual([]);
    expect(server.current).toBeNull();
    const all = await Promise.all([server.connect(signal), server.connect(signal), server.connect(signal)]);
    expect(new Set(all).size).toBe(1);
    expect(starts()).toEqual([server.current?.pid]);
    expect(changes()).toBe(1);
  });

  it('tells a child that starts which blocks will be loaded, and one that serves nothing', async () => {
    const { server, hints, starts } = make('serve');
    server.expect(['one', 'two']);
    expect(starts()).toEqual([]);
    const connected = server.connect(signal);
    server.expect(['three']);
    await connected;
    await until('both hints have arrived', () => hints().split('\n').length > 2);
    expect(hints()).toBe('{"prefetch":["one","two"]}\n{"prefetch":["three"]}\n');
    server.expect(['four']);
    const { pid } = await server.connect(signal);
    await killHard(pid);
    await until('its end is noticed', () => server.current === null);
    await server.connect(signal);
    expect(hints()).not.toContain('four');
  });

  it('gives each child a secret of its own', async () => {
    const { server } = make('serve');
    const first = await server.connect(signal);
    expect(first.url).toBe('http://127.0.0.1:1/64');
    await killHard(first.pid);
    await until('its end is noticed', () => server.current === null);
    expect((await server.connect(signal)).token).not.toBe(first.token);
  });

  it('starts another when the child has died, and says that it changed', async () => {
    const { server, starts, changes } = make('serve');
    const { pid } = await server.connect(signal);
    await killHard(pid);
    await until('its end is noticed', () => server.current === null);
    expect(changes()).toBe(2);
    expect((await server.connect(signal)).pid).not.toBe(pid);
    expect(starts()).toHaveLength(2);
  });

  it.each(['serve', 'deaf'])(
    'starts another at once where nobody listens at the address of the child, before its end is noticed: %s',
    async (play) => {
      const { server, starts } = make(play);
      const { pid, url } = await server.connect(signal);
      if (play === 'serve') process.kill(pid, 'SIGKILL');
      expect(server.current?.pid).toBe(pid);
      const second = await server.connect(signal, url);
      expect(second.pid).not.toBe(pid);
      expect(isRunning(pid)).toBe(false);
      // Another address says nothing of this child.
      expect(await server.connect(signal, 'http://127.0.0.1:2')).toBe(second);
      expect(starts()).toHaveLength(2);
    },
  );

  it('passes on why the child refused, and tries again with the next one who asks', async () => {
    const { server, starts } = make('refuse');
    const refusal = { code: 'CWM-1201', message: 'It is no model.', hint: 'Choose another.' };
    await expect(server.connect(signal)).rejects.toMatchObject(refusal);
    await expect(server.connect(signal)).rejects.toMatchObject(refusal);
    expect(starts()).toHaveLength(2);
  });

  it('quotes the last words of a child that crashed', async () => {
    const { server } = make('crash');
    await expect(server.connect(signal)).rejects.toMatchObject({
      code: 'CWM-5001',
      message: expect.stringMatching(/status 9 .*out of memory/),
    });
  });

  it('gives up on a child that says nothing, and ends it', async () => {
    const { server, starts } = make('hang', 2_000);
    await expect(server.connect(signal)).rejects.toMatchObject({ code: 'CWM-6001' });
    await until('it has ended', () => starts().every((pid) => !isRunning(pid)));
  });

  it('an abort releases only the caller that aborted', async () => {
    const { server } = make('serve');
    const impatient = server.connect(AbortSignal.abort());
    const leave = new AbortController();
    const leaving = server.connect(leave.signal);
    const patient = server.connect(signal);
    leave.abort();
    await expect(impatient).rejects.toThrow('aborted');
    await expect(leaving).rejects.toMatchObject({ code: 'CWM-6003' });
    expect(await patient).toBe(server.current);
  });

  it('ends its child when it is closed, also one that does not listen, and starts no other', async () => {
    const { server, changes } = make('deaf');
    const { pid } = await server.connect(signal);
    await server.close();
    expect(isRunning(pid)).toBe(false);
    expect(changes()).toBe(1);
    await expect(server.connect(signal)).rejects.toMatchObject({ code: 'CWM-5001' });
  });
});
