import type { Embedder } from '../../core/ports/search.ts';
import { CwmError, isCwmError, toCwmError } from '../../protocol/errors.ts';
import { parseEngineSpec } from '../../protocol/engineSpec.ts';
import type { Log } from '../process/logFile.ts';
import { engineSpecRules } from './adapters.ts';

/** In place of a server that embeds texts. */
export const noEmbeddings = 'off';

/** @throws CwmError InvalidConfig where the setting is neither `off` nor the URL of a server. */
export function requireEmbeddingsServer(setting: string | null): void {
  if (setting === null || setting === noEmbeddings) return;
  const wrong = (why: string, cause?: unknown): CwmError =>
    new CwmError('InvalidConfig', `The setting --embeddings-server is no server that embeds texts: ${why}`, {
      cause,
      hint: 'Give a URL, URL#model=NAME, or "off".',
    });
  try {
    if (parseEngineSpec(setting, engineSpecRules).kind === 'url') return;
  } catch (error) {
    throw wrong(toCwmError(error).message, error);
  }
  throw wrong('the embedded engine serves no embeddings.');
}

/** Nothing depends on embeddings, so that nobody sees their failures: the log has each kind once, until an answer comes. */
export function loggedEmbedder(embedder: Embedder, server: string, log: Log): Embedder {
  let last: string | null = null;
  const failed = (code: string, message: string): void => {
    if (code !== last) log.write('warning', 'the server of embeddings is not used', { server, code, message });
    last = code;
  };
  return {
    server,
    async embed(texts, as, signal) {
      try {
        const embedded = await embedder.embed(texts, as, signal);
        if (embedded) last = null;
        else failed('none', 'It serves no embeddings.');
        return embedded;
      } catch (error) {
        if (!isCwmError(error, 'Cancelled')) failed(toCwmError(error).code, toCwmError(error).message);
        throw error;
      }
    },
  };
}
