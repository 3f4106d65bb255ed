import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { maxOpenSessions, SessionContextManager } from '../../../src/core/projects/sessionContextManager.ts';
import { sessionId, windowName } from '../../store/builders.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const at = (directory: string, isStrict = false) => ({
  workingDirectory: directory,
  isStrict,
  resolution: {
    tier: 'default' as const,
    project: `file://${directory}`,
    name: directory.slice(1),
    id: null,
    configPath: null,
  },
});

function managing(isLive: (client: string) => boolean = () => false) {
  const failures: unknown[] = [];
  const clock = { now: () => new Date(Date.now()), elapsedMs: () => Date.now() };
  return { failures, manager: new SessionContextManager(clock, isLive, (error) => failures.push(error)) };
}

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

describe('S2-01 S2-03 the record of a client', () => {
  it('is made by the first set, and never by asking', () => {
    const { manager } = managing();
    expect(manager.getWorkingDirectory('cli.1')).toBeNull();
    expect(manager.sessionCount).toBe(0);
    manager.setWorkingDirectory('cli.1', at('/a'));
    expect(manager.getWorkingDirectory('cli.1')).toBe('/a');
    expect(manager.sessionCount).toBe(1);
    expect(manager.peek('cli.1')).toEqual({
      client: 'cli.1',
      ...at('/a'),
      currentSession: null,
      currentWindow: null,
      openSessions: [],
      setAt: '2026-01-01T00:00:00.000Z',
      lastUsed: '2026-01-01T00:00:00.000Z',
    });
  });

  it('says when it was used last, which a look does not change', () => {
    const { manager } = managing();
    manager.setWorkingDirectory('cli.1', at('/a'));
    vi.advanceTimersByTime(1000);
    manager.getWorkingDirectory('cli.1');
    vi.advanceTimersByTime(1000);
    expect(manager.peek('cli.1')).toMatchObject({
      setAt: '2026-01-01T00:00:00.000Z',
      lastUsed: '2026-01-01T00:00:01.000Z',
    });
  });
});

describe('S2-05 N9 clients in different folders', () => {
  it.each([3, 100])('%i of them at once never mix', async (count) => {
    const { manager } = managing();
    const clients = Array.from({ length: count }, (_, index) => `mcp.${index}`);
    const seen = await Promise.all(
      clients.map(async (client) => {
        manager.setWorkingDirectory(client, at(`/${client}`));
        await Promise.resolve();
        manager.opened(client, sessionId(`s-${client.slice(4)}`), null);
        await Promise.resolve();
        return [manager.getWorkingDirectory(client), manager.peek(client)?.currentSession];
      }),
    );
    expect(seen).toEqual(clients.map((client) => [`/${client}`, `s-${client.slice(4)}`]));
    expect(manager.sessionCount).toBe(count);
  });
});

describe('S4-53 the sessions that a client has open', () => {
  const open = (manager: SessionContextManager) => manager.peek('c')?.openSessions.map(({ session }) => session);

  it('are in the order of their opening; the one that was used before follows one that is gone', () => {
    const { manager } = managing();
    manager.setWorkingDirectory('c', at('/a'));
    for (const id of ['one', 'two', 'three', 'one']) {
      vi.advanceTimersByTime(1);
      manager.opened('c', sessionId(id), null);
    }
    expect(open(manager)).toEqual(['one', 'two', 'three']);
    manager.opened('c', sessionId('one'), windowName('w'));
    expect(manager.peek('c')).toMatchObject({ currentSession: 'one', currentWindow: 'w' });
    manager.closed(sessionId('one'));
    expect(manager.peek('c')).toMatchObject({ currentSession: 'three', currentWindow: null });
    manager.closed(sessionId('two'));
    manager.closed(sessionId('three'));
    expect(manager.peek('c')).toMatchObject({ currentSession: null, openSessions: [] });
  });

  it('are closed when the client goes to another project, and stay in the same one', () => {
    const { manager } = managing();
    manager.setWorkingDirectory('c', at('/a'));
    manager.opened('c', sessionId('one'), null);
    manager.setWorkingDirectory('c', at('/a'));
    expect(open(manager)).toEqual(['one']);
    manager.setWorkingDirectory('c', at('/b'));
    expect(open(manager)).toEqual([]);
  });

  it('are limited: one more closes the one that was used longest ago, and says which', () => {
    const { manager } = managing();
    manager.setWorkingDirectory('c', at('/a'));
    const closed = Array.from({ length: maxOpenSessions + 1 }, (_, index) => {
      vi.advanceTimersByTime(1);
      return manager.opened('c', sessionId(`s${index}`), null);
    });
    expect(closed.filter((id) => id !== null)).toEqual(['s0']);
    expect(open(manager)).toHaveLength(maxOpenSessions);
  });
});

describe('S2-04 N10 the sweep', () => {
  it('forgets what was unused for more than 24 hours, and not what was unused for exactly that', () => {
    const { manager } = managing();
    manager.setWorkingDirectory('old', at('/a'));
    vi.advanceTimersByTime(1);
    manager.setWorkingDirectory('exact', at('/b'));
    vi.advanceTimersByTime(dayMs);
    expect(manager.sweep()).toBe(1);
    expect(manager.list().map(({ client }) => client)).toEqual(['exact']);
    vi.advanceTimersByTime(1);
    expect(manager.sweep()).toBe(1);
  });

  it('runs each hour between start and stop, each of which can be called twice', () => {
    const { manager } = managing();
    manager.start();
    manager.start();
    expect(vi.getTimerCount()).toBe(1);
    manager.setWorkingDirectory('c', at('/a'));
    vi.advanceTimersByTime(24 * hourMs);
    expect(manager.sessionCount).toBe(1);
    vi.advanceTimersByTime(hourMs);
    expect(manager.sessionCount).toBe(0);
    manager.stop();
    manager.stop();
    expect(vi.getTimerCount()).toBe(0);
    manager.setWorkingDirectory('c', at('/a'));
    vi.advanceTimersByTime(3 * dayMs);
    expect(manager.sessionCount).toBe(1);
  });

  it('leaves a client that is connected', () => {
    const live = new Set(['vscode.1']);
    const { manager } = managing((client) => live.has(client));
    manager.setWorkingDirectory('vscode.1', at('/a'));
    vi.advanceTimersByTime(2 * dayMs);
    expect(manager.sweep()).toBe(0);
    live.clear();
    expect(manager.sweep()).toBe(1);
  });

  it('goes on after one that failed, and tells of the failure', () => {
    let isBroken = true;
    const { manager, failures } = managing(() => {
      if (isBroken) throw new Error('no answer');
      return false;
    });
    manager.setWorkingDirectory('c', at('/a'));
    manager.start();
    vi.advanceTimersByTime(dayMs + hourMs);
    expect(failures).toHaveLength(1);
    expect(manager.sessionCount).toBe(1);
    isBroken = false;
    vi.advanceTimersByTime(hourMs);
    expect(manager.sessionCount).toBe(0);
    manager.stop();
  });

  it('is not needed for runs of a command line: the thousand and first client takes the place of the oldest', () => {
    const { manager } = managing((client) => client === 'cli.0');
    for (let index = 0; index <= 1000; index++) manager.setWorkingDirectory(`cli.${index}`, at('/a'));
    expect(manager.sessionCount).toBe(1000);
    expect(manager.peek('cli.0')).not.toBeNull();
    expect(manager.peek('cli.1')).toBeNull();
  });
});
