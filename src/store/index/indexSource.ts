import { parseSessionId, parseWindowName, type SessionId, type WindowName } from '../../protocol/ids.ts';
import { idOfFileName } from '../disk/layout.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { nullIfUnreadable } from '../disk/unreadable.ts';
import type { WindowFiles } from '../records/windowFiles.ts';
import { sessionRow, windowRow, type SessionRow, type WindowRow } from './rows.ts';

/** Makes the index's rows from the files: the only source, for a change as for a rebuild. */
export class IndexSource {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;
  readonly #windows: WindowFiles;

  constructor(parts: StoreDisk, sessions: SessionFiles, windows: WindowFiles) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#windows = windows;
  }

  sessionIds(): Promise<SessionId[]> {
    return this.#ids(this.#parts.layout.contexts, parseSessionId);
  }

  windowNames(): Promise<WindowName[]> {
    return this.#ids(this.#parts.layout.windows, parseWindowName);
  }

  /**
   * A stamp that changes with every change of the row's files, also when they come back from a backup. Empty: the row must not be
   * trusted.
   */
  async sessionStamp(id: SessionId): Promise<string> {
    const metadata = await this.#parts.files.stat(this.#parts.layout.session(id).metadata);
    return metadata?.isSettled ? metadata.fingerprint : '';
  }

  /** Records of a window are replaced, which its directory's times show; only receipts are added to a file. */
  async windowStamp(name: WindowName): Promise<string> {
    const paths = this.#parts.layout.window(name);
    const [directory, receipts] = [
      await this.#parts.files.stat(paths.directory),
      await this.#parts.files.stat(paths.receipts),
    ];
    const isSettled = directory?.isSettled === true && receipts?.isSettled !== false;
    return isSettled ? `${directory.fingerprint}/${receipts?.fingerprint ?? ''}` : '';
  }

  /** Null when there is none that can be read. */
  async session(id: SessionId): Promise<SessionRow | null> {
    const { quarantine, layout } = this.#parts;
    // The stamp first: a change between the two reads makes the row look old, never new.
    const stamp = await this.sessionStamp(id);
    const session = await nullIfUnreadable(quarantine, layout.session(id).metadata, () => this.#sessions.get(id));
    return session && sessionRow(session, stamp);
  }

  async window(name: WindowName): Promise<WindowRow | null> {
    const { quarantine, layout } = this.#parts;
    const paths = layout.window(name);
    const stamp = await this.windowStamp(name);
    const manifest = await nullIfUnreadable(quarantine, paths.manifest, () => this.#windows.get(name));
    if (!manifest) return null;
    const head = await nullIfUnreadable(quarantine, paths.kv, () => this.#windows.kv.readHead(name, paths));
    const receipts = await nullIfUnreadable(quarantine, paths.receipts, () => this.#windows.listReceipts(name));
    const isPinned = await this.#windows.isPinned(name);
    return windowRow({ manifest, kvBytes: head?.kv.kvBytes ?? null, receipts: receipts ?? [], isPinned }, stamp);
  }

  async #ids<Id extends string>(directory: string, parse: (value: string) => Id): Promise<Id[]> {
    const names = await this.#parts.files.list(directory);
    const ids: Id[] = [];
    for (const name of names) {
      const id = idOfFileName(name, parse);
      if (id !== null) ids.push(id);
    }
    return ids;
  }
}
