import { WorkerLostError } from './llamaProcess.ts';

/**
 * Starts processes that try whether llama.cpp takes a state in parts, until one dies as it starts: perhaps of the trial, so that it and all
 * later ones start without.
 *
 * @throws what `start` throws.
 */
export function startsWithTrial<Config, Started>(
  start: (config: Config, triesParts: boolean) => Promise<Started>,
): (config: Config) => Promise<Started> {
  let triesParts = true;
  return async (config) => {
    try {
      return await start(config, triesParts);
    } catch (error) {
      if (!triesParts || !(error instanceof WorkerLostError)) throw error;
      triesParts = false;
      return start(config, triesParts);
    }
  };
}
