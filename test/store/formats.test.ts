import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { encodeRecord, openRecord } from '../../src/store/disk/record.ts';
import { aMessage, aReceipt, nextVersion, sessionId, windowName } from './builders.ts';
import { contentsOf } from './fixtures/contents.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
const formats = (await readdir(fixtures)).filter((name) => /^format-\d+$/.test(name));

/** A store as it was written by the version that had this format, to do as one likes with. */
async function storeOf(format: string): Promise<string> {
  const directory = join(await temporaryDirectory(), 'store');
  await cp(join(fixtures, format), directory, { recursive: true });
  return directory;
}

describe.each(formats)('a store of %s', (format) => {
  it('loads with everything that was in it, and nothing is wrong with it', async () => {
    const expected = JSON.parse(await readFile(join(fixtures, `${format}.json`), 'utf8')) as object;
    const store = await openTestStore(await storeOf(format));
    const contents = await contentsOf(store, 'file:///home/me/project');
    expect(Object.keys(contents)).toEqual(Object.keys(expected));
    expect(contents).toMatchObject(expected);
    expect(store.problems).toEqual([]);
    expect((await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toEqual([]);
  });

  it('can have KV records from before they said whether their canary is exact', async () => {
    const directory = await storeOf(format);
    const path = join(directory, 'windows/frozen/kv.json');
    const { canaryIsExact: _, ...before } = openRecord(await readFile(path)).value as Record<string, unknown>;
    await writeFile(path, encodeRecord(before));
    const store = await openTestStore(directory);
    expect(await store.windows.loadKv(windowName('frozen'))).toMatchObject({ canaryIsExact: false });
    expect((await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toEqual([]);
  });

  it('can be changed, and opened again', async () => {
    const directory = await storeOf(format);
    const store = await openTestStore(directory);
    const [id, name] = [sessionId('nul'), windowName('frozen')];
    const before = (await store.sessions.get(id))!;
    await store.sessions.update(nextVersion(before, { title: 'Goes on' }));
    await store.messages.append(id, [aMessage('m6', 6)]);
    await store.receipts.append(name, aReceipt({ window: 'frozen' }));
    await store.close();
    const again = await openTestStore(directory);
    expect(await again.sessions.get(id)).toEqual({ ...before, title: 'Goes on', version: before.version + 1 });
    expect(await again.receipts.list(name)).toHaveLength(3);
    expect((await again.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toEqual([]);
  });
});
