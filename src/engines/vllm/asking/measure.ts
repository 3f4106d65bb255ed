import { noEvidence, type KvContext, type Measurement } from '../../../core/ports/engine.ts';
import type { Complete } from '../chat/canaryAsker.ts';
import type { Completed, ProbeParts } from '../probe.ts';
import { unseen, weighWord } from './belief.ts';
import type { KnownServer } from './knownServer.ts';
import { isLacking } from './lacking.ts';

export interface MeasureParts {
  readonly server: KnownServer;
  readonly complete: Complete;
  /** Called with the request over the whole context, as soon as it was answered. */
  readonly onAsked: (completed: Completed) => void;
  /** Time of the test of the server's claims. */
  readonly probe: ProbeParts;
}

/** Measures the server's reuse of a context, and how it continues the context. */
export async function measureContext(
  { server, complete, onAsked, probe }: MeasureParts,
  context: KvContext,
  signal: AbortSignal,
): Promise<Measurement> {
  const { blockTokens } = server.identity.description;
  try {
    const parts = { complete, blockTokens, label: probe.link.label };
    const { completed, canary, mayHaveRun } = await server.canaries.ask(context, parts);
    onAsked(completed);
    const reuse = await weighWord(server, completed, probe, signal);
    // No answer says nothing about the KV.
    const isOfServer = !completed.reuse.isFromElsewhere && !reuse.isUnannounced;
    return {
      reuse: mayHaveRun && reuse.cachedTokens !== 0 ? unseen(reuse) : reuse,
      canary: isOfServer ? canary : null,
      ...(completed.claims !== undefined && { isAccompanied: true }),
    };
  } catch (error) {
    if (!isLacking(server.identity, error)) throw error;
    return { reuse: noEvidence(context.ids.length), canary: null };
  }
}
