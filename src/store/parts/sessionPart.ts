import type { SessionStore } from '../../core/ports/sessions.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { nullIfUnreadable } from '../disk/unreadable.ts';
import type { IndexSource } from '../index/indexSource.ts';
import type { LiveIndex } from '../index/liveIndex.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';

/** The sessions: their files, listed by the index. */
export function sessionPart(
  { quarantine, layout }: StoreDisk,
  files: SessionFiles,
  index: LiveIndex,
  source: IndexSource,
): SessionStore {
  /** The row of a record that cannot be read is made again, which removes it. */
  const listed = async (id: SessionId): Promise<Session | null> => {
    const session = await nullIfUnreadable(quarantine, layout.session(id).metadata, () => files.get(id));
    if (!session) index.changed({ session: id });
    return session;
  };
  return {
    create: (session, content) => files.create(session, content ?? null),
    get: (id) => files.get(id),
    update: (next) => files.update(next),
    delete: (id) => files.delete(id),
    saveTokens: (id, ...parts) => files.saveTokens(id, ...parts),
    tokenList: (id, sha256) => files.tokenList(id, sha256),
    loadTokens: (id, sha256) => files.loadTokens(id, sha256),
    storedTokens: (id) => files.storedTokens(id),
    ids: () => source.sessionIds(),
    projects: () => index.query((rows) => rows.sessionsByProject()),
    async list(query) {
      // A record that turns out damaged or deleted leaves the index, and the page is read again.
      for (let attempt = 1; ; attempt++) {
        const { items, total } = await index.query((rows) => rows.sessions(query));
        const sessions = await Promise.all(items.map(listed));
        const found = sessions.filter((session) => session !== null);
        if (found.length === items.length || attempt === 3) return { items: found, total };
      }
    },
  };
}
