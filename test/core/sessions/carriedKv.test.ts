import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';

/** An imported conversation, which nothing has computed yet. */
async function imported() {
  const fixture = await coreFixture();
  const content = JSON.stringify([{ role: 'user', content: 'Hello.' }]);
  await fixture.cwm.importConversation({ content, id: 'i' });
  return fixture;
}

const place = { session: 'i', path: '/file.cwindow', offset: 10 };

describe('KV that comes with a file', () => {
  test.each([
    ['a path from nowhere', { path: 'file.cwindow' }],
    ['a place before the file', { offset: -1 }],
    ['half a place', { offset: 1.5 }],
  ])('is refused with %s', async (_, wrong) => {
    const { cwm } = await imported();
    expect(await codeOf(cwm.importKv({ ...place, ...wrong }, never()))).toBe('CWM-1003');
  });

  test('is refused once the session was computed here', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture, 'i');
    expect(await codeOf(fixture.cwm.importKv(place, never()))).toBe('CWM-3001');
  });

  test('is of no use to a model server other than the embedded one, and the session is as without it', async () => {
    const { cwm } = await imported();
    expect(await cwm.importKv(place, never())).toEqual({
      tokens: 0,
      total: 0,
      bytes: 0,
      notes: ['Only the embedded engine has KV that can be taken to another machine.'],
    });
    expect(await cwm.send({ session: 'i', text: 'And now?' }, never())).toMatchObject({ text: 'fine' });
  });

  test('stays in the file where the engine refuses it, in its words; the session is as without it', async () => {
    const { cwm, engine } = await imported();
    engine.kind = 'embedded';
    Object.assign(engine, { unpack: () => Promise.reject(new CwmError('EngineRejected', 'The file is no file.')) });
    const { tokens, notes } = await cwm.importKv(place, never());
    expect(tokens).toBe(0);
    expect(notes).toEqual([expect.stringMatching(/^The KV was left in the file\. The file is no file\. /)]);
    expect(await cwm.send({ session: 'i', text: 'And now?' }, never())).toMatchObject({ text: 'fine' });
  });

  test('ends with an error where it is cancelled, or where nobody expected it', async () => {
    const { cwm, engine } = await imported();
    engine.kind = 'embedded';
    const cancelled = new AbortController();
    Object.assign(engine, {
      unpack: async () => {
        cancelled.abort();
        throw new CwmError('EngineRejected', 'too late');
      },
    });
    await expect(cwm.importKv(place, cancelled.signal)).rejects.toMatchObject({ name: 'AbortError' });
    Object.assign(engine, { unpack: () => Promise.reject(new TypeError('a bug')) });
    await expect(cwm.importKv(place, never())).rejects.toThrow('a bug');
  });

  test('is written of no session that no model server has computed', async () => {
    const { cwm } = await imported();
    expect(await cwm.exportKv({ session: 'i' }, never())).toMatchObject({
      tokens: 0,
      notes: ['No model server has computed this conversation.'],
    });
  });
});
