import type { CoreContext } from '../context.ts';
import { saltOf } from '../ports/lineages.ts';
import type { EngineDescription, ReuseEvidence } from '../ports/engine.ts';
import { emptyKv } from './emptyKv.ts';
import { renderConversation } from '../prompt/prompt.ts';
import { promptText } from '../session.ts';
import { uncheckedContent } from '../evidence/contentChecks.ts';
import type { Sealed, SealRequest } from './seal.ts';
import { decideVerdict } from '../evidence/verdict.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import type { Warmed } from './warm.ts';

/*
 * Some servers speak the OpenAI API and give no token ids. Their KV can be neither named nor checked, but their conversations
 * can be stored and opened like any other: from the text.
 */

const noIds = 'This server gives no token ids, so its KV can be neither named nor checked. The text is safe.';

const nothingSeen: ReuseEvidence = {
  promptTokens: 0,
  cachedTokens: null,
  cachedTokensFrom: 'none',
  tier: null,
  timeToFirstTokenMs: null,
  serverIdle: null,
  counters: {},
};

/** The result of a seal without ids: it sent no request and claims nothing. */
export async function sealText(
  description: EngineDescription,
  saltGeneration: number,
  onLocated: SealRequest['onLocated'],
): Promise<Sealed> {
  await onLocated({ reachable: false, why: noIds });
  return {
    kv: emptyKv(saltGeneration, description),
    measured: { reuse: nothingSeen, canary: null },
    canaryNoise: null,
    blocksMissing: 0,
    blocksUnreachable: noIds,
    kvBytesWritten: null,
    notes: [noIds],
  };
}

/** Sends the conversation as text, so that the server computes it, and reports the server's own account of its reuse. */
export async function warmText(core: CoreContext, request: FrozenContext, signal: AbortSignal): Promise<Warmed> {
  const { engine, manifest, kv, progress } = request;
  progress('Measuring');
  const lineage = await core.store.lineages.get(manifest.lineage);
  const messages = await core.store.messages.load(manifest.session, manifest.messageIds);
  const { reuse } = await engine.generate(
    {
      messages: renderConversation(promptText(manifest), messages),
      salt: saltOf(lineage),
      maxTokens: 1,
      temperature: 0,
      addGenerationPrompt: true,
    },
    () => undefined,
    signal,
  );
  return {
    verdict: decideVerdict({
      kind: 'request',
      promptTokens: reuse.promptTokens,
      cachedTokens: reuse.cachedTokens,
      cachedTokensFrom: reuse.cachedTokensFrom,
      // Reuse without names cannot be compared with whole blocks.
      blockTokens: null,
      files: 'whole',
      content: 'unchecked',
      ids: 'worked-out',
    }),
    measured: { reuse, canary: null },
    content: uncheckedContent(noIds),
    repair: 'none',
    kv,
    kvBytesWritten: null,
    notes: [noIds],
  };
}
