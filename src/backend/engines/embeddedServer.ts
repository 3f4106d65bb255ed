import { unlessAborted } from '../../base/unlessAborted.ts';
import { fork, type ChildProcess } from 'node:child_process';
import * as z from 'zod/mini';
import { randomSalt } from '../../base/hash.ts';
import { toCwmError, CwmError, errorNameOf } from '../../protocol/errors.ts';
import type { Log } from '../process/logFile.ts';

/** What the child says over IPC once: where it serves, or why it cannot. */
const readySchema = z.object({ url: z.string(), pid: z.number(), workerPid: z.number() });
const refusalSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.optional(z.string()) }),
});

export interface EmbeddedServerOptions {
  /** `dist/embedded.js`, or `src/embedded/main.ts` in a checkout. */
  readonly entry: string;
  readonly args: readonly string[];
  /** What it encrypts KV with; null, the default, for KV in clear. */
  readonly kvKey?: Uint8Array | null;
  readonly log: Log;
  /** Called when it has come up and when it has gone. */
  readonly onChange: () => void;
  /** Hashing and loading many gigabytes takes a while; default 5 min. */
  readonly startTimeoutMs?: number;
  /** Between the request to end and the end by force; default 5 s. */
  readonly endTimeoutMs?: number;
}

export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  /** Without it the child answers nobody: its port is open to every user of this machine. */
  readonly token: string;
}

const keptOutput = 4000;

/**
 * The embedded engine as a child of this process. The first use starts it, and so does the next use after it died. It never starts
 * twice at once, nor in a loop: when it cannot start, the calls that wait for it fail.
 */
export class EmbeddedServer {
  readonly #options: EmbeddedServerOptions;
  #child: ChildProcess | undefined;
  #running: Promise<RunningServer> | undefined;
  #known: RunningServer | null = null;
  #closed = false;
  #expected: readonly string[] = [];

  constructor(options: EmbeddedServerOptions) {
    this.#options = options;
  }

  /** The running child, without starting one. */
  get current(): RunningServer | null {
    return this.#known;
  }

  /**
   * @param refusedAt an address where nobody listens any more. Where it is that of the child, the child is dead or as good as dead, although its
   *   end may not have been noticed yet: it is ended, and another one started.
   * @throws CwmError what the child said, like NotAModel for a file that is no model; EngineUnavailable when it ended without a word;
   *   EngineTimeout when it took too long; the signal's reason. An abort does not stop a child that is starting: the next call can use
   *   it.
   */
  async connect(signal: AbortSignal, refusedAt?: string): Promise<RunningServer> {
    signal.throwIfAborted();
    if (this.#child && this.#known && this.#known.url === refusedAt)
      await unlessAborted(endChild(this.#child, this.#options.endTimeoutMs ?? 5_000), signal);
    if (this.#closed) throw new CwmError('EngineUnavailable', 'The embedded model server is ending with the backend.');
    this.#running ??= this.#start();
    try {
      return await unlessAborted(this.#running, signal);
    } catch (error) {
      throw toCwmError(error);
    }
  }

  /** Has the next child read the files of these blocks while its model loads. No effect on one that serves already. */
  expect(hashes: readonly string[]): void {
    if (this.#known) return;
    if (this.#child) this.#child.send({ prefetch: hashes }, () => undefined);
    else this.#expected = hashes;
  }

  /** Ends the child; by force when it does not react. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#child) await endChild(this.#child, this.#options.endTimeoutMs ?? 5_000);
  }

  async #start(): Promise<RunningServer> {
    const { entry, args, kvKey, log, onChange, startTimeoutMs = 300_000 } = this.#options;
    const token = randomSalt();
    const child = fork(entry, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {
        ...process.env,
        CWM_API_KEY: undefined,
        CWM_ENGINE_TOKEN: token,
        CWM_KV_KEY: kvKey ? Buffer.from(kvKey).toString('hex') : undefined,
      },
      execArgv: [],
    });
    this.#child = child;
    if (this.#expected.length > 0) child.send({ prefetch: this.#expected }, () => undefined);
    this.#expected = [];
    const output = keepOutput(child);
    child.once('exit', (code, signal) => {
      log.write('warning', 'embedded engine ended', { pid: child.pid ?? null, code, signal });
      this.#forget(child);
      if (!this.#closed) onChange();
    });
    try {
      this.#known = { ...(await firstWord(child, output, startTimeoutMs)), token };
      log.write('info', 'embedded engine started', { pid: this.#known.pid, url: this.#known.url });
      onChange();
      return this.#known;
    } catch (error) {
      log.failure('embedded engine could not start', error);
      this.#forget(child);
      child.kill('SIGKILL');
      throw error;
    }
  }

  #forget(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#running = undefined;
    this.#known = null;
  }
}

function firstWord(
  child: ChildProcess,
  output: () => string,
  timeoutMs: number,
): Promise<Pick<RunningServer, 'url' | 'pid'>> {
  return new Promise((resolve, reject) => {
    const fail = (error: CwmError): void => {
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new CwmError('EngineTimeout', `The embedded model server did not start within ${timeoutMs / 1000} s.`));
    }, timeoutMs);
    child.once('error', (cause) =>
      fail(new CwmError('EngineUnavailable', 'The embedded model server cannot be run.', { cause })),
    );
    child.once('exit', (code, signal) => {
      const how = signal ?? `status ${code}`;
      fail(
        new CwmError(
          'EngineUnavailable',
          `The embedded model server ended with ${how} before it was ready. ${lastLine(output())}`.trim(),
          {
            hint: 'The log of the backend has what it wrote.',
          },
        ),
      );
    });
    child.on('message', (message) => {
      const ready = readySchema.safeParse(message);
      const refusal = refusalSchema.safeParse(message);
      if (ready.success) {
        clearTimeout(timer);
        resolve({ url: ready.data.url, pid: ready.data.pid });
      } else if (refusal.success) fail(refused(refusal.data.error));
    });
  });
}

function refused({ code, message, hint }: z.infer<typeof refusalSchema>['error']): CwmError {
  return new CwmError(errorNameOf(code) ?? 'EngineUnavailable', message, hint === undefined ? {} : { hint });
}

/** Passes the child's stderr on to this process' own, which is the log, and remembers its end. */
function keepOutput(child: ChildProcess): () => string {
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    kept = (kept + text).slice(-keptOutput);
  });
  return () => kept;
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.slice(0, 300) ?? '';

async function endChild(child: ChildProcess, endTimeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
  await exited;
  clearTimeout(timer);
}
