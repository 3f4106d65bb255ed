import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { logName, type GuardedCommand, type GuardOrder, type GuardReport } from './guardProtocol.ts';

/** A model server on the loopback address. Disposing it stops it. */
export interface ModelServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41234`, without a slash at the end. */
  readonly url: string;
  /** Of the server itself, which leads a process group of this id. */
  readonly pid: number;
  readonly logFile: string;
  /** Resolves with how it ended, once its whole process group is gone and what it would leave behind is removed. */
  readonly ended: Promise<string>;
  /** Asks it to end, and ends it when it does not. Resolves when it has ended, also when it had already. */
  stop(): Promise<void>;
  /** SIGKILL to the whole process group, as a crash or the system's memory killer would do. */
  kill(): Promise<void>;
}

export interface ServerStart extends Omit<GuardedCommand, 'logFolder'> {
  /** What the log and the messages call it. */
  readonly name: string;
  readonly url: string;
  /** What answers 200 once it is ready. Default `/health`. */
  readonly healthPath?: string;
  /** How long that may take. */
  readonly readyWithinMs: number;
  readonly signal: AbortSignal;
}

const readyPollMs = 200;
const healthTimeoutMs = 5_000;
const logTailBytes = 8_000;

/**
 * Starts a server and waits until it is ready.
 *
 * @throws an Error that ends with the end of the server's log, when it dies or is not ready in time; the signal's reason when
 *   that is aborted first. Nothing is left running in either case. The log file is kept only when the server died by itself.
 */
export async function startGuarded({
  name,
  url,
  healthPath = '/health',
  readyWithinMs,
  signal,
  ...command
}: ServerStart): Promise<ModelServer> {
  signal.throwIfAborted();
  const logFolder = await mkdtemp(join(tmpdir(), `cwm-${name}-`));
  const logFile = join(logFolder, logName);
  const guard = fork(join(import.meta.dirname, 'serverGuard.ts'), {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  const reports = watch(guard);
  guard.send({ ...command, logFolder } satisfies GuardedCommand, () => undefined);

  const endBy = async (order: GuardOrder): Promise<void> => {
    // It may have just ended by itself, which `ended` says. Without a callback, a message that comes too late is an uncaught error.
    if (guard.connected) guard.send(order, () => undefined);
    await reports.ended;
    await rm(logFolder, { recursive: true, force: true });
  };
  try {
    const pid = await reports.started;
    await untilHealthy(`${url}${healthPath}`, readyWithinMs, reports.ended, signal);
    return {
      url,
      pid,
      logFile,
      ended: reports.ended,
      stop: () => endBy('stop'),
      kill: () => endBy('kill'),
      [Symbol.asyncDispose]: () => endBy('stop'),
    };
  } catch (error) {
    const tail = await readTail(logFile);
    if (signal.aborted || error instanceof NotReady) await endBy('kill');
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} did not start: ${why}. The end of its log (${logFile}):\n${tail}`, { cause: error });
  }
}

/** A loopback port that was free a moment ago: the preferred one if it is. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  try {
    server.listen(preferred, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    if (preferred === 0) throw error;
    return freePort();
  }
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('A listening TCP server has no port.');
  return address.port;
}

class NotReady extends Error {}

function watch(guard: ChildProcess): { started: Promise<number>; ended: Promise<string> } {
  const started = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<string>();
  guard.on('message', (report: GuardReport) => {
    if (report.kind === 'started') started.resolve(report.pid);
    else if (report.kind === 'ended') ended.resolve(report.how);
    else started.reject(new Error(report.why));
  });
  guard.once('exit', (code, signal) => {
    ended.resolve(`its guard ended with ${signal ?? code}`);
    started.reject(new Error(`its guard ended with ${signal ?? code}`));
  });
  started.promise.catch(() => undefined);
  return { started: started.promise, ended: ended.promise };
}

async function untilHealthy(url: string, withinMs: number, ended: Promise<string>, signal: AbortSignal): Promise<void> {
  let how: string | undefined;
  void ended.then((value) => (how = value));
  const deadlineMs = performance.now() + withinMs;
  while (performance.now() < deadlineMs) {
    signal.throwIfAborted();
    if (how !== undefined) throw new Error(`it ended with ${how}`);
    if (await isHealthy(url, signal)) return;
    await delay(readyPollMs);
  }
  throw new NotReady(`${url} did not answer 200 within ${withinMs / 1000} s`);
}

async function isHealthy(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(healthTimeoutMs)]),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Nobody listens yet; the caller's deadline ends the wait.
    return false;
  }
}

async function readTail(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    const length = Math.min(size, logTailBytes);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8');
  } catch {
    return '(no log)';
  }
}
