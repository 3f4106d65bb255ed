import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../src/base/clock.ts';
import { ProjectConfigs } from '../src/backend/contextFiles/projectConfigs.ts';
import type { BackendClient } from '../src/client/backendClient.ts';
import { SessionContextManager } from '../src/core/projects/sessionContextManager.ts';
import { parseProjectUri, type ProjectUri } from '../src/protocol/ids.ts';
import { BackendConnection } from '../src/vscode/connection/backendConnection.ts';
import { FolderOpener } from '../src/vscode/following/openFolder.ts';
import { Puller } from '../src/vscode/following/puller.ts';
import { ViewState } from '../src/vscode/state.ts';
import { atMost, median, mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { fillStore } from './bigStore.ts';
import { withBackendOn } from './passingBackend.ts';

const projects = 100;
const sessions = 1000;
const runs = 15;
/** They compile what the others run. */
const warmUps = 5;
const never = new AbortController().signal;

/** What an editor waits for when its folder changes, how long a project's configuration takes to find, and many clients at once. */
export const switching: Benchmark = {
  ids: ['SWITCH', 'N9', 'N10', 'N11'],
  async run() {
    const place = await realpath(await mkdtemp(path.join(tmpdir(), 'cwm-bench-')));
    try {
      const folders = Array.from({ length: projects }, (_, at) => path.join(place, `project-${at}`));
      for (const folder of folders) await mkdir(folder);
      const uris = folders.map((folder) => parseProjectUri(pathToFileURL(folder).href));
      const storage = path.join(place, 'storage');
      await fillStore(storage, { sessions: sessions - 1, windows: sessions, messages: 1, projects: uris });
      const switched = await withBackendOn(storage, (client) => switches(client, uris));
      const clients = await withBackendOn(storage, (client) => manyClients(client, folders));
      return [...switched, ...clients, ...(await discovery(place))];
    } finally {
      await rm(place, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};

/** With the editor's own code, but for VS Code: until tree and status bar have what they show. */
async function switches(client: BackendClient, uris: readonly ProjectUri[]): Promise<Figure[]> {
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
  const connection = new BackendConnection(async () => client, state, fail);
  const puller = new Puller(connection, state, () => null, fail);
  // What it fetches in the background may meet the end of the connection.
  const log = { error: () => undefined };
  await connection.open();
  const opener = new FolderOpener({ state, connection, puller, log } as never, () => true);
  const figures: Figure[] = [];
  for (const scope of ['folder', 'all'] as const) {
    state.update({ scope });
    await puller.all();
    const times: number[] = [];
    for (let run = -warmUps; run < runs; run++) {
      const uri = uris[((run + warmUps) * 7) % uris.length]!;
      const { ms } = await timed(async () => {
        state.update({ project: { kind: 'folder', uri, name: 'x' }, currentSession: { kind: 'unknown' } });
        await puller.all();
      });
      const { currentSession, sessions: listed } = state.current;
      const isRight = currentSession.kind === 'session' && currentSession.session.project === uri;
      mustHold(isRight && listed.kind === 'loaded', 'the views have what is in the folder');
      if (run >= 0) times.push(ms);
    }
    const what = scope === 'folder' ? 'its sessions' : 'the sessions of all folders';
    const all = `${sessions.toLocaleString('en-US')} sessions of ${projects} projects`;
    const title = `another folder: current session and ${what}, ${all}`;
    figures.push(atMost('SWITCH', title, median(times), 100, runs));
  }
  opener.dispose();
  return figures;
}

async function manyClients(client: BackendClient, folders: readonly string[]): Promise<Figure[]> {
  await client.call('health', {});
  const { ms } = await timed(() =>
    Promise.all(folders.map((directory) => client.call('setWorkingDirectory', { directory }))),
  );
  const manager = new SessionContextManager(
    systemClock,
    () => false,
    () => undefined,
  );
  const resolution = { tier: 'default', project: 'file:///x', name: 'x', id: null, configPath: null } as const;
  const times: number[] = [];
  for (let at = 0; at < 1000; at++) {
    const one = await timed(async () => {
      manager.setWorkingDirectory(`c-${at}`, { workingDirectory: '/x', resolution, isStrict: false });
      manager.use(`c-${at}`);
    });
    times.push(one.ms);
  }
  const swept = await timed(async () => manager.sweep());
  return [
    atMost('N9', 'two operations of a context among up to 1,000 clients, p95', p95(times), 1, times.length),
    atMost('N9', `${folders.length} clients say at once where they work`, ms, 5000, 1),
    atMost('N10', 'a sweep over 1,000 clients', swept.ms, 50, 1),
  ];
}

/** Each cold one on folders that nothing has asked for before. */
async function discovery(place: string): Promise<Figure[]> {
  const cold = async (levels: number): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < runs; run++) {
      const root = path.join(place, `deep-${levels}-${run}`);
      const folder = path.join(root, ...Array.from({ length: levels }, (_, at) => `level-${at}`));
      await mkdir(folder, { recursive: true });
      await mkdir(path.join(root, '.cwm'));
      await writeFile(
        path.join(root, '.cwm', 'config.json'),
        JSON.stringify({ version: '1.0', project: { name: 'x' } }),
      );
      const { ms, result } = await timed(() => new ProjectConfigs().find(folder, never));
      mustHold(result?.config.project.name === 'x', 'the configuration is found');
      times.push(ms);
    }
    return median(times);
  };
  const near = await cold(1);
  const far = await cold(20);
  const configs = new ProjectConfigs();
  const folder = path.join(place, 'deep-1-0', 'level-0');
  const times: number[] = [];
  for (let run = 0; run < 500; run++) times.push((await timed(() => configs.find(folder, never))).ms);
  return [
    atMost('N11', 'find the configuration of a project', near, 50, runs),
    atMost('N11', 'find it 20 levels above', far, 100, runs),
    atMost('N11', 'find it once it was read, p95', p95(times.slice(1)), 1, times.length - 1),
  ];
}

const p95 = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(0.95 * values.length)] ?? Number.NaN;
