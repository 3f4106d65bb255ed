import { CwmError } from '../protocol/errors.ts';
import {
  parseDescription,
  parseSessionId,
  parseTags,
  parseWindowName,
  type LineageId,
  type SessionId,
  type WindowName,
} from '../protocol/ids.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { ContextTokens, Session } from '../protocol/session.ts';
import type { RouteInput } from '../protocol/api.ts';
import { progressOf } from './changes.ts';
import type { CoreContext } from './context.ts';
import { requireSameModel } from './identity.ts';
import { moveLifecycle } from './lifecycle.ts';
import { saltOf } from './lineage.ts';
import { isAtRest } from './phase.ts';
import type { EngineDescription } from './ports/engine.ts';
import { engineFields, reuseFields, reuseNotes, withSummary } from './receipts.ts';
import { seal, type Sealed } from './seal.ts';
import { sealText } from './textContext.ts';
import { decideVerdict } from './verdict.ts';

/**
 * Makes a window of a session. `freeze` ends the session's turn-taking until a thaw, `checkpoint` leaves it running. Whatever
 * fails before the window is written leaves everything as it was, but for KV blocks, which are only cache.
 *
 * @throws CwmError CWM-1001, 1002, 1003 (bad ids, nothing to freeze), 2001, 3001 (a turn is under way), 3002 (frozen already),
 * 3003 (name taken), 5003 (another model is served), and those of the engine and the store.
 */
export async function freeze(core: CoreContext, input: RouteInput<'freeze'>, signal: AbortSignal): Promise<Receipt> {
  const started = core.clock.elapsedMs();
  const operation = input.checkpoint ? 'checkpoint' : 'freeze';
  const sessionId = parseSessionId(input.session);
  const name = parseWindowName(input.window);
  const description = parseDescription(input.description ?? '');
  const tags = parseTags(input.tags ?? []);
  await requireFreezable(core, sessionId);
  return core.turns.run(
    sessionId,
    async () => {
      const { session, tokens } = await requireFreezable(core, sessionId);
      if (await core.store.getWindow(name)) throw new CwmError('CWM-3003', `A window named "${name}" exists already.`);
      const engineSpec = input.engine ?? session.engine;
      const engine = core.engines.get(engineSpec);
      const progress = progressOf(core.changes, operation, name);
      progress('Asking the engine');
      const engineDescription = await engine.describe(signal);
      requireSameModel(session.model, engineDescription.model);
      const ids = await core.store.loadTokens(sessionId, tokens.sha256);
      const lineage = await core.store.getLineage(session.lineage as LineageId);
      const sealed =
        ids.length === 0
          ? sealText(engineDescription, lineage.generation)
          : await seal(
              {
                engine,
                description: engineDescription,
                context: { ids, salt: saltOf(lineage), handle: null },
                saltGeneration: lineage.generation,
                known: null,
                progress,
              },
              signal,
            );
      signal.throwIfAborted();

      progress('Writing the window');
      const at = core.clock.now().toISOString();
      const branch = session.branches[session.activeBranch];
      await core.store.createWindow(
        {
          formatVersion: 1,
          name,
          description,
          tags,
          session: sessionId,
          mode: operation,
          branch: session.activeBranch,
          messageIds: branch?.messageIds ?? [],
          parentWindow: session.thawedFrom?.window ?? null,
          project: session.project,
          lineage: session.lineage,
          tokens,
          model: engineDescription.model,
          engine: engineSpec,
          createdAt: at,
        },
        ids,
        sealed.kv,
      );
      if (operation === 'freeze') await endTurns(core, session, name, at);
      const receipt = withSummary({
        operation,
        session: sessionId,
        window: name,
        ...sealedFields(sealed, engineDescription, ids.length),
        ms: core.clock.elapsedMs() - started,
        expectedPrefillMs: core.prefill.expectedMs(engineSpec, ids.length),
        at,
      });
      await core.store.appendReceipt(name, receipt);
      core.changes.emit({ type: 'window', window: name });
      core.changes.emit({ type: 'session', session: sessionId });
      return receipt;
    },
    signal,
  );
}

/** If the session can't be frozen, the window goes again: a retry then finds everything as it was. */
async function endTurns(core: CoreContext, session: Session, window: WindowName, at: string): Promise<void> {
  try {
    await core.store.updateSession({
      ...session,
      lifecycle: moveLifecycle(session.lifecycle, 'frozen'),
      frozenAs: window,
      updatedAt: at,
      version: session.version + 1,
    });
  } catch (error) {
    await core.store.deleteWindow(window);
    throw error;
  }
}

async function requireFreezable(
  core: CoreContext,
  id: SessionId,
): Promise<{ session: Session; tokens: ContextTokens }> {
  const session = await core.store.getSession(id);
  if (!session) throw new CwmError('CWM-2001', `There is no session "${id}".`);
  if (session.lifecycle === 'frozen') {
    throw new CwmError('CWM-3002', `Session "${id}" is frozen already, as window "${session.frozenAs}".`);
  }
  if (!isAtRest(session.phase)) {
    throw new CwmError('CWM-3001', `Session "${id}" is in the middle of a turn (${session.phase}).`);
  }
  if (!session.tokens) {
    throw new CwmError('CWM-1003', `Session "${id}" has no context yet: there is nothing to freeze.`, {
      hint: 'Prime it with files or send a message first.',
    });
  }
  return { session, tokens: session.tokens };
}

/** What a seal contributes to its receipt. */
function sealedFields(sealed: Sealed, description: EngineDescription, tokens: number) {
  const { kv, measured } = sealed;
  const onDisk = kv.blocks.length > 0 && sealed.blocksMissing === 0;
  const checksums = kv.blocks.length === 0 ? ('not-run' as const) : ('agreed' as const);
  const canary = kv.canary ? ('agreed' as const) : ('not-run' as const);
  return {
    verdict: decideVerdict({
      reachable: true,
      sameIdentity: true,
      promptTokens: measured.reuse.promptTokens,
      cachedTokens: measured.reuse.cachedTokens,
      blockTokens: description.blockTokens,
      reusedChecksums: checksums,
      canary,
      cachedTokensFrom: measured.reuse.cachedTokensFrom,
      isDamageFound: false,
      isContentOutOfSight: false,
    }),
    tier: onDisk ? ('disk' as const) : measured.reuse.tier,
    tokens,
    ...reuseFields(measured.reuse, description.blockTokens),
    content: {
      checksums,
      canary,
      blocksChecked: kv.blocks.length,
      blocksHashed: kv.blocks.length,
      blocksDamaged: 0,
      blocksMissing: sealed.blocksMissing,
      canaryDifference: sealed.canaryNoise,
      canaryNoise: sealed.canaryNoise,
      why: sealed.blocksUnreachable,
    },
    repair: 'none' as const,
    kvBytes: kv.kvBytes,
    kvBytesWritten: sealed.kvBytesWritten,
    engine: engineFields(description),
    notes: [...sealed.notes, ...reuseNotes(measured.reuse), ...description.notices],
  };
}
