import type { RouteInput } from '../../../protocol/api.ts';
import { parseSessionId, parseWindowName, type SessionId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../../context.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { endTurn } from '../../turns/endTurn.ts';
import { generate } from '../../turns/generate.ts';
import { beginTurn, withTurn } from '../../turns/turns.ts';
import { freeze } from '../../windows/freeze.ts';

/**
 * As {@link freeze}. A conversation that no model server has seen, like an imported one, is computed first: its KV is this machine's own.
 *
 * @throws CwmError those of {@link freeze}, ContextTooLong.
 */
export async function freezeComputed(
  core: CoreContext,
  input: RouteInput<'freeze'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<Receipt> {
  const id = parseSessionId(input.session);
  const session = await core.store.sessions.get(id);
  const isUnseen = session?.tokens === null && (session.branches[session.activeBranch]?.length ?? 0) > 0;
  // A taken name is refused before anything is computed.
  const isFree = isUnseen && !(await core.store.windows.get(parseWindowName(input.window)));
  if (isFree) await computeText(core, id, input.engine, signal, reporter);
  return freeze(core, input, signal, reporter);
}

/** Has the engine compute the conversation as it is, so that its token ids are known. */
async function computeText(
  core: CoreContext,
  id: SessionId,
  engine: string | undefined,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<void> {
  await withTurn(core, id, signal, async (session, signal) => {
    const turn = await beginTurn(core, session, engine ?? session.engine, null, signal);
    progress('Computing the conversation');
    const options = { maxTokens: 1, temperature: 0, addGenerationPrompt: false };
    const { generation } = await generate(core, turn, [], options, signal);
    await endTurn(core, turn, { added: [], generation }, signal);
  });
}
