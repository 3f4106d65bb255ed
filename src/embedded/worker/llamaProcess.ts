import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type {
  ModelInfo,
  OperationInput,
  OperationName,
  OperationOutput,
  StartFault,
  WorkerConfig,
  WorkerReply,
} from './workerProtocol.ts';

/** The llama.cpp process ended, or was killed because it did not answer in time. Its memory is lost. */
export class WorkerLostError extends Error {
  override readonly name = 'WorkerLostError';
  /** The operation that was running. */
  readonly operation: OperationName;

  constructor(operation: OperationName, message: string) {
    super(message);
    this.operation = operation;
  }
}

/** llama.cpp refused the operation; the process still works. */
export class OperationFailedError extends Error {
  override readonly name = 'OperationFailedError';
  /** Which step of the start failed; null for every other operation. */
  readonly fault: StartFault | null;

  constructor(message: string, fault: StartFault | null = null) {
    super(message);
    this.fault = fault;
  }
}

/** Longest that an operation may take where the caller sets no limit: a batch of a large model on a slow machine. */
const defaultTimeoutMs = 10 * 60_000;

interface Pending {
  readonly name: OperationName;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A loaded model in some process, which may end at any time. */
export interface Llama {
  readonly pid: number;
  /** False once the process is gone; every operation is then refused. */
  readonly isAlive: boolean;
  readonly info: ModelInfo;

  /**
   * @throws WorkerLostError when the process ends first, or does not answer in time and is killed.
   * @throws OperationFailedError when llama.cpp refuses the operation.
   */
  call<Name extends OperationName>(
    name: Name,
    input: OperationInput<Name>,
    timeoutMs?: number,
  ): Promise<OperationOutput<Name>>;

  kill(): void;
}

/** The worker beside this module: TypeScript in a checkout, JavaScript in a bundle. */
const workerPath = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './llamaWorker.ts' : './llamaWorker.js', import.meta.url),
);

/** One llama.cpp process with its model loaded. */
export class LlamaProcess implements Llama {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #endReason: string | null = null;
  #info: ModelInfo | null = null;

  /**
   * @param onEnd called once, when the process is gone for any reason.
   * @param memoryFiles open files that the process gets as numbers 4, 5 and so on. Default: none.
   * @throws OperationFailedError, WorkerLostError when the model cannot be loaded; nothing is left running then.
   */
  static async start(
    config: WorkerConfig,
    onEnd: (reason: string) => void,
    memoryFiles: readonly number[] = [],
  ): Promise<LlamaProcess> {
    const started = new LlamaProcess(onEnd, memoryFiles);
    try {
      started.#info = await started.call('start', config);
    } catch (error) {
      started.kill();
      throw error;
    }
    return started;
  }

  private constructor(onEnd: (reason: string) => void, memoryFiles: readonly number[]) {
    this.#child = fork(workerPath, [], {
      execArgv: [],
      // It serves nobody, so it needs no token. Without the last variable an abort starts a debugger first, for seconds.
      env: { ...process.env, CWM_ENGINE_TOKEN: undefined, GGML_NO_BACKTRACE: '1' },
      serialization: 'advanced',
      // What llama.cpp prints belongs in the log, not between the lines that our own parent reads.
      stdio: ['ignore', 2, 2, 'ipc', ...memoryFiles],
    });
    this.#child.on('message', (reply: WorkerReply) => this.#settle(reply));
    const end = (reason: string): void => {
      if (this.#endReason !== null) return;
      this.#endReason = reason;
      for (const pending of this.#pending.values()) {
        clearTimeout(pending.timer);
        pending.reject(new WorkerLostError(pending.name, reason));
      }
      this.#pending.clear();
      onEnd(reason);
    };
    this.#child.once('error', (error) => end(`The llama.cpp process failed: ${error.message}`));
    this.#child.once('exit', (code, signal) => end(`The llama.cpp process ended with ${signal ?? `status ${code}`}.`));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get isAlive(): boolean {
    return this.#endReason === null;
  }

  get info(): ModelInfo {
    if (!this.#info) throw new Error('The model is not loaded yet.');
    return this.#info;
  }

  call<Name extends OperationName>(
    name: Name,
    input: OperationInput<Name>,
    timeoutMs = defaultTimeoutMs,
  ): Promise<OperationOutput<Name>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#endReason !== null) {
        reject(new WorkerLostError(name, this.#endReason));
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        this.kill();
        reject(new WorkerLostError(name, `llama.cpp did not finish "${name}" within ${timeoutMs} ms and was ended.`));
      }, timeoutMs);
      this.#pending.set(id, {
        name,
        // The reply to an id is the output of the operation that was sent under it.
        resolve: (output) => resolve(output as OperationOutput<Name>),
        reject,
        timer,
      });
      // A failure to send means that the process is going; "exit" then settles the call.
      this.#child.send({ id, name, input }, () => undefined);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #settle(reply: WorkerReply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.ok) pending.resolve(reply.output);
    else pending.reject(new OperationFailedError(reply.message, reply.fault ?? null));
  }
}
