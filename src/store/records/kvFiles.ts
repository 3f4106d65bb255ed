import { join } from 'node:path';
import * as z from 'zod/mini';
import type { WindowName } from '../../protocol/ids.ts';
import { windowNameSchema } from '../../protocol/schemas/ids.ts';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { blockRecordSchema, kvRecordSchema, type KvRecord } from '../../protocol/schemas/window.ts';
import type { WindowPaths } from '../disk/layout.ts';
import { encodeRecord } from '../disk/record.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

/** Everything but the blocks, which are many: lists need a window's KV size without reading them. */
const kvHeadSchema = z.object({
  window: windowNameSchema,
  kv: z.omit(kvRecordSchema, { blocks: true }),
  /** SHA-256 of the file's bytes, and a part of its name: replacing the head changes head and blocks at once. */
  blocksSha256: z.string(),
});
export type KvHead = z.infer<typeof kvHeadSchema>;

interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const blocksSchema = z.array(blockRecordSchema);

/** A window's record of its KV: `kv.json`, which names `blocks-<sha256>.json`. */
export class KvFiles {
  readonly #parts: StoreDisk;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  encode(window: WindowName, kv: KvRecord): { readonly head: NamedBytes; readonly blocks: NamedBytes } {
    const { blocks, ...head } = kv;
    const blockBytes = encodeRecord(blocks);
    const blocksSha256 = sha256Hex(blockBytes);
    const record: KvHead = { window, kv: head, blocksSha256 };
    return {
      head: { name: 'kv.json', bytes: encodeRecord(record) },
      blocks: { name: blocksName(blocksSha256), bytes: blockBytes },
    };
  }

  /** Null when there is none: it was damaged and set aside. */
  async readHead(window: string, paths: WindowPaths): Promise<KvHead | null> {
    const head = await this.#parts.records.read(paths.kv, kvHeadSchema);
    if (head !== null && head.window !== window) {
      throw new CwmError('Corrupted', `The KV record of window "${window}" is that of window "${head.window}".`);
    }
    return head;
  }

  /** @throws CwmError Corrupted when a part of it is missing or damaged. */
  async read(window: string, paths: WindowPaths): Promise<KvRecord> {
    const head = await this.readHead(window, paths);
    const blocks =
      head && (await this.#parts.records.read(join(paths.directory, blocksName(head.blocksSha256)), blocksSchema));
    if (head && blocks) return { ...head.kv, blocks };
    throw noKvRecord(window);
  }

  async replace(window: WindowName, paths: WindowPaths, kv: KvRecord): Promise<void> {
    const { files, writes } = this.#parts;
    const { head, blocks } = this.encode(window, kv);
    const blocksPath = join(paths.directory, blocks.name);
    const isNew = (await files.stat(blocksPath)) === null;
    // Written also when the name is there: equal bytes heal a damaged file.
    await writes.replaceFile(blocksPath, blocks.bytes);
    try {
      await writes.replaceFile(paths.kv, head.bytes);
    } catch (error) {
      if (isNew) await files.remove(blocksPath).catch(() => undefined);
      throw error;
    }
    await this.#removeOthers(paths, blocks.name);
  }

  async #removeOthers(paths: WindowPaths, kept: string): Promise<void> {
    try {
      for (const name of await this.#parts.files.list(paths.directory)) {
        if (name.startsWith('blocks-') && name !== kept) await this.#parts.files.remove(join(paths.directory, name));
      }
    } catch {
      // The new record is on the disk: a file that could not be removed costs only space, and the next write removes it.
      this.#parts.quarantine.note(paths.directory, `Older block lists than ${kept} could not be removed.`);
    }
  }
}

export const noKvRecord = (window: string): CwmError =>
  new CwmError('Corrupted', `The KV record of window "${window}" is missing or was set aside.`);

const blocksName = (sha256: string): string => `blocks-${sha256}.json`;
