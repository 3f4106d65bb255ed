import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findOlderStore, takeOverOlderStore } from '../../src/client/olderStore.ts';
import { turnEncryption } from '../../src/client/turnEncryption.ts';
import { otherStoreText, takenOverText } from '../../src/vscode/render/olderStoreText.ts';
import { until } from '../support/until.ts';
import { readRecord, realBackends, realStart } from './support/realBackends.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const signal = new AbortController().signal;

async function stop(storage: string): Promise<void> {
  const { pid } = readRecord(storage);
  await client(storage, { start: null }).call('shutdown', {});
  await until('the backend has ended', () => !isRunning(pid));
}

describe('one store for one user', () => {
  it("an encrypted store of the editor's own moves to the shared place, and opens there", async () => {
    const parent = makeStorage();
    const older = join(parent, 'editor');
    const shared = join(parent, 'data', 'cwm');
    expect(await findOlderStore(older, shared)).toBe('none');
    await client(older).call('createSession', { id: 'mine' });
    const keyFile = join(parent, 'store.key');
    await turnEncryption({ storage: older, start: realStart }, { state: 'on', keyFile }, signal);
    await stop(older);

    expect(await findOlderStore(older, shared)).toBe('waiting');
    expect(await takeOverOlderStore(older, shared, realStart, signal)).toBe('moved');
    expect(lstatSync(older).isSymbolicLink()).toBe(true);
    expect(await findOlderStore(older, shared)).toBe('none');
    const { items } = await client(shared).call('listSessions', {});
    expect(items.map(({ id }) => id)).toEqual(['mine']);
    await stop(shared);
  });

  it('while a backend works on the older store, the shared place links to it and its clients meet that backend', async () => {
    const parent = makeStorage();
    const older = join(parent, 'editor');
    const shared = join(parent, 'data', 'cwm');
    await client(older).call('createSession', { id: 'mine' });
    expect(await takeOverOlderStore(older, shared, realStart, signal)).toBe('linked');
    expect((await client(shared).call('health', {})).pid).toBe(readRecord(older).pid);
    await stop(older);
  });

  it('a backend on an empty shared store makes room', async () => {
    const parent = makeStorage();
    const older = join(parent, 'editor');
    const shared = join(parent, 'cwm');
    await client(older).call('createSession', { id: 'mine' });
    await stop(older);
    await client(shared).call('health', {});
    expect(await takeOverOlderStore(older, shared, realStart, signal)).toBe('moved');
    expect(existsSync(join(shared, 'contexts', 'mine'))).toBe(true);
  });

  it('two stores with sessions stay unchanged, and the user learns of the other one', async () => {
    const parent = makeStorage();
    const older = join(parent, 'editor');
    const shared = join(parent, 'cwm');
    for (const storage of [older, shared]) {
      await client(storage).call('createSession', {});
      await stop(storage);
    }
    expect(await findOlderStore(older, shared)).toBe('both');
    expect(otherStoreText(older, shared)).toContain(`cwm session list --storage "${older}"`);
    expect(takenOverText('moved', older, shared)).not.toBe(takenOverText('linked', older, shared));
  });
});
