import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackendEngines } from '../../src/backend/engines/backendEngines.ts';
import type { Change } from '../../src/protocol/signals.ts';

const refusing = createServer((_, response) => response.writeHead(404).end('not here'));
let spec = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  spec = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
});
afterAll(() => void refusing.close());

function enginesWith(changes: Change[]): BackendEngines {
  return new BackendEngines({
    storage: tmpdir(),
    defaultSpec: spec,
    embedded: { entry: 'none', args: [] },
    log: { write: () => undefined, failure: () => undefined },
    emit: (change) => changes.push(change),
  });
}

describe('how an engine was last seen', () => {
  test('before the first request: neither reachable nor a problem', () => {
    const engines = enginesWith([]);
    engines.get(spec);
    expect(engines.lastStatuses).toMatchObject([{ spec, reachable: false, problem: null }]);
  });

  test('an operation that found it down leaves the problem for all to see, and says so once', async () => {
    const changes: Change[] = [];
    const engines = enginesWith(changes);
    const { signal } = new AbortController();
    await expect(engines.get(spec).describe(signal)).rejects.toMatchObject({ code: expect.stringMatching(/^CWM-5/) });
    await expect(engines.get(spec).describe(signal)).rejects.toThrow();
    expect(engines.lastStatuses).toMatchObject([
      { reachable: false, problem: { code: expect.stringMatching(/^CWM-5/) } },
    ]);
    expect(changes).toEqual([{ type: 'engine', spec }]);
    expect(await engines.status(spec, signal)).toEqual(engines.lastStatuses[0]);
    await engines.close();
  });

  test('an abort says nothing about the engine', async () => {
    const changes: Change[] = [];
    const engines = enginesWith(changes);
    await expect(engines.get(spec).describe(AbortSignal.abort())).rejects.toThrow();
    expect(engines.lastStatuses).toMatchObject([{ problem: null }]);
    expect(changes).toEqual([]);
    await engines.close();
  });

  test('what is no engine at all is reported, not thrown', async () => {
    const status = await enginesWith([]).status('ftp://x', new AbortController().signal);
    expect(status).toMatchObject({ reachable: false, problem: { code: 'CWM-1003' } });
  });
});
