import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { testProgram } from '../support/testProgram.ts';
import type { ClientReply, ClientTask, Outcome, Picture, Request } from './request.ts';

const entry = testProgram('soakClient');

/** Every round starts backends: what V8 compiled for the first is kept for the others. */
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/soak', import.meta.url));
const environment = { NODE_COMPILE_CACHE: compileCache, ...process.env };

/** A client of the backend in a process of its own, which may be killed and started again. */
export class ClientProcess {
  readonly kind: string;
  readonly #storage: string;
  #child: ChildProcess;
  /** Who waits for an answer of this child. */
  #waiting = new Map<number, (outcome: Outcome) => void>();
  #count = 0;
  #isLost = false;

  constructor(storage: string, kind: string) {
    this.kind = kind;
    this.#storage = storage;
    this.#child = this.#start();
  }

  /** It has ended, and nobody killed it. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Never rejects: that the process was killed is `unknown`. */
  ask(request: Request): Promise<Outcome> {
    return this.#tell({ id: ++this.#count, request });
  }

  /** What it shows; null when it follows no signals, or was killed. */
  async look(): Promise<Picture | null> {
    const outcome = await this.#tell({ id: ++this.#count, look: true });
    if (outcome.kind === 'refused') throw new Error(`A client lost its way: ${outcome.report.message}`);
    return outcome.kind === 'done' ? (outcome.output as Picture | null) : null;
  }

  /** `kill -9`, and another one in its place. */
  replace(): void {
    this.#child.kill('SIGKILL');
    this.#child = this.#start();
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #tell(task: ClientTask): Promise<Outcome> {
    const waiting = this.#waiting;
    return new Promise((resolve) => {
      waiting.set(task.id, resolve);
      this.#child.send(task, (error) => {
        if (error) answer(waiting, task.id, { kind: 'unknown' });
      });
    });
  }

  #start(): ChildProcess {
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
    const child = fork(entry, [this.#storage, this.kind], { env: environment, stdio: [...stdio] });
    const waiting = new Map<number, (outcome: Outcome) => void>();
    this.#waiting = waiting;
    child.on('message', ({ id, outcome }: ClientReply) => answer(waiting, id, outcome));
    child.on('exit', (_, signal) => {
      this.#isLost ||= signal !== 'SIGKILL';
      for (const id of waiting.keys()) answer(waiting, id, { kind: 'unknown' });
    });
    return child;
  }
}

function answer(waiting: Map<number, (outcome: Outcome) => void>, id: number, outcome: Outcome): void {
  waiting.get(id)?.(outcome);
  waiting.delete(id);
}
