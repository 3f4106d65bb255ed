import { CwmError } from '../protocol/errors.ts';
import type { MessageId, SessionId } from '../protocol/ids.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { SessionSettings } from '../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from './context.ts';

/** @throws CwmError SessionNotFound, Corrupted. */
export async function requireSession({ store }: Pick<CoreContext, 'store'>, id: SessionId): Promise<Session> {
  const session = await store.sessions.get(id);
  if (!session) throw new CwmError('SessionNotFound', `There is no session "${id}".`);
  return session;
}

/** The text of a window's system prompt; null for none. */
export const promptText = ({ settings }: Pick<Session, 'settings'>): string | null =>
  settings?.systemPrompt?.text || null;

/** Settings under which the active branch answers: its own system prompt comes before the session's. */
export function activeSettings({ settings = {}, branches, activeBranch }: Session): SessionSettings {
  const systemPrompt = branches[activeBranch]?.systemPrompt ?? settings.systemPrompt;
  return { ...settings, ...(systemPrompt && { systemPrompt }) };
}

/** The text of the active branch's system prompt; null for none. */
export const systemPromptOf = (session: Session): string | null => promptText({ settings: activeSettings(session) });

/** An engine that a session left so many engines ago is forgotten. */
const mostFormerEngines = 16;

/** The session's next engine. One that it used before is remembered: it may have KV of the session, which a deletion looks for. */
export function nextEngine(
  { engine, formerEngines = [], model }: Pick<Session, 'engine' | 'formerEngines' | 'model'>,
  next: string,
): Pick<Session, 'engine' | 'formerEngines'> {
  // Without a model, no server was asked.
  if (next === engine || model === null) return { engine: next };
  const former = [engine, ...formerEngines].filter((each, at, all) => each !== next && all.indexOf(each) === at);
  return { engine: next, formerEngines: former.slice(0, mostFormerEngines) };
}

/** Ids of the active branch's messages, oldest first. @throws CwmError Corrupted. */
export const activeMessageIds = (
  { store }: Pick<CoreContext, 'store'>,
  { id, branches, activeBranch }: Session,
): Promise<readonly MessageId[]> => store.messages.chain(id, branches[activeBranch]?.head ?? null);
