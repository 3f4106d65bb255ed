import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { projectUriOfFolder } from '../../../src/client/projectUri.ts';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { eventually } from '../../support/eventually.ts';
import { cliOn } from './cli.ts';

export interface FolderStory {
  readonly storage: string;
  /** An empty directory for both folders. */
  readonly place: string;
  /** A client that closes a folder as an editor window does. */
  readonly client: () => BackendClient;
  /** `kill -9` of backend and model server; the model server runs again afterwards where nothing else starts it. */
  readonly killAll: () => Promise<void>;
  readonly tokensPerBlock: number;
  /** B's message comes at once, while what was left is still being saved. */
  readonly isInHurry?: boolean;
}

/** A question about a folder, of a few hundred tokens. */
export const question = (folder: string): string =>
  Array.from({ length: 24 }, (_, at) => `${folder} line ${at}: ${at * 7919}`).join('\n');

interface Opened {
  readonly session: { readonly id: string; readonly tokens: { readonly count: number } } | null;
  readonly warming: { readonly state: string; readonly receipt: Receipt | null } | null;
}

/**
 * Folder A, talk; folder B, talk; close the window; kill model server and backend; open A: with no command but the opening A's next answer
 * reuses all that it can of A's tokens, `proven`, and then B's the same.
 */
export async function folderStory({ storage, place, client, killAll, tokensPerBlock, isInHurry = false }: FolderStory) {
  const folders = ['a', 'b'].map((name) => {
    const path = join(place, name);
    mkdirSync(path);
    return { name, path };
  });
  let left: string[] = [];
  /** A message at once has the checkpoint of the folder that is left wait, where the model server keeps its KV: who types takes longer. */
  const isSaved = async (session: string): Promise<void> => {
    await eventually(async () =>
      expect(await client().call('autoFreezeCheck', { session })).toMatchObject({ isChanged: false }),
    );
  };
  for (const [at, { name, path }] of folders.entries()) {
    const cwm = cliOn(storage, path);
    await cwm.json('open', path, ...left);
    const before = folders[at - 1]?.name;
    if (before !== undefined && !isInHurry) await isSaved(before);
    await cwm.json('session', 'new', '--id', name, '--project', '.');
    await cwm.json('send', name, question(name), '--max-tokens', '8');
    left = ['--leaving', path];
  }
  const last = folders.at(-1)?.path ?? '';
  const closed = await client().call('closeProject', { project: await projectUriOfFolder(last) });
  expect(closed).toMatchObject({ session: 'b', receipt: { verdict: 'proven', tier: 'disk' } });
  await killAll();

  left = [];
  for (const { name, path } of folders) {
    const cwm = cliOn(storage, path);
    const opened = (await cwm.json('open', path, ...left)) as unknown as Opened;
    expect(opened).toMatchObject({
      session: { id: name, lifecycle: 'active' },
      warming: { state: 'done', tokensBehind: 0, receipt: { verdict: 'proven', tier: 'disk', session: name } },
    });
    const tokens = opened.session?.tokens.count ?? Infinity;
    const floor = Math.floor((tokens - 1) / tokensPerBlock) * tokensPerBlock;
    expect(opened.warming?.receipt?.cachedTokens).toBe(floor);
    const answer = await cwm.json('send', name, 'And what comes next?', '--max-tokens', '4');
    expect(answer['cachedTokens']).toBeGreaterThanOrEqual(floor);
    left = ['--leaving', path];
  }
  expect(await cliOn(storage).json('session', 'list')).toMatchObject({ total: 2 });
  expect(await cliOn(storage).json('list')).toMatchObject({ total: 0 });
  expect(await cliOn(storage).json('verify')).toMatchObject({ healthy: true });
}
