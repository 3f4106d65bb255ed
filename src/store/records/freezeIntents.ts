import { join } from 'node:path';
import * as z from 'zod/mini';
import { sessionIdSchema, windowNameSchema } from '../../protocol/schemas/ids.ts';
import { nullOn } from '../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import { hasCode } from '../disk/files.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

const intentSchema = z.object({ window: windowNameSchema, session: sessionIdSchema, sessionVersion: z.number() });
export type FreezeIntent = z.infer<typeof intentSchema>;

/**
 * A freeze is two writes: the window, then the session that is frozen as it. An intent, written before both, remembers the session's
 * version. After a crash between the two writes, the start can tell by it whether to finish the freeze or whether the session has
 * continued. The session's next change removes the intent; the version shows when one that was left behind (a crash, a full disk) is
 * over.
 */
export class FreezeIntents {
  readonly #parts: StoreDisk;
  readonly #open = new Map<SessionId, Set<WindowName>>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  async begin(window: WindowName, session: SessionId, sessionVersion: number): Promise<void> {
    const intent: FreezeIntent = { window, session, sessionVersion };
    await this.#parts.records.write(this.#parts.layout.freezeIntent(window), intent);
    const open = this.#open.get(session) ?? new Set();
    this.#open.set(session, open.add(window));
  }

  /** Never throws: an intent that stays is harmless. */
  async end(window: WindowName, session: SessionId): Promise<void> {
    const open = this.#open.get(session);
    open?.delete(window);
    if (open?.size === 0) this.#open.delete(session);
    await this.remove(window);
  }

  async sessionMovedOn(session: SessionId): Promise<void> {
    for (const window of this.#open.get(session) ?? []) await this.end(window, session);
  }

  /** Intents that an earlier run left. Damaged ones are set aside, and their freezes count as not done. */
  async left(): Promise<FreezeIntent[]> {
    const { files, layout, records } = this.#parts;
    const intents: FreezeIntent[] = [];
    for (const name of await files.list(layout.intents)) {
      if (!name.startsWith('freeze-')) continue;
      const intent = await nullOn(records.read(join(layout.intents, name), intentSchema), 'Corrupted');
      if (intent) intents.push(intent);
    }
    return intents;
  }

  async remove(window: WindowName): Promise<void> {
    const path = this.#parts.layout.freezeIntent(window);
    try {
      await this.#parts.files.remove(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#parts.quarantine.note(path, 'It could not be removed.');
    }
  }
}
