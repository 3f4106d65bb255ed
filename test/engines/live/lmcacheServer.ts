import { join } from 'node:path';

import { engineRecipes } from './engineRecipe.ts';
import { freePort, startGuarded, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';

const readyWithinMs = 120_000;

export interface LmcacheStart {
  /** Where its files are: pieces of KV, a file each. */
  readonly kvDir: string;
  /** Of the coordinator that it reports to. */
  readonly coordinatorUrl: string;
  /** Where vLLM reaches it. Default: a free one. */
  readonly port?: number;
}

/** LMCache's server; its `url` is the one for people and the coordinator. */
export interface LmcacheServer extends ModelServer {
  /** Where vLLM reaches it. */
  readonly port: number;
}

/** Starts a real `lmcache server` with host memory and a file tier behind it, which takes some seconds. */
export async function startLmcache(start: LmcacheStart, signal: AbortSignal): Promise<LmcacheServer> {
  const [port = await freePort(), httpPort] = [start.port, await freePort()];
  const flags = {
    '--host': '127.0.0.1',
    '--port': port,
    '--http-host': '127.0.0.1',
    '--http-port': httpPort,
    '--l1-size-gb': 0.25,
    '--eviction-policy': 'LRU',
    // What works without a GPU, and without shared memory.
    '--supported-transfer-mode': 'engine_driven',
    '--l2-adapter': JSON.stringify({ type: 'fs', base_path: start.kvDir }),
    '--coordinator-url': start.coordinatorUrl,
    '--coordinator-advertise-ip': '127.0.0.1',
    '--coordinator-heartbeat-interval': 1,
    '--coordinator-event-flush-interval': 0.2,
  };
  const switches = ['--coordinator-event-reporting', '--disable-metrics', '--disable-grpc-metrics'];
  const server = await startCommand('server', { httpPort, flags, switches, healthPath: '/healthcheck' }, signal);
  return { ...server, port };
}

export interface CoordinatorStart {
  /** Where it keeps pins, and what it knows of pieces, over a restart. Default: nowhere. */
  readonly stateDir?: string;
  /** Default: a free one. */
  readonly port?: number;
}

/** Starts a real `lmcache coordinator`, which takes some seconds. */
export async function startCoordinator(
  { stateDir, port }: CoordinatorStart,
  signal: AbortSignal,
): Promise<ModelServer> {
  const httpPort = port ?? (await freePort());
  const flags = {
    '--host': '127.0.0.1',
    '--port': httpPort,
    ...(stateDir !== undefined && {
      '--metadata-path': join(stateDir, 'metadata'),
      '--checkpoint-path': join(stateDir, 'checkpoint'),
      '--checkpoint-interval': 1,
    }),
  };
  const start = { httpPort, flags, switches: ['--disable-metrics'], healthPath: '/healthz' };
  return startCommand('coordinator', start, signal);
}

function startCommand(
  command: 'server' | 'coordinator',
  options: {
    readonly httpPort: number;
    readonly flags: Readonly<Record<string, string | number>>;
    readonly switches: readonly string[];
    readonly healthPath: string;
  },
  signal: AbortSignal,
): Promise<ModelServer> {
  const python = installedPython(engineRecipes.lmcache);
  if (!python) throw new Error('LMCache is not installed. Run: npm run engines:install lmcache');
  const { httpPort, flags, switches, healthPath } = options;
  return startGuarded({
    name: `lmcache-${command}`,
    url: `http://127.0.0.1:${httpPort}`,
    healthPath,
    command: python,
    args: ['-m', 'lmcache.cli.main', command, ...Object.entries(flags).flat().map(String), ...switches],
    cwd: import.meta.dirname,
    env: {
      ...process.env,
      LMCACHE_TRACK_USAGE: 'false',
      LMCACHE_DISABLE_BANNER: '1',
      DO_NOT_TRACK: '1',
      HF_HUB_OFFLINE: '1',
      PYTHONDONTWRITEBYTECODE: '1',
    },
    leftovers: [],
    readyWithinMs,
    signal,
  });
}
