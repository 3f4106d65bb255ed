import { basename, join } from 'node:path';
import { stampOf } from './quarantine.ts';
import type { StoreParts } from './storeParts.ts';

/** How long what was deleted can be had back. */
export const trashGraceMs = 7 * 24 * 60 * 60 * 1000;

/** `trash/<stamp>-<what>/`: deleting is one rename, and the disk space comes back a week later. */
export class Trash {
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** @param what names it for a person who looks through the trash; legal in a file name. */
  async discard(path: string, what: string): Promise<void> {
    const { writes, layout, clock } = this.#parts;
    await writes.moveAside(path, join(layout.trash, `${stampOf(clock.now())}-${what}`));
  }

  /** Removes what has been there for longer than {@link trashGraceMs}; names without a time are left alone. */
  async empty(): Promise<void> {
    const { files, layout, clock } = this.#parts;
    const oldest = stampOf(new Date(clock.now().getTime() - trashGraceMs));
    for (const name of await files.list(layout.trash)) {
      const stamp = /^(\d{8}T\d{9}Z)-/.exec(basename(name))?.[1];
      if (stamp !== undefined && stamp < oldest) await files.removeTree(join(layout.trash, name));
    }
  }
}
