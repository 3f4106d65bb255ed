import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClientFolders } from '../../../src/backend/api/clientFolders.ts';
import type { RouteName } from '../../../src/protocol/api.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = new AbortController().signal;

function folders() {
  const left: string[] = [];
  const clientFolders = new ClientFolders(async (client, project) => left.push(`${client} ${project}`));
  const dispatch = clientFolders.noting(async () => ({}));
  const call = (client: string, route: RouteName, project: string) =>
    dispatch({ client, route, input: { project } }, never);
  return { left, clientFolders, call };
}

describe('S2-16 a client that goes without a word', () => {
  it('leaves the folder that it opened last', async () => {
    const { left, clientFolders, call } = folders();
    const [one, two] = [clientFolders.listen('vscode.1'), clientFolders.listen('vscode.2')];
    await call('vscode.1', 'openProject', 'file:///a');
    await call('vscode.1', 'openProject', 'file:///b');
    await call('vscode.2', 'openProject', 'file:///c');
    one.dispose();
    await vi.advanceTimersByTimeAsync(5000);
    expect(left).toEqual(['vscode.1 file:///b']);
    two.dispose();
    await vi.advanceTimersByTimeAsync(5000);
    expect(left).toEqual(['vscode.1 file:///b', 'vscode.2 file:///c']);
  });

  it('has left nothing when its stream comes back, when another of its streams runs, or after a goodbye', async () => {
    const { left, clientFolders, call } = folders();
    const streams = [clientFolders.listen('vscode.1'), clientFolders.listen('vscode.1')];
    await call('vscode.1', 'openProject', 'file:///a');
    streams[0]?.dispose();
    await vi.advanceTimersByTimeAsync(60_000);
    streams[1]?.dispose();
    await vi.advanceTimersByTimeAsync(4999);
    const again = clientFolders.listen('vscode.1');
    await vi.advanceTimersByTimeAsync(60_000);
    await call('vscode.1', 'closeProject', 'file:///a');
    again.dispose();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(left).toEqual([]);
  });

  it('is no matter of a backend that ends: it saves everything itself', async () => {
    const { left, clientFolders, call } = folders();
    const stream = clientFolders.listen('vscode.1');
    await call('vscode.1', 'openProject', 'file:///a');
    clientFolders.dispose();
    stream.dispose();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(left).toEqual([]);
  });
});
