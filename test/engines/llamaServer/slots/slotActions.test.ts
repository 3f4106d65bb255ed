import { describe, expect, it } from 'vitest';
import type { Link } from '../../../../src/engines/http/link.ts';
import { textOfIds } from '../../../../src/engines/llamaServer/text/tokenizing.ts';
import { eraseSlot, restoreSlot, saveSlot } from '../../../../src/engines/llamaServer/slots/slotActions.ts';
import { CwmError, type ErrorName } from '../../../../src/protocol/errors.ts';

const { signal } = new AbortController();

/** A link over which every request ends so. */
const failing = (name: ErrorName, context: Record<string, unknown> = {}): Link =>
  ({
    json: async () => {
      throw new CwmError(name, `It failed with ${name}.`, { context });
    },
  }) as unknown as Link;

describe('an action on a slot that fails', () => {
  it('is no failure where the server has no slot folder: it erases nothing that came from a file', async () => {
    expect(await eraseSlot(failing('NotAnEngine'), 0, signal)).toBe(false);
    await expect(eraseSlot(failing('EngineUnavailable'), 0, signal)).rejects.toThrow('EngineUnavailable');
  });

  it('says why a save was refused, and passes on that the server is gone', async () => {
    expect(await saveSlot(failing('EngineFailed'), 0, 'f', signal)).toEqual({ why: 'It failed with EngineFailed.' });
    await expect(saveSlot(failing('Cancelled'), 0, 'f', signal)).rejects.toThrow('Cancelled');
  });

  it('distinguishes a refused restore, one that ended the server, and a server that was not there', async () => {
    const restore = (link: Link) => restoreSlot(link, 0, 'f', signal);
    expect(await restore(failing('EngineFailed'))).toMatchObject({ kind: 'refused' });
    expect(await restore(failing('StreamCut'))).toMatchObject({ kind: 'lost' });
    expect(await restore(failing('EngineUnavailable', { reason: 'ECONNRESET' }))).toMatchObject({ kind: 'lost' });
    await expect(restore(failing('EngineUnavailable', { reason: 'ECONNREFUSED' }))).rejects.toThrow(
      'EngineUnavailable',
    );
  });
});

describe('the text of token ids', () => {
  it('is unknown where the server does not tell it, and an abort stays an abort', async () => {
    expect(await textOfIds(failing('EngineFailed'), [1], signal)).toBeNull();
    await expect(textOfIds(failing('Cancelled'), [1], signal)).rejects.toThrow('Cancelled');
  });
});
