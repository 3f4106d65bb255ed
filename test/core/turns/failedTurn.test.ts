import { expect, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';

const full = new CwmError('StorageFull', 'The disk is full.');

test('EC-040 a turn whose answer cannot be stored leaves its session idle, with the text as its draft', async () => {
  const fixture = await coreFixture();
  const { cwm, store } = fixture;
  await talkedSession(fixture);
  vi.spyOn(store.messages, 'append').mockRejectedValueOnce(full);
  expect(await codeOf(cwm.send({ session: 's', text: 'And then?' }, never()))).toBe('CWM-4003');
  expect(await cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: 'And then?' });
  expect((await cwm.listMessages({ session: 's' })).total).toBe(2);
});

test('EC-040 a turn whose end cannot even be written holds up neither the next turn nor a freeze', async () => {
  const fixture = await coreFixture();
  const { cwm, store } = fixture;
  await talkedSession(fixture);
  for (const goOn of [
    () => cwm.send({ session: 's', text: 'Again.' }, never()),
    () => cwm.freeze({ session: 's', window: 'w' }, never()),
  ]) {
    vi.spyOn(store.messages, 'append').mockImplementationOnce(async () => {
      vi.spyOn(store.sessions, 'update').mockRejectedValueOnce(full);
      throw full;
    });
    expect(await codeOf(cwm.send({ session: 's', text: 'And then?' }, never()))).toBe('CWM-4003');
    expect((await cwm.getSession({ session: 's' })).phase).not.toBe('Idle');
    await goOn();
    expect((await cwm.getSession({ session: 's' })).phase).toBe('Idle');
  }
});
