import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface BackendArguments {
  readonly storage: string;
  readonly idleMs: number;
  readonly defaultEngine: string;
  readonly embeddedArgs: readonly string[];
}

const defaultIdleMinutes = 5;

/** @throws Error with a message for people when the arguments are not understood. */
export function parseBackendArguments(args: readonly string[]): BackendArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      storage: { type: 'string' },
      'idle-minutes': { type: 'string' },
      engine: { type: 'string' },
      'embedded-threads': { type: 'string' },
      'embedded-context': { type: 'string' },
    },
  });
  if (values.storage === undefined) throw new Error('--storage DIR is missing.');
  const idleMinutes = Number(values['idle-minutes'] ?? defaultIdleMinutes);
  if (!(idleMinutes >= 0)) throw new Error('--idle-minutes must be a number, 0 for never.');
  const threads = values['embedded-threads'];
  const context = values['embedded-context'];
  return {
    storage: resolve(values.storage),
    idleMs: idleMinutes * 60_000,
    defaultEngine: values.engine ?? 'embedded',
    embeddedArgs: [
      ...(threads === undefined ? [] : ['--threads', threads]),
      ...(context === undefined ? [] : ['--context', context]),
    ],
  };
}
