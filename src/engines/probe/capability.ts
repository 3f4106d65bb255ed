import type { Measurement } from '../../core/ports/engine.ts';
import type { Capability, CapabilityName } from '../../protocol/schemas/capabilities.ts';
import { failureOrThrow } from './tinyRequests.ts';

/** How long the result of a probe holds where folders are part of it, in milliseconds: one may become read-only, or full, at any time. */
export const probeHoldsMs = 60_000;

export const capability = (
  name: CapabilityName,
  state: Capability['state'],
  found: string,
  remedy = '',
): Capability => ({ name, state, found, remedy });

/** Whether the server tokenizes text on request, and the resulting ids. */
export async function tokenizerFound(
  tokenize: () => Promise<readonly number[]>,
  signal: AbortSignal,
): Promise<{ readonly tokenizer: Capability; readonly ids: readonly number[] }> {
  try {
    const ids = await tokenize();
    return { tokenizer: capability('tokenizer', 'yes', '/tokenize answers with token ids.'), ids };
  } catch (error) {
    const { name: failure, message } = failureOrThrow(error, signal);
    return { tokenizer: capability('tokenizer', failure === 'NotAnEngine' ? 'no' : 'unknown', message), ids: [] };
  }
}

/** Whether an answer has log-probabilities that can be read. */
export function canaryFound(
  read: () => Measurement['canary'],
  words: { readonly yes: string; readonly no: string; readonly remedy: string },
  signal: AbortSignal,
): Capability {
  try {
    return read() === null
      ? capability('canary', 'no', words.no, words.remedy)
      : capability('canary', 'yes', words.yes);
  } catch (error) {
    return capability('canary', 'unknown', failureOrThrow(error, signal).message);
  }
}
