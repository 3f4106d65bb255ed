import { expect, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { coreFixture, never, savedWindow } from '../coreFixture.ts';

const note = expect.stringMatching(/^This receipt could not be stored with the window: /) as string;

test('an operation whose receipt could not be stored is no failure, and the receipt says so', async () => {
  const fixture = await coreFixture();
  const { cwm, store } = fixture;
  await savedWindow(fixture);
  vi.spyOn(store.receipts, 'append').mockRejectedValue(new CwmError('StorageFull', 'The disk is full.'));
  const receipts = [
    await cwm.clone({ window: 'w', target: 'c' }, never()),
    await cwm.thaw({ window: 'w', session: 't' }, never()),
    await cwm.freeze({ session: 't', window: 'v' }, never()),
  ];
  for (const { notes } of receipts) expect(notes).toContainEqual(note);
  expect((await cwm.listWindows({})).items.map(({ name }) => name).sort()).toEqual(['c', 'v', 'w']);
  expect(await cwm.getSession({ session: 't' })).toMatchObject({ lifecycle: 'frozen', frozenAs: 'v' });
});

test('a window that is deleted while it is thawed leaves a session that is open, and no failure', async () => {
  const fixture = await coreFixture();
  const { cwm, store } = fixture;
  await savedWindow(fixture);
  const create = store.sessions.create.bind(store);
  vi.spyOn(store.sessions, 'create').mockImplementation(async (...given) => {
    await create(...given);
    await cwm.deleteWindow({ window: 'w' }, never());
  });
  const { notes } = await cwm.thaw({ window: 'w', session: 't' }, never());
  expect(notes).toContainEqual(note);
  expect((await cwm.listMessages({ session: 't' })).total).toBe(2);
});
