import { createInterface } from 'node:readline';
import type { Disposable } from '../../base/disposable.ts';

/** A person who types lines. */
export interface Prompter extends Disposable {
  /** @param prompt is shown where a person types. @returns the next line; null at the end of the input, or with Ctrl-C on an empty line. */
  ask(prompt: string): Promise<string | null>;
  /** Ctrl-C aborts the work and does not end the process. */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** The person at the terminal of this process. What they type is shown on stderr, so that stdout has only answers. */
export function processPrompter(interrupted: AbortSignal): Prompter {
  const { stdin, stderr } = process;
  const isPerson = stdin.isTTY && stderr.isTTY;
  const reader = createInterface({ input: stdin, output: stderr, terminal: isPerson });
  const typed: string[] = [];
  let working: AbortController | undefined;
  let deliver: ((line: string | null) => void) | undefined;
  let hasEnded = false;

  const end = (): void => {
    hasEnded = true;
    deliver?.(null);
  };
  reader.on('line', (line) => (deliver ? deliver(line) : typed.push(line)));
  reader.on('close', end);
  // A terminal in raw mode sends Ctrl-C as a key, not as a signal.
  reader.on('SIGINT', () => {
    if (working) return working.abort();
    if (reader.line === '') return reader.close();
    reader.write(null, { ctrl: true, name: 'e' });
    reader.write(null, { ctrl: true, name: 'u' });
  });
  interrupted.addEventListener('abort', () => reader.close());

  return {
    ask: async (prompt) => {
      const waiting = typed.shift();
      if (waiting !== undefined) return waiting;
      if (hasEnded) return null;
      if (isPerson) {
        reader.setPrompt(prompt);
        reader.prompt();
      }
      return await new Promise((resolve) => {
        deliver = (line) => {
          deliver = undefined;
          resolve(line);
        };
      });
    },
    interruptible: async (work) => {
      working = new AbortController();
      try {
        return await work(AbortSignal.any([interrupted, working.signal]));
      } finally {
        working = undefined;
      }
    },
    dispose: () => reader.close(),
  };
}
