import type { LastEnd } from '../../../protocol/backendRecord.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';
import { saveInTime, type Unsaved } from '../../kv/saveInTime.ts';
import type { SavingCosts } from './checkpointPolicy.ts';
import { hasCheckpointable } from './rollingCheckpoint.ts';

/**
 * Saves what it can within a time: on all model servers at once, and on each the session first that would have most to compute again.
 *
 * @param ids of sessions that went on since their checkpoint, the last used first.
 * @param save saves one, and stops after `allowedMs`. @returns whether it was stopped.
 * @returns those for which the time was too short, with what that costs.
 */
export async function saveBeforeEnd(
  core: CoreContext,
  ids: readonly SessionId[],
  costs: SavingCosts,
  limitMs: number,
  save: (id: SessionId, allowedMs: number) => Promise<boolean>,
): Promise<LastEnd['unsaved']> {
  const { clock, prefill } = core;
  const unsaved = (await Promise.all(ids.map((id) => whatIsUnsaved(core, id, costs)))).filter((each) => each !== null);
  const late = await saveInTime(unsaved, { clock, limitMs }, save);
  return late
    .flatMap((id) => unsaved.find((each) => each.id === id) ?? [])
    .map(({ id, engine, newTokens }) => ({
      session: id,
      tokens: newTokens,
      computeMs: prefill.expectedMs(engine, newTokens) ?? undefined,
    }));
}

/** Null where there is nothing, or where it may not be saved unasked. */
async function whatIsUnsaved(
  { recording, store }: CoreContext,
  id: SessionId,
  costs: SavingCosts,
): Promise<Unsaved | null> {
  const session = await store.sessions.get(id).catch(() => null);
  if (!session || !hasCheckpointable(session) || (await recording.whyNot(session)) !== null) return null;
  const { engine, tokens } = session;
  const manifest = (await store.checkpoints.get(id).catch(() => null))?.manifest;
  const savedTokens = manifest?.engine === engine ? manifest.tokens.count : 0;
  return { id, engine, newTokens: tokens.count - savedTokens, costMs: costs.expectedMs(engine, tokens.count) };
}
