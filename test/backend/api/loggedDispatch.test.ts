import { describe, expect, it } from 'vitest';
import { levelOf, loggedDispatch } from '../../../src/backend/api/loggedDispatch.ts';
import type { Log, LogFields } from '../../../src/backend/process/logFile.ts';
import { currentFacts } from '../../../src/backend/requestScope.ts';
import type { RouteName } from '../../../src/protocol/api.ts';
import { CwmError, errors, type ErrorName } from '../../../src/protocol/errors.ts';

const never = new AbortController().signal;
type Line = LogFields & { readonly level: string; readonly event: string };

/** What the log has of one operation that takes 25 ms. */
async function logOf(route: RouteName, input: object, work: () => Promise<unknown>): Promise<Line[]> {
  const lines: Line[] = [];
  let nowMs = 1000;
  const log: Log = {
    write: (level, event, fields) => void lines.push({ level, event, ...currentFacts(), ...fields }),
    failure: (event, error, fields) =>
      void lines.push({ level: 'error', event, ...currentFacts(), ...fields, thrown: String(error) }),
  };
  const dispatch = loggedDispatch(
    async () => {
      nowMs += 25.4;
      return work();
    },
    log,
    { elapsedMs: () => nowMs },
  );
  await dispatch({ route, input, client: 'cli.7', engineKey: 'a-key' }, never).catch(() => undefined);
  return lines;
}

describe('S0-82 the log of an operation', () => {
  it('has its start, and its end with milliseconds and counts', async () => {
    const receipt = {
      session: 's',
      window: 'w',
      tokens: 512,
      summary: 'Frozen.',
      notes: ['a'],
      content: { blocksChecked: 32 },
    };
    expect(
      await logOf('freeze', { session: 's', window: 'w', description: 'a secret plan' }, async () => receipt),
    ).toEqual([
      { level: 'debug', event: 'operation started', operation: 'freeze', session: 's', window: 'w', client: 'cli.7' },
      {
        level: 'info',
        event: 'operation ended',
        operation: 'freeze',
        session: 's',
        window: 'w',
        tokens: 512,
        notes: 1,
        blocksChecked: 32,
        ms: 25,
      },
    ]);
  });

  it('tells of a read only at debug', async () => {
    const lines = await logOf('listSessions', {}, async () => ({ items: [{}, {}], total: 2, hasMore: false }));
    expect(lines.map(({ level }) => level)).toEqual(['debug', 'debug']);
    expect(lines[1]).toMatchObject({ items: 2, total: 2 });
  });

  it('names a session that the operation itself created', async () => {
    const lines = await logOf('createSession', {}, async () => ({ id: 'made', version: 1 }));
    expect(lines[1]).toMatchObject({ session: 'made' });
  });

  it('has a failure with its code and how long it took', async () => {
    const fail = () => Promise.reject(new CwmError('WindowNotFound', 'There is no window "/home/me/x".'));
    expect((await logOf('getWindow', { window: 'w' }, fail))[1]).toEqual({
      level: 'info',
      event: 'operation failed',
      operation: 'getWindow',
      window: 'w',
      code: 'CWM-2002',
      failure: 'WindowNotFound',
      client: 'cli.7',
      ms: 25,
    });
  });

  it('has the cause of an unexpected failure', async () => {
    const lines = await logOf('usage', {}, () => Promise.reject(new TypeError('a bug')));
    expect(lines[1]).toMatchObject({ level: 'error', code: 'CWM-9001', thrown: 'TypeError: a bug' });
  });

  it('binds operation, session and window to every line that is written inside it', async () => {
    const seen: unknown[] = [];
    await logOf('clone', { window: 'a', target: 'b' }, async () => void seen.push(currentFacts()));
    expect(seen).toEqual([{ operation: 'clone', source: 'a', window: 'b' }]);
    expect(currentFacts()).toEqual({});
  });

  it('has no text, key or path, whatever is in the input and in the result', async () => {
    const secrets = {
      text: 'TEXT',
      title: 'TITLE',
      session: 'not/an/id',
      window: '../up',
      folder: '/PATH',
      paths: ['/P'],
    };
    const written = JSON.stringify(await logOf('send', secrets, async () => ({ text: 'ANSWER', outputIds: [1, 2] })));
    expect(written).not.toMatch(/TEXT|TITLE|PATH|ANSWER|an\/id|up|\/P|a-key/);
    expect(written).toContain('"outputIds":2');
  });

  it("takes a failure's level from its family", () => {
    const names = Object.keys(errors) as ErrorName[];
    const families = new Map(names.map((name) => [errors[name].code[4], levelOf(new CwmError(name, 'no'))]));
    expect(Object.fromEntries(families)).toMatchObject({
      1: 'info',
      2: 'info',
      3: 'info',
      4: 'error',
      5: 'warning',
      7: 'warning',
      8: 'error',
      9: 'error',
    });
    expect(levelOf(new CwmError('Cancelled', 'no'))).toBe('info');
    expect(levelOf(new CwmError('OperationTimeout', 'no'))).toBe('warning');
  });
});
