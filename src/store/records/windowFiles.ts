import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import { encodeTokenIds } from '../../base/tokenIds.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import { receiptSchema, type Receipt } from '../../protocol/schemas/receipt.ts';
import { windowManifestSchema, type KvRecord, type WindowManifest } from '../../protocol/schemas/window.ts';
import type { FreezeIntents } from './freezeIntents.ts';
import { KvFiles, noKvRecord } from './kvFiles.ts';
import { hasCode, tooLarge } from '../disk/files.ts';
import { windowPaths, type WindowPaths } from '../disk/layout.ts';
import { encodeRecord } from '../disk/record.ts';
import type { SessionFiles } from './sessionFiles.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import { openTokens } from '../disk/tokenFile.ts';
import type { Trash } from './trash.ts';

/** Windows as directories. Locks are taken in the order session, window. */
export class WindowFiles {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;
  readonly #intents: FreezeIntents;
  readonly #trash: Trash;
  readonly #queue = new KeyedQueue<WindowName>();
  readonly kv: KvFiles;

  constructor(parts: StoreDisk, sessions: SessionFiles, intents: FreezeIntents, trash: Trash) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#intents = intents;
    this.#trash = trash;
    this.kv = new KvFiles(parts);
  }

  create(manifest: WindowManifest, ids: readonly number[], kv: KvRecord): Promise<void> {
    const name = manifest.name;
    const sessionId = manifest.session;
    const tokens = encodeTokenIds(ids);
    const paths = this.#parts.layout.window(name);
    if (sha256Hex(tokens) !== manifest.tokens.sha256) {
      throw new CwmError('Internal', `The token ids of window "${name}" are not those its manifest names.`);
    }
    return this.#sessions.exclusively(sessionId, () =>
      this.#queue.run(name, async () => {
        const session = await this.#sessions.get(sessionId);
        if (!session) throw new CwmError('SessionNotFound', `There is no session "${sessionId}" to make a window of.`);
        await this.#requireFree(name, paths);
        if (manifest.mode === 'freeze') await this.#intents.begin(name, sessionId, session.version);
        try {
          await this.#parts.writes.addDirectory(paths.directory, async (directory) => {
            const create = (file: string, bytes: Uint8Array): Promise<void> =>
              this.#parts.files.create(join(directory, file), bytes);
            await create('tokens.u32', tokens);
            const { head, blocks } = this.kv.encode(name, kv);
            await create(blocks.name, blocks.bytes);
            await create(head.name, head.bytes);
            await create('receipts.jsonl', new Uint8Array());
            await create('manifest.json', encodeRecord(manifest));
          });
        } catch (error) {
          if (manifest.mode === 'freeze') await this.#intents.end(name, sessionId);
          throw error;
        }
      }),
    );
  }

  /** @throws CwmError Corrupted when the window is there without a manifest that can be read. */
  async get(name: WindowName): Promise<WindowManifest | null> {
    const paths = this.#parts.layout.window(name);
    if (!(await hasDirectory(this.#parts.files, paths.directory))) return null;
    const manifest = await this.#parts.records.read(paths.manifest, windowManifestSchema);
    if (manifest?.name === name) return manifest;
    if (manifest === null) {
      if (!(await hasDirectory(this.#parts.files, paths.directory))) return null;
      throw new CwmError('Corrupted', `The manifest of window "${name}" is missing or was set aside.`);
    }
    // A file system that ignores case finds one window under both names.
    if (manifest.name.toLowerCase() === name.toLowerCase()) return null;
    throw new CwmError('Corrupted', `The manifest of window "${name}" is that of window "${manifest.name}".`);
  }

  loadTokens(name: WindowName): Promise<number[]> {
    return this.#onWindow(name, async ({ tokens: path }) => {
      const { tokens } = await this.require(name);
      const bytes = await this.#parts.writes.readIfThere(path).catch((error: unknown) => {
        if (hasCode(error, tooLarge)) return new Uint8Array();
        throw error;
      });
      if (bytes === null) throw new CwmError('Corrupted', `The token ids of window "${name}" are missing.`);
      const ids = openTokens(bytes, tokens.sha256);
      if (ids !== null) return ids;
      await this.#parts.quarantine.setAside(path, "Its SHA-256 is not the one in the window's manifest.");
      throw new CwmError('Corrupted', `The token ids of window "${name}" are damaged.`);
    });
  }

  loadKv(name: WindowName): Promise<KvRecord> {
    return this.#onWindow(name, (paths) => this.kv.read(name, paths));
  }

  loadKvHead(name: WindowName): Promise<Omit<KvRecord, 'blocks'>> {
    return this.#onWindow(name, async (paths) => {
      const head = await this.kv.readHead(name, paths);
      if (head) return head.kv;
      throw noKvRecord(name);
    });
  }

  replaceKv(name: WindowName, kv: KvRecord): Promise<void> {
    return this.#onWindow(name, (paths) => this.kv.replace(name, paths, kv));
  }

  appendReceipt(name: WindowName, receipt: Receipt): Promise<void> {
    return this.#onWindow(name, (paths) => this.#parts.lines.append(paths.receipts, [receipt]));
  }

  listReceipts(name: WindowName): Promise<Receipt[]> {
    return this.#onWindow(name, async (paths) => [
      ...(await this.#parts.lines.load(paths.receipts, receiptSchema)).values,
    ]);
  }

  damagedReceipts(name: WindowName): Promise<number> {
    return this.#onWindow(
      name,
      async (paths) => (await this.#parts.lines.load(paths.receipts, receiptSchema)).damagedLines.length,
    );
  }

  setPinned(name: WindowName, isPinned: boolean): Promise<void> {
    const { writes } = this.#parts;
    return this.#onWindow(name, (paths) =>
      isPinned ? writes.replaceFile(paths.pin, new Uint8Array()) : writes.removeFile(paths.pin),
    );
  }

  async isPinned(name: WindowName): Promise<boolean> {
    return (await this.#parts.files.stat(this.#parts.layout.window(name).pin)) !== null;
  }

  /**
   * Restores a window from the trash.
   * @param from where its directory is now.
   * @throws CwmError WindowExists when the name is taken by now, SessionNotFound when its session is gone or another one, Corrupted
   *   when it is damaged.
   */
  /** The session of a window that lies elsewhere, as in the trash; null when its manifest is damaged. */
  async sessionIn(directory: string): Promise<SessionId | null> {
    const path = windowPaths(directory).manifest;
    return (await nullOn(this.#parts.records.read(path, windowManifestSchema), 'Corrupted'))?.session ?? null;
  }

  async restore(name: WindowName, from: string): Promise<void> {
    const { records, writes, layout } = this.#parts;
    const manifest = await records.read(windowPaths(from).manifest, windowManifestSchema);
    if (manifest?.name !== name) throw new CwmError('Corrupted', `What was window "${name}" has no manifest any more.`);
    const session = manifest.session;
    const paths = layout.window(name);
    return this.#sessions.exclusively(session, () =>
      this.#queue.run(name, async () => {
        await this.#requireFree(name, paths);
        // Another session may have its id by now: without its messages the window could be listed but never thawed.
        const stored = new Set<string>(await this.#sessions.storedMessages(session));
        const isThere = await hasDirectory(this.#parts.files, layout.session(session).directory);
        if (!isThere || manifest.messageIds.some((id) => !stored.has(id))) {
          const what = isThere ? 'does not have its messages' : 'is gone';
          throw new CwmError('SessionNotFound', `The session "${session}" of window "${name}" ${what}.`, {
            hint: 'Restore that session first, if it is in the trash.',
          });
        }
        await writes.move(from, paths.directory);
      }),
    );
  }

  delete(name: WindowName): Promise<void> {
    return this.#onWindow(name, async (paths) => {
      await this.#trash.discard(paths.directory, `window-${name}`);
      this.#parts.lines.forget(paths.receipts);
      await this.#intents.remove(name);
    });
  }

  async require(name: WindowName): Promise<WindowManifest> {
    const manifest = await this.get(name);
    if (manifest === null) throw notFound(name);
    return manifest;
  }

  #onWindow<T>(name: WindowName, task: (paths: WindowPaths) => Promise<T>): Promise<T> {
    const paths = this.#parts.layout.window(name);
    return this.#queue.run(name, async () => {
      if (!(await hasDirectory(this.#parts.files, paths.directory))) throw notFound(name);
      return task(paths);
    });
  }

  async #requireFree(name: WindowName, paths: WindowPaths): Promise<void> {
    if ((await this.#parts.files.stat(paths.directory)) === null) return;
    throw new CwmError('WindowExists', `A window named "${name}" exists already.`);
  }
}

const notFound = (name: WindowName): CwmError => new CwmError('WindowNotFound', `There is no window "${name}".`);
