import type { ContextTokens, Message, Session, TokensTaken } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { moveLifecycle } from '../lifecycle.ts';
import { systemKey } from '../prompt/prompt.ts';
import { systemPromptOf } from '../session.ts';
import { advance, type TurnEvent } from './machine.ts';
import { titleAfter } from '../title.ts';
import { updateRecord, type Changed } from './turn.ts';

/** What a turn adds to its session. */
export interface Added {
  /** In order; one that is in the pool already stays as it is. */
  readonly messages: readonly Message[];
  /** Length of the branch then. */
  readonly length: number;
  /** What the engine saw; null leaves the session those that it has. */
  readonly ids: {
    readonly prompt: readonly number[];
    readonly output: readonly number[];
    readonly source: ContextTokens['source'];
    readonly cut?: ContextTokens['cut'] | null;
    readonly media?: boolean;
    readonly segments?: ContextTokens['segments'];
  } | null;
  /** Of the request; left out: it is not known. */
  readonly taken?: TokensTaken;
  readonly events: readonly TurnEvent[];
  readonly changed: Changed;
}

/**
 * Stores what a turn adds: token ids, then messages, then the version of the session that names both. After a failure the session is as
 * before.
 */
export async function storeAnswer(
  core: CoreContext,
  session: Session,
  { messages, length, ids, taken, events, changed }: Added,
): Promise<{ readonly session: Session; readonly messages: readonly Message[] }> {
  const id = session.id;
  const tokens = ids && (await storeTokens(core, session, length, ids));
  const stored = messages.map((message, at) =>
    at === messages.length - 1 ? { ...message, ...(tokens && { context: tokens }), ...(taken && { taken }) } : message,
  );
  await core.store.messages.append(id, stored);
  const branch = session.branches[session.activeBranch];
  const head = messages.at(-1)?.id ?? branch?.head ?? null;
  const next = await updateRecord(core, advance(session, ...events), {
    title: titleAfter(session, messages),
    lifecycle: session.lifecycle === 'thawed' ? moveLifecycle('thawed', 'active') : session.lifecycle,
    branches: { ...session.branches, ...(branch && { [branch.name]: { ...branch, head, length } }) },
    ...(tokens && { tokens }),
    ...changed,
  });
  return { session: next, messages: stored };
}

/** @param messageCount of the branch then. */
export async function storeTokens(
  core: CoreContext,
  session: Session,
  messageCount: number,
  { prompt, output, source, cut, media, segments }: NonNullable<Added['ids']>,
): Promise<ContextTokens> {
  const system = systemPromptOf(session);
  return {
    count: prompt.length + output.length,
    promptCount: prompt.length,
    sha256: await core.store.sessions.saveTokens(session.id, prompt, output),
    source: prompt.length === 0 ? 'none' : source,
    messageCount,
    ...(system !== null && { system: systemKey(system) }),
    ...(cut && { cut }),
    ...(media && { media }),
    ...(segments && { segments }),
  };
}
