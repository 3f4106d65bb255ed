import type { ContextTokens } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { saltOf } from '../ports/lineages.ts';
import { noEvidence, type EngineDescription } from '../ports/engine.ts';
import { emptyKv } from './emptyKv.ts';
import { requireSight, saltWithPictures } from '../prompt/pictures.ts';
import { renderConversation } from '../prompt/prompt.ts';
import { promptText } from '../session.ts';
import { uncheckedContent } from '../evidence/contentChecks.ts';
import type { Sealed, SealRequest } from './seal.ts';
import { decideVerdict } from '../evidence/verdict.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import type { Warmed } from './warm.ts';

/*
 * Some servers speak the OpenAI API and give no token ids, and ids do not tell one picture from another. Such KV can be neither named nor
 * checked, but the conversations can be stored and opened like any other: from the text and the pictures.
 */

const noIds = 'This server gives no token ids, so its KV can be neither named nor checked. The text is safe.';

/** Said where ids were not stored on purpose. */
const anyPicture =
  'The conversation has pictures, and token ids are the same for different pictures, so the KV can be neither named nor checked by them. ' +
  'Text and pictures are safe, and the next message sends both.';

const whyWithoutIds = ({ media }: Pick<ContextTokens, 'media'>): string => (media ? anyPicture : noIds);

/** The result of a seal without ids: it sent no request and claims nothing. */
export async function sealText(
  description: EngineDescription,
  tokens: ContextTokens,
  saltGeneration: number,
  onLocated: SealRequest['onLocated'],
): Promise<Sealed> {
  const why = whyWithoutIds(tokens);
  await onLocated({ reachable: false, why });
  return {
    kv: emptyKv(saltGeneration, description),
    measured: { reuse: noEvidence(0), canary: null },
    reusedAtFirst: null,
    canaryNoise: null,
    blocksMissing: 0,
    blocksHashed: 0,
    blocksUnreachable: why,
    kvBytesWritten: null,
    notes: [why],
  };
}

/** Sends the conversation as text, so that the server computes it, and reports the server's own account of its reuse. */
export async function warmText(core: CoreContext, request: FrozenContext, signal: AbortSignal): Promise<Warmed> {
  const { engine, description, manifest, kv, progress } = request;
  const why = whyWithoutIds(manifest.tokens);
  progress('Measuring');
  const lineage = await core.store.lineages.get(manifest.lineage);
  const { session, messageIds, tokens } = manifest;
  const messages = await core.memories.shown(session, await core.store.messages.load(session, messageIds), tokens);
  requireSight(description, messages);
  const { reuse } = await engine.generate(
    {
      messages: renderConversation(promptText(manifest), messages),
      salt: saltWithPictures(saltOf(lineage), messages),
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
      // A server that gives no ids names no blocks either; beside pictures, its own count of tokens can be compared.
      blockTokens: manifest.tokens.media ? description.blockTokens : null,
      files: 'whole',
      content: 'unchecked',
      ids: 'worked-out',
    }),
    measured: { reuse, canary: null },
    content: uncheckedContent(why),
    repair: 'none',
    kv,
    kvBytesWritten: null,
    notes: [why],
  };
}
