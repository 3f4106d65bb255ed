import { afterAll, describe, expect, it } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { faultKinds } from './crashEndings.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe, operations } from './operations.ts';
import { openTestStore } from './testStore.ts';
import { isSampled } from '../support/nightly.ts';

const root = '/home/me/store';

let trials = 0;
afterAll(() => console.log(`single changes of the store: ${trials} failures`));

async function filledStore(): Promise<{ memory: MemoryFiles; faulty: FaultyFiles; store: FileStore }> {
  const memory = new MemoryFiles();
  const faulty = new FaultyFiles(memory);
  const store = await openTestStore(root, { files: faulty.files });
  await fill(store);
  faulty.heal();
  return { memory, faulty, store };
}

async function outcome(run: () => Promise<unknown>): Promise<CwmError | null> {
  try {
    await run();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(CwmError);
    return error as CwmError;
  }
}

describe.each(Object.entries(operations))('EC-052 %s when the disk fails', (_, operation) => {
  /**
   * Makes the operation fail in one way at its first change and at a sample of the others, and gives every failure to `check`.
   *
   * @param way the number of the way, so that each change fails in some way.
   */
  async function failEverywhere(
    way: number,
    arm: (faulty: FaultyFiles, at: number) => void,
    check: (error: CwmError) => void,
  ): Promise<number> {
    const whole = await filledStore();
    await operation(whole.store);
    const changes = whole.faulty.seen.length;
    const wanted = await observe(whole.store);
    // Not always the same: the start after a freeze that was not followed by its session's change finishes it.
    await whole.store.close();
    const wantedLater = await observe(await openTestStore(root, { files: whole.memory }));
    let failures = 0;
    for (let at = 0; at < changes; at++) {
      if (at > 0 && !isSampled(at + way, 4)) continue;
      const { memory, faulty, store } = await filledStore();
      const [tree, state] = [memory.tree(root), await observe(store)];
      arm(faulty, at);
      trials++;
      const error = await outcome(() => operation(store));
      const failedAt = faulty.seen[at];
      faulty.heal();
      if (error) {
        failures++;
        check(error);
        expect(memory.tree(root), `files after a failure of change ${at}, ${failedAt}`).toEqual(tree);
        expect(await observe(store), `state after a failure of change ${at}, ${failedAt}`).toEqual(state);
        await operation(store);
      }
      expect(await observe(store), `state after the retry of change ${at}, ${failedAt}`).toEqual(wanted);
      await store.close();
      const again = await openTestStore(root, { files: memory });
      expect(await observe(again), `state when opened again after change ${at}, ${failedAt}`).toEqual(wantedLater);
      expect((await again.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toEqual([]);
    }
    return failures;
  }

  it.each(faultKinds.map((kind, way) => ({ kind, way })))(
    'nothing is half done when one write fails ($kind), and the call can be made again',
    async ({ kind, way }) => {
      const failures = await failEverywhere(
        way,
        (faulty, at) => faulty.failAt(at, kind, 'EIO'),
        (error) => expect(error).toMatchObject({ code: 'CWM-4001', retryable: true }),
      );
      expect(failures).toBeGreaterThan(0);
    },
  );

  it('a disk that fills up is CWM-4003, leaves no partial file, and the call works when there is room again', async () => {
    await failEverywhere(
      faultKinds.length,
      (faulty, at) => faulty.fillFrom(at),
      (error) => expect(error).toMatchObject({ code: 'CWM-4003' }),
    );
  });
});

describe('errors of the file system', () => {
  it.each([
    ['EACCES', 'CWM-4001', /permission/],
    ['EROFS', 'CWM-4001', /read-only/],
    ['ENOSPC', 'CWM-4003', /space/],
    ['EDQUOT', 'CWM-4003', /space/],
    ['EIO', 'CWM-4001', /storage directory/],
  ])('%s is %s with a hint of what to do', async (code, expected, hint) => {
    const { faulty, store } = await filledStore();
    faulty.failAt(0, 'before', code);
    const error = await outcome(() => operations['createSession']!(store));
    expect(error?.report()).toMatchObject({ code: expected, hint: expect.stringMatching(hint) as unknown });
    expect(error?.message).toContain(root);
  });

  it('a directory that cannot be written to is refused when it is opened', async () => {
    const faulty = new FaultyFiles(new MemoryFiles());
    faulty.failAt(0, 'before', 'EROFS');
    await expect(openTestStore(root, { files: faulty.files })).rejects.toMatchObject({ code: 'CWM-4001' });
  });

  it('a closed store refuses every call', async () => {
    const { store } = await filledStore();
    await store.close();
    await store.close();
    await expect(operations['createSession']!(store)).rejects.toMatchObject({ code: 'CWM-5010' });
  });
});
