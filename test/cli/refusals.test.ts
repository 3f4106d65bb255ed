import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readRecord, realBackends } from '../client/support/realBackends.ts';
import { until } from '../support/until.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { cliOn } from './support/cli.ts';
import { startCli } from './support/cliProcess.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage } = realBackends();
const startHere = wholeBackends();
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function silentEngine(): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  const server = createServer(() => connections++).unref();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

describe('cwm refuses', () => {
  it('S0-24 S0-70 bad ids, taken names and missing things, each with its code, as one JSON object on stderr', async () => {
    const { storage } = await startHere();
    const cwm = cliOn(storage, storage);
    await cwm.json('session', 'new', '--id', 'taken');
    const refused: [code: string, args: string[]][] = [
      ['CWM-1001', ['session', 'new', '--id', 'has spaces']],
      ['CWM-1001', ['session', 'show', 'has/slash']],
      ['CWM-1002', ['freeze', 'taken', 'x'.repeat(129)]],
      ['CWM-3004', ['session', 'new', '--id', 'taken']],
      ['CWM-2001', ['send', 'nobody', 'hello']],
      ['CWM-2001', ['session', 'delete', 'nobody']],
      ['CWM-2002', ['thaw', 'nothing']],
      ['CWM-2002', ['clone', 'nothing', 'copy']],
      ['CWM-2009', ['prime', 'taken', 'no-such-file']],
      ['CWM-2009', ['send', 'taken', 'What is this?', '--image', 'no-such-picture.png']],
      ['CWM-1003', ['send', 'taken', 'What is this?', '--image', import.meta.filename]],
      ['CWM-1003', ['session', 'new', '--engine', 'ftp://x']],
      ['CWM-1102', ['open', 'no-such-folder']],
      ['CWM-1102', ['session', 'new', '--project', 'no-such-folder']],
      ['CWM-1102', ['base', 'show', '--project', 'no-such-folder']],
    ];
    for (const [code, args] of refused) {
      const report = await cwm.refusal(...args);
      expect(report, args.join(' ')).toMatchObject({
        code,
        message: expect.stringMatching(/\w/),
        retryable: expect.any(Boolean),
        hint: expect.stringMatching(/\w/),
      });
    }
  });

  it('in words: what happened, its code, and what to do', async () => {
    const { code, stdout, stderr } = await cliOn((await startHere()).storage).run('thaw', 'nothing');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^cwm: .*"nothing".* \(CWM-2002\)\n {5}List the windows \("cwm list"\) to see which exist\.\n$/,
    );
  });

  it('S0-04 an empty session to freeze, and leaves it as it was', async () => {
    const cwm = cliOn((await startHere()).storage);
    await cwm.json('session', 'new', '--id', 'empty');
    expect(await cwm.refusal('freeze', 'empty', 'w')).toMatchObject({ code: 'CWM-1003' });
    expect(await cwm.json('session', 'show', 'empty')).toMatchObject({ lifecycle: 'active', phase: 'Idle' });
    expect(await cwm.json('list')).toMatchObject({ total: 0 });
  });

  it('an engine that is not there', async () => {
    const cwm = cliOn((await startHere()).storage);
    await cwm.json('session', 'new', '--id', 's', '--engine', 'http://127.0.0.1:9');
    expect(await cwm.refusal('send', 's', 'hello')).toMatchObject({ code: 'CWM-5001', retryable: true });
    const doctor = await cwm.run('doctor', '--engine', 'http://127.0.0.1:9', '--json');
    expect(doctor.code).toBe(1);
    expect(JSON.parse(doctor.stdout)).toMatchObject({ engine: { reachable: false, problem: { code: 'CWM-5001' } } });
  });

  it('a file that is no GGUF, and a missing one, given relative to the working directory', async () => {
    const { storage } = await startHere();
    const cwm = cliOn(storage, storage);
    writeFileSync(join(storage, 'model.gguf'), 'This is no model.');
    await cwm.json('session', 'new', '--id', 's', '--engine', 'embedded:model.gguf');
    expect(await cwm.refusal('send', 's', 'hello')).toMatchObject({ code: 'CWM-1201' });
    await cwm.json('session', 'new', '--id', 't', '--engine', 'embedded:missing.gguf');
    expect(await cwm.refusal('send', 't', 'hello')).toMatchObject({ code: 'CWM-2009' });
  });

  it('to hang: Ctrl-C ends with 130, and the session is as it was', async () => {
    const { storage } = await startHere();
    const cwm = cliOn(storage);
    const { url, connections } = await silentEngine();
    await cwm.json('session', 'new', '--id', 's', '--engine', url);
    const { child, outcome } = startCli(['send', 's', 'hello', '--storage', storage, '--json']);
    await until('the engine was asked', () => connections() > 0);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await outcome;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CWM-6003' });
    await until('the backend has rolled it back', async () => {
      return (await cwm.json('session', 'show', 's'))['phase'] === 'Idle';
    });
    expect(await cwm.json('session', 'show', 's')).toMatchObject({ lifecycle: 'active', tokens: null });
  });

  it('a storage directory that is a file', async () => {
    const storage = makeStorage();
    writeFileSync(join(storage, 'file'), '');
    const { code, stderr } = await cliOn(join(storage, 'file', 'below')).run('list', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CWM-4001' });
  });
});

describe('cwm serve', () => {
  it.runIf(process.platform === 'linux')('refuses a storage directory that cannot be created', async () => {
    expect(await cliOn('/proc/no/such').refusal('serve')).toMatchObject({ code: 'CWM-4001' });
  });

  it('runs the backend until Ctrl-C, refuses a second one, and leaves no record behind', async () => {
    const storage = makeStorage();
    const cwm = cliOn(storage);
    const { child, outcome } = startCli(['serve', '--storage', storage, '--json']);
    const record = await until('it is announced', () => {
      try {
        return readRecord(storage);
      } catch {
        return null;
      }
    });
    expect(await cwm.json('status')).toMatchObject({ pid: record.pid });
    expect(await cwm.refusal('serve')).toMatchObject({
      code: 'CWM-5010',
      message: expect.stringContaining(String(record.pid)),
    });
    child.kill('SIGINT');
    const { code, stdout } = await outcome;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pid: record.pid, address: record.address, storage });
    expect(() => readRecord(storage)).toThrow('ENOENT');
    expect(isRunning(record.pid)).toBe(false);
  });
});
