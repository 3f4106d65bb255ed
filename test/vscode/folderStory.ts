import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connectBackend } from '../../src/client/connectBackend.ts';
import { engineRecipes } from '../engines/live/engineRecipe.ts';
import { installedPython } from '../engines/live/installEngine.ts';
import { llamaModel } from '../engines/live/llamaModel.ts';
import { startLlamaServer } from '../engines/live/llamaServer.ts';
import { tellFolders, type ToldFolder } from './folders.ts';
import { runSuite } from './harness/runSuite.ts';
import { waitUntil } from './harness/waitUntil.ts';
import { isRunning } from '../support/isRunning.ts';
import { isNightly } from '../support/nightly.ts';

export interface FolderStoryOptions {
  readonly vsix: string;
  /** An empty directory. */
  readonly place: string;
  readonly log: (line: string) => void;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const never = new AbortController().signal;

/**
 * Folder A, talk; folder B, talk; close the window; kill model server and backend; open A, and then B. Once on the embedded engine, and once
 * on a real llama-server with one slot where that is installed. The folders are in one window; at night, A comes back in one of its own.
 */
export async function folderStory({ vsix, place, log }: FolderStoryOptions): Promise<Outcome> {
  const storage = path.join(place, 'storage');
  const slotDir = path.join(place, 'slots');
  for (const folder of [storage, slotDir]) mkdirSync(folder);
  const hasLlama = installedPython(engineRecipes['llama-server']) !== undefined;
  if (!hasLlama) log("llama-server is not installed, so its half of the folders' story is left out.");
  const start = { slotDir, servedName: 'tiny', slots: 1 };
  await using servers = new AsyncDisposableStack();
  const startServer = async (port?: number) => {
    const modelPath = await llamaModel({ signal: never });
    return servers.use(await startLlamaServer({ ...start, modelPath, ...(port !== undefined && { port }) }, never));
  };
  const llama = hasLlama ? await startServer() : null;
  const told = (name: string, engine: string): ToldFolder => {
    const folder = path.join(place, `folder-${name}`);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'README.md'), `# ${name}\n`);
    const lines = Array.from({ length: 24 }, (_, at) => `${name} line ${at}: ${at * 7919}`);
    return { name, folder, engine, text: lines.join('\n') };
  };
  const [a, b] = [told('a', 'embedded'), told('b', 'embedded')];
  const onLlama = llama ? `${llama.url}#slots=${encodeURI(slotDir)}` : '';
  const others = llama ? [told('la', onLlama), told('lb', onLlama)] : [];
  const all = [a, b, ...others];
  const settings = { 'cwm.storageDirectory': storage, 'cwm.embedded.threads': 1, 'cwm.answer.maxTokens': 8 };

  const play = (suite: string, folders: readonly ToldFolder[], open: string) =>
    runSuite({
      testFiles: [path.join(import.meta.dirname, 'suite', `${suite}.suite.ts`)],
      vsix: [vsix],
      folder: open,
      settings,
      environment: tellFolders(folders),
      log,
    });
  const workspaceOf = (name: string, folders: readonly ToldFolder[]): string => {
    const file = path.join(place, `${name}.code-workspace`);
    writeFileSync(file, JSON.stringify({ folders: folders.map(({ folder }) => ({ path: folder })) }));
    return file;
  };

  const outcomes: Outcome[] = [];
  {
    // Started here, since all that a window started ends with the run: this one sees the window close, and is killed.
    const entry = path.resolve(import.meta.dirname, '../../dist/backend.js');
    const backend = await connectBackend({
      storage,
      start: { nodePath: process.execPath, entry, args: ['--embedded-threads', '1'] },
    });
    servers.defer(() => backend.dispose());
    const { pid } = await backend.call('health', {});
    servers.defer(() => killAll([pid]));
    outcomes.push(await play('folderTalk', all, workspaceOf('talk', all)));
    for (const { name } of all) {
      await waitUntil(`the checkpoint of ${name}`, () => hasCheckpoint(storage, name) || undefined, {
        evidence: () => [readFileSync(path.join(storage, 'backend.log'), 'utf8')],
      });
    }
    const { engines } = await backend.call('health', {});
    backend.dispose();
    await killAll([pid, ...engines.flatMap((engine) => engine.pid ?? [])]);
    if (llama) {
      await llama.kill();
      await startServer(Number(new URL(llama.url).port));
    }
  }
  // A night opens A in a window of its own; otherwise it is the folder that this window opens on.
  if (isNightly) outcomes.push(await play('folderBack', [a], a.folder));
  const rest = isNightly ? [b, ...others] : all;
  outcomes.push(await play('folderBack', rest, workspaceOf('back', rest)));
  const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

const hasCheckpoint = (storage: string, session: string): boolean => {
  const folder = path.join(storage, 'contexts', session);
  return existsSync(folder) && readdirSync(folder).some((file) => file.startsWith('checkpoint'));
};

async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  await waitUntil('the processes to be gone', () => (pids.some(isRunning) ? undefined : true));
}
