import { CwmError } from '../../protocol/errors.ts';
import {
  parseDescription,
  parseSessionId,
  parseTags,
  parseWindowName,
  type SessionId,
  type WindowName,
} from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { ContextTokens, Session } from '../../protocol/schemas/session.ts';
import type { RouteInput } from '../../protocol/api.ts';
import type { Progress, Reporter } from '../ports/reporter.ts';
import type { CoreContext } from '../context.ts';
import { familyOf } from '../ports/lineages.ts';
import { storeReceipt } from './storeReceipt.ts';
import { moveLifecycle, requireOpen } from '../lifecycle.ts';
import { rememberKv } from '../space/roomToWrite.ts';
import type { Hold } from '../space/blocksInUse.ts';
import { requireSession } from '../session.ts';
import { withSummary } from './receipts.ts';
import { sealSession } from './sealSession.ts';
import { advance, isAtRest, isPaused, settled } from '../turns/machine.ts';

interface Wanted {
  readonly operation: 'freeze' | 'checkpoint';
  readonly session: SessionId;
  readonly name: WindowName;
  readonly description: string;
  readonly tags: string[];
  readonly engine: string | undefined;
  readonly recompute: boolean;
  readonly startedMs: number;
  readonly progress: Progress;
}

/**
 * Makes a window of a session. `freeze` ends the session's turn-taking until a thaw, `checkpoint` leaves it running. A
 * failure before the window is written changes nothing except KV blocks, which are only cache.
 *
 * @throws CwmError InvalidSessionId, InvalidWindowName, InvalidParameter (bad ids, nothing to freeze), SessionNotFound, InvalidTransition (a turn is under way), AlreadyFrozen (frozen already),
 * WindowExists (name taken), StorageFull (no room: nothing was written), ModelMismatch (another model is served), Exhausted (too many windows), and those of
 * the engine and the store.
 */
export async function freeze(
  core: CoreContext,
  input: RouteInput<'freeze'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<Receipt> {
  const wanted: Wanted = {
    operation: input.checkpoint ? 'checkpoint' : 'freeze',
    session: parseSessionId(input.session),
    name: parseWindowName(input.window),
    description: parseDescription(input.description ?? ''),
    tags: parseTags(input.tags ?? []),
    engine: input.engine,
    recompute: input.recompute === true,
    startedMs: core.clock.elapsedMs(),
    progress,
  };
  const { windows, inUse } = core.space;
  const { session } = await requireFreezable(core, wanted.session);
  if (core.turns.isBusy(wanted.session) && !isAtRest(session)) {
    throw new CwmError('InvalidTransition', `Session "${session.id}" is in the middle of a turn (${session.phase}).`);
  }
  const freezeAlone = (limitNotes: readonly string[]): Promise<Receipt> =>
    core.kvRecords.run(
      familyOf(session.lineage),
      () => inUse.during((hold) => freezeNow(core, wanted, { limitNotes, hold }, signal)),
      signal,
    );
  return core.turns.run(wanted.session, () => windows.take(freezeAlone), signal);
}

async function freezeNow(
  core: CoreContext,
  wanted: Wanted,
  { limitNotes, hold }: { readonly limitNotes: readonly string[]; readonly hold: Hold },
  signal: AbortSignal,
): Promise<Receipt> {
  const { operation, name, description, tags, progress } = wanted;
  const { session, tokens } = await requireFreezable(core, wanted.session);
  if (await core.store.windows.get(name))
    throw new CwmError('WindowExists', `A window named "${name}" exists already.`);
  const engineSpec = wanted.engine ?? session.engine;
  if (wanted.recompute) await giveUpKv(core, session);
  const sealed = await sealSession(
    core,
    { session, tokens, engineSpec, doing: `To ${operation} session "${session.id}"`, progress, hold },
    signal,
  );
  signal.throwIfAborted();

  progress('Writing the window');
  const at = core.clock.now().toISOString();
  await core.store.windows.create(
    {
      formatVersion: 1,
      name,
      description,
      tags,
      mode: operation,
      ...sealed.manifest,
      createdAt: at,
    },
    sealed.ids,
    sealed.kv,
  );
  if (operation === 'freeze') await endTurns(core, session, name, at);
  const receipt = withSummary({
    operation,
    session: session.id,
    window: name,
    ...sealed.fields,
    notes: [...sealed.fields.notes, ...limitNotes, ...rememberKv(core.space, engineSpec, sealed.kv)],
    ms: core.clock.elapsedMs() - wanted.startedMs,
    expectedPrefillMs: core.prefill.expectedMs(engineSpec, sealed.ids.length),
    at,
  });
  return storeReceipt(core, name, receipt);
}

/** Nothing that is under the salt until now is found under the next one: the engine computes the context. */
async function giveUpKv({ store }: CoreContext, session: Session): Promise<void> {
  const { id, generation } = await store.lineages.get(session.lineage);
  await store.lineages.advance(id, generation);
}

/** Deletes the window again when the session cannot be frozen, so that a retry finds the state of before. */
async function endTurns(core: CoreContext, session: Session, window: WindowName, at: string): Promise<void> {
  try {
    await core.store.sessions.update({
      ...advance(settled(session), 'freeze'),
      lifecycle: moveLifecycle(session.lifecycle, 'frozen'),
      frozenAs: window,
      updatedAt: at,
      version: session.version + 1,
    });
  } catch (error) {
    await core.store.windows.delete(window);
    throw error;
  }
}

async function requireFreezable(
  core: CoreContext,
  id: SessionId,
): Promise<{ session: Session; tokens: ContextTokens }> {
  const session = await requireSession(core, id);
  requireOpen(session, core.clock.now());
  if (isPaused(session)) {
    throw new CwmError('InvalidTransition', `Session "${id}" waits for your decision about tool calls.`);
  }
  if (!session.tokens) {
    throw new CwmError('InvalidParameter', `Session "${id}" has no context yet: there is nothing to freeze.`, {
      hint:
        session.draft === null
          ? 'Prime it with files or send a message first.'
          : 'Its message has no answer yet. Send it again once the model server answers.',
    });
  }
  return { session, tokens: session.tokens };
}
