import { describe, expect, it, vi } from 'vitest';
import type { CoreParts } from '../../src/core/core.ts';
import type { BlockCache } from '../../src/core/ports/blockCache.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { codeOf, coreFixture, savedWindow, talkedSession } from './coreFixture.ts';

const coreWith = (change: (own: CoreParts) => CoreParts, kvBudgetBytes: number | null = null) =>
  coreFixture({ kvBudgetBytes }, diskFiles, change);

/** A block cache that cannot be listed, as on a disk that fails. */
const broken: BlockCache = {
  sizes: () => Promise.reject(new Error('the disk fails')),
  list: () => Promise.reject(new Error('the disk fails')),
  delete: () => Promise.reject(new Error('the disk fails')),
};

describe('a core with less than all parts', () => {
  it('without the embedded engine has no blocks, and evicts none over any budget', async () => {
    const fixture = await coreWith((own) => {
      const others = { ...own };
      delete others.blocks;
      return others;
    }, 1);
    await savedWindow(fixture);
    await fixture.cwm.settled();
    expect(await fixture.cwm.usage()).toMatchObject({ kv: { bytes: 0 } });
    expect(fixture.failures).toEqual([]);
  });

  it('S3-05 without folders synchronises no state, and quotes the folder that was named', async () => {
    const { cwm } = await coreFixture();
    await cwm.createSession({ id: 's' });
    const sync = cwm.syncState({ session: 's', folder: '/shared "states"' });
    expect(await codeOf(sync)).toBe('CWM-4102');
    await expect(sync).rejects.toThrow(String.raw`Nothing can be synchronised with "/shared \"states\"" here.`);
  });
});

describe('background work', () => {
  it('that fails fails no operation, and its failure says what could not be done', async () => {
    const onBackgroundFailure = vi.fn<NonNullable<CoreParts['onBackgroundFailure']>>();
    const fixture = await coreWith((own) => ({ ...own, blocks: broken, onBackgroundFailure }), 1);
    await talkedSession(fixture);
    await fixture.cwm.settled();
    expect(onBackgroundFailure).toHaveBeenCalledWith(
      expect.objectContaining({ message: 'the disk fails' }),
      'the KV budget could not be enforced',
    );
  });
});

describe('a core with a retention', () => {
  it('moves a session that nobody used for so long to the trash when it starts', async () => {
    const fixture = await coreFixture({ retentionDays: 1 });
    const { cwm, clock } = fixture;
    await talkedSession(fixture, 'old');
    clock.advance(2 * 86_400_000);
    await talkedSession(fixture, 'new');
    await cwm.recover();
    await cwm.settled();
    expect((await cwm.listTrash()).items.map(({ name }) => name)).toEqual(['old']);
    expect(await cwm.getSession({ session: 'new' })).toMatchObject({ id: 'new' });
  });
});

describe('S3-04 selecting a session that does not exist', () => {
  it('is refused, or creates the session where the core is set so', async () => {
    const plain = await coreFixture();
    expect(await codeOf(plain.cwm.selectSession({ session: 'new' }))).toBe('CWM-2001');
    const creating = await coreWith((own) => ({ ...own, tracker: { autoCreate: true } }));
    expect(await creating.cwm.selectSession({ session: 'new' })).toMatchObject({ active: ['new'] });
    expect(await creating.cwm.getSession({ session: 'new' })).toMatchObject({ id: 'new', lifecycle: 'active' });
  });
});
