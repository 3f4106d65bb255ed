import { nullOn } from '../../protocol/errors.ts';
import { join } from 'node:path';
import type * as z from 'zod/mini';
import type { SessionId } from '../../protocol/ids.ts';
import { hasCode } from '../disk/files.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { restoreIntentSchema } from './stateSchemas.ts';

export type RestoreIntent = z.infer<typeof restoreIntentSchema>;

/** A restore changes two records. An intent that holds both, written before them, lets a start after a crash finish it. */
export class RestoreIntents {
  readonly #parts: StoreDisk;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  async begin(intent: RestoreIntent): Promise<void> {
    await this.#parts.records.write(this.#parts.layout.restoreIntent(intent.session.id), intent);
  }

  /** Never throws: the versions of an intent that stays show that it is over. */
  async end(session: SessionId): Promise<void> {
    const path = this.#parts.layout.restoreIntent(session);
    try {
      await this.#parts.files.remove(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#parts.quarantine.note(path, 'It could not be removed.');
    }
  }

  /** Intents that an earlier run left. Damaged ones are set aside: no client was told that their restore was done. */
  async left(): Promise<RestoreIntent[]> {
    const { files, layout, records } = this.#parts;
    const intents: RestoreIntent[] = [];
    for (const name of await files.list(layout.intents)) {
      if (!name.startsWith('restore-')) continue;
      const intent = await nullOn(records.read(join(layout.intents, name), restoreIntentSchema), 'Corrupted');
      if (intent) intents.push(intent);
    }
    return intents;
  }
}
