import { readableLine } from '../../base/readableText.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { Terminal } from './terminal.ts';

const silentMs = 1000;
const frameMs = 100;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Shows the current step and the elapsed seconds of an operation that takes longer than a second. Clears its line at the end. */
export class ProgressLine implements Disposable {
  readonly #terminal: Terminal;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #step: string;
  #frame = 0;

  constructor(terminal: Terminal, step: string) {
    this.#terminal = terminal;
    this.#step = step;
    this.#timer = setInterval(() => this.#draw(), frameMs);
  }

  show(step: string): void {
    this.#step = readableLine(step);
  }

  dispose(): void {
    clearInterval(this.#timer);
    if (this.#frame > 0) this.#terminal.err('\r\u001b[K');
    this.#frame = 0;
  }

  #draw(): void {
    const elapsedMs = performance.now() - this.#startedMs;
    if (elapsedMs < silentMs) return;
    const frame = frames[this.#frame++ % frames.length] ?? '';
    this.#terminal.err(`\r\u001b[K${frame} ${this.#step} ${Math.floor(elapsedMs / 1000)} s`);
  }
}
