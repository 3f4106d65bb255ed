import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError, isCwmError, toCwmError } from '../../../protocol/errors.ts';
import { parseSessionId } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { KvPlace } from '../../ports/engine.ts';
import { saltOf } from '../../ports/lineages.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { hasPictures } from '../../prompt/pictures.ts';
import { renderConversation } from '../../prompt/prompt.ts';
import { activeMessageIds, requireSession, systemPromptOf } from '../../session.ts';
import { requireRoomForKv } from '../../windows/sealSession.ts';

type KvInFile = RouteOutput<'exportKv'>;

/**
 * Writes the KV of a session's conversation behind its text, or says how large it would be. KV that cannot be taken along is no error: the notes
 * say why.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, Corrupted, EngineRejected (no such file), and those of the engine.
 */
export async function exportKv(
  core: CoreContext,
  input: RouteInput<'exportKv'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<KvInFile> {
  const session = await requireSession(core, parseSessionId(input.session));
  if (input.path !== undefined) requireAbsolute(input.path);
  const { tokens } = session;
  if (!tokens || tokens.source === 'none') return none(0, 'No model server has computed this conversation.');
  const engine = core.engines.get(input.engine ?? session.engine);
  const ids = await core.store.sessions.loadTokens(session.id, tokens.sha256);
  const lineage = await core.store.lineages.get(session.lineage);
  if (input.path !== undefined) progress('Writing the KV');
  const packed = await engine.pack?.({ ids, salt: saltOf(lineage), handle: null }, input.path, signal);
  if (!packed) return none(ids.length, onlyEmbedded);
  const notes = packed.tokens === 0 ? ['The engine has no KV of it on its disk.'] : [];
  return { ...packed, total: ids.length, notes };
}

/**
 * Takes the KV of an imported conversation from its file. Whatever is wrong with it leaves the session as it is, computed by its model server as
 * if the file had none; the notes say why. From then on nothing of this session is proven, until a repair or `freeze` with `recompute` gives the KV up.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, InvalidTransition (its KV is this machine's own already), Cancelled.
 */
export function importKv(
  core: CoreContext,
  input: RouteInput<'importKv'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<KvInFile> {
  const id = parseSessionId(input.session);
  requireAbsolute(input.path);
  if (!Number.isSafeInteger(input.offset) || input.offset < 0)
    throw new CwmError('InvalidParameter', '"offset" is no position in a file.');
  return core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      if (session.tokens !== null) {
        throw new CwmError('InvalidTransition', `Session "${id}" has been computed here already.`, {
          hint: 'KV of a file is taken right after the import, before the first message.',
        });
      }
      try {
        progress('Taking the KV from the file');
        return await takeKv(core, session, { ...input, engine: input.engine ?? session.engine }, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isCwmError(error)) throw error;
        const { message, hint } = toCwmError(error);
        return none(0, `The KV was left in the file. ${message} ${hint}`.trim());
      }
    },
    signal,
  );
}

async function takeKv(
  core: CoreContext,
  session: Session,
  { engine: spec, ...place }: KvPlace & { readonly engine: string },
  signal: AbortSignal,
): Promise<KvInFile> {
  const engine = core.engines.get(spec);
  const description = await engine.describe(signal);
  if (description.kind !== 'embedded' || !engine.unpack) return none(0, onlyEmbedded);
  const messages = await core.store.messages.load(session.id, await activeMessageIds(core, session));
  if (hasPictures(messages)) return none(0, 'KV of a conversation with pictures belongs to no token ids.');
  // The ids that this text has here, not those in the file: KV of another text would be named by them.
  const ids = await engine.tokenize(renderConversation(systemPromptOf(session), messages), false, signal);
  // Marked before any of it comes, so that no crash leaves foreign KV that counts as this machine's.
  const marked = await core.store.lineages.markImported(session.lineage);
  let isTaken = false;
  try {
    const context = { ids, salt: saltOf(marked), handle: null };
    const located = await engine.locate(context, signal);
    const parts = { doing: 'To take the KV from the file', spec, description, located };
    await requireRoomForKv(core, parts, signal);
    const taken = await engine.unpack(context, { path: place.path, offset: place.offset }, signal);
    isTaken = taken !== null && taken.tokens > 0;
    return taken ? { ...taken, notes: [...taken.notes], total: ids.length } : none(ids.length, onlyEmbedded);
  } finally {
    // Nothing that came is reached under the next salt, so that all of the session's KV is this machine's own.
    if (!isTaken) await core.store.lineages.advance(marked.id, marked.generation);
  }
}

const onlyEmbedded = 'Only the embedded engine has KV that can be taken to another machine.';

const none = (total: number, note: string): KvInFile => ({ tokens: 0, total, bytes: 0, notes: [note] });

function requireAbsolute(path: string): void {
  if (!/^(?:[/\\]|[A-Za-z]:[/\\])/.test(path))
    throw new CwmError('InvalidParameter', `${JSON.stringify(path.slice(0, 200))} is no absolute path.`);
}
