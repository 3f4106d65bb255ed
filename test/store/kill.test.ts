import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { messageId, sessionId, sessionsQuery, someIds, windowName } from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';
import { testProgram } from '../support/testProgram.ts';

const writer = testProgram('storeWriter');

/** Lets the writer work until it has acknowledged so many changes, kills it, and returns all that it acknowledged. */
async function writeAndKill(directory: string, changes: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (acknowledged.push(line) === changes) child.kill('SIGKILL');
  }
  expect((await exit)[1]).toBe('SIGKILL');
  return acknowledged;
}

describe('S4-06 a process that is killed while it writes', () => {
  it.each([1, 6, 15, 80])('loses nothing of the %i changes it acknowledged', async (changes) => {
    const directory = await temporaryDirectory();
    const acknowledged = await writeAndKill(directory, changes);
    const store = await openTestStore(directory);
    const id = sessionId('s1');
    const points: string[] = [];
    for (const line of acknowledged) {
      const [what, name = ''] = line.split(' ');
      if (what === 'version') expect((await store.sessions.get(id))!.version).toBeGreaterThanOrEqual(Number(name));
      else if (what === 'message') expect(await store.messages.load(id, [messageId(name)])).toHaveLength(1);
      else if (what === 'window') expect(await store.windows.loadTokens(windowName(name))).toEqual(someIds);
      else if (what === 'state') expect((await store.states.load(id))!.version).toBeGreaterThanOrEqual(Number(name));
      else if (what === 'point') points.push(name);
      else expect(await store.receipts.list(windowName(name))).toHaveLength(1);
    }
    const kept = (await store.states.recoveryPoints(id)).points.map((point) => point.id);
    // Of the last ten, one that was not acknowledged may have taken the place of the oldest.
    expect(kept).toEqual(expect.arrayContaining(points.slice(-9)));
    expect((await store.sessions.list(sessionsQuery())).total).toBe(1);
    const steps = await store.check.verify(new AbortController().signal);
    // The writer made no lineage.
    expect(steps.flatMap((step) => step.problems)).toEqual(['The lineage "l1" is missing.']);
  });
});
