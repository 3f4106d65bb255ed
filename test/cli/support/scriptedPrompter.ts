import type { Prompter } from '../../../src/cli/terminal/prompter.ts';

/** A person whose lines are known beforehand. */
export interface ScriptedPrompter extends Prompter {
  pressCtrlC(): void;
}

export function linesOf(lines: readonly string[]): ScriptedPrompter {
  const left = [...lines];
  let working: AbortController | undefined;
  return {
    ask: async () => left.shift() ?? null,
    interruptible: async (work) => {
      working = new AbortController();
      try {
        return await work(working.signal);
      } finally {
        working = undefined;
      }
    },
    pressCtrlC: () => working?.abort(),
    dispose: () => undefined,
  };
}
