import { appendFile, writeFile } from 'node:fs/promises';
import { systemClock } from '../src/base/clock.ts';
import { sha256Hex } from '../src/base/hash.ts';
import type { MessageId, ProjectUri } from '../src/protocol/ids.ts';
import { openStore } from '../src/store/openStore.ts';
import { diskFiles, type Files } from '../src/store/disk/files.ts';
import { aBlock, aKvRecord, aManifest, aMessage, aSession, contextTokens } from '../test/store/builders.ts';
import { lineageId, messageId, sessionId } from '../test/support/ids.ts';

export interface BigStore {
  readonly sessions: number;
  /** Spread evenly over the sessions. */
  readonly windows: number;
  /** In the session `long`, which is one more. */
  readonly messages: number;
  /** The sessions are spread over these projects, each of which has a current session. Default: none. */
  readonly projects?: readonly ProjectUri[];
}

const blocksPerWindow = 32;
const ids = Array.from({ length: 16 * blocksPerWindow }, (_, at) => 1000 + at);

/** Ids as long as the product's own. */
const messageName = (at: number): MessageId => messageId(`m-${sha256Hex(String(at)).slice(0, 24)}`);

/** Syncs nothing: losing a store that is filled for a measurement does no harm. */
const hastyFiles: Files = {
  ...diskFiles,
  create: (path, bytes) => writeFile(path, bytes, { flag: 'wx', mode: 0o600 }),
  append: (path, bytes) => appendFile(path, bytes, { mode: 0o600 }),
  syncDirectory: async () => undefined,
};

/** Fills a storage directory as the product does, but without waiting for the disk. */
export async function fillStore(directory: string, size: BigStore): Promise<void> {
  const store = await openStore({ directory, clock: systemClock, files: hastyFiles });
  const { projects = [] } = size;
  const projectOf = (at: number): ProjectUri | null => projects[at % Math.max(1, projects.length)] ?? null;
  const model = { id: 'big', root: null, maxModelLen: 131_072, fingerprint: null };
  try {
    for (let at = 0; at < size.sessions; at++) {
      const [id, lineage] = [`s-${at}`, `l-${at}`];
      await store.lineages.create({ id: lineageId(lineage), salt: sha256Hex(lineage), generation: 0 });
      await store.sessions.create(aSession({ id, title: `Session ${at}`, lineage, model, project: projectOf(at) }));
    }
    for (const [at, project] of projects.entries())
      await store.projects.setCurrentSession(project, sessionId(`s-${at}`));
    for (let at = 0; at < size.windows; at++) {
      const of = at % size.sessions;
      const blocks = ids.slice(0, blocksPerWindow).map((block) => aBlock(sha256Hex(`${of}-${block}`)));
      const createdAt = new Date(Date.UTC(2026, 0, 1) + at * 60_000).toISOString();
      const [session, lineage] = [`s-${of}`, `l-${of}`];
      const tokens = contextTokens(ids);
      await store.windows.create(
        aManifest({
          name: `w-${at}`,
          description: `Number ${at}`,
          session,
          lineage,
          model,
          tokens,
          createdAt,
          project: projectOf(of),
        }),
        ids,
        aKvRecord({ blocks, kvBytes: 4096 * blocksPerWindow }),
      );
    }
    if (size.messages > 0) {
      const messages = Array.from({ length: size.messages }, (_, at) => ({
        ...aMessage(messageName(at), at + 1, `Message ${at}: ${'and so it goes on. '.repeat(20)}`),
        role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
        parentId: at === 0 ? null : messageName(at - 1),
      }));
      await store.lineages.create({ id: lineageId('l-long'), salt: sha256Hex('long'), generation: 0 });
      const branches = { main: { name: 'main', head: null, length: 0, parentMessageId: null } };
      const session = aSession({ id: 'long', title: 'A long one', lineage: 'l-long', model, branches });
      await store.sessions.create(session);
      await store.messages.append(sessionId('long'), messages);
      await store.sessions.update({
        ...session,
        branches: { main: { ...branches.main, head: messages.at(-1)!.id, length: messages.length } },
        version: 2,
      });
    }
  } finally {
    await store.close();
  }
}
