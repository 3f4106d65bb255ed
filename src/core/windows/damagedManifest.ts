import { CwmError, isCwmError, nullOn } from '../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../protocol/schemas/window.ts';
import type { CoreContext } from '../context.ts';
import { requireWindow } from './windows.ts';

/**
 * The window's manifest.
 *
 * @throws CwmError WindowNotFound; Corrupted when it is damaged: its message and hint name the session, the other windows and the
 *   recovery points that still have the conversation.
 */
export async function requireManifest(core: CoreContext, name: WindowName): Promise<WindowManifest> {
  try {
    return await requireWindow(core, name);
  } catch (error) {
    if (!isCwmError(error, 'Corrupted')) throw error;
    const found = await reachable(core, name);
    if (found === null) throw error;
    throw new CwmError('Corrupted', [error.message, ...found.facts].join(' '), {
      cause: error,
      hint: `${found.advice} "cwm verify" names the damaged file.`,
      context: { session: found.session },
    });
  }
}

interface Reachable {
  readonly session: SessionId;
  readonly facts: readonly string[];
  readonly advice: string;
}

/** What has the window's conversation besides its manifest; null when nothing names its session. */
async function reachable(core: CoreContext, name: WindowName): Promise<Reachable | null> {
  const id = await sessionOf(core, name);
  if (id === null) return null;
  const session = await nullOn(core.store.sessions.get(id), 'Corrupted');
  const windows = await otherWindows(core, id, name);
  const points = session ? (await core.store.states.recoveryPoints(id)).points.length : 0;
  const [window] = windows;
  return {
    session: id,
    facts: [
      session
        ? `Its conversation is in session "${id}".`
        : `It belongs to session "${id}", whose record cannot be read.`,
      ...(window === undefined
        ? []
        : [`Other windows of that session: ${windows.map((one) => `"${one}"`).join(', ')}.`]),
      ...(points === 0 ? [] : [`Recovery points of that session: ${points}.`]),
    ],
    advice: adviceFor(id, session, window),
  };
}

function adviceFor(id: SessionId, session: Session | null, window: WindowName | undefined): string {
  const thaw = window === undefined ? null : `thaw window "${window}"`;
  if (session && session.lifecycle !== 'frozen') return `Continue in session "${id}"${thaw ? `, or ${thaw}` : ''}.`;
  if (thaw !== null) return `To continue, ${thaw}.`;
  return session
    ? `Read the conversation in session "${id}"; a branch or a recovery point of it can be continued.`
    : `Run "cwm verify --repair", which writes another record of session "${id}" from its messages.`;
}

/** Receipts name the session; where there is none, the session that is frozen as this window does. */
async function sessionOf(core: CoreContext, name: WindowName): Promise<SessionId | null> {
  const receipts = (await nullOn(core.store.receipts.list(name), 'Corrupted')) ?? [];
  const made = receipts.find(({ operation }) => operation === 'freeze' || operation === 'checkpoint');
  if (made) return made.session;
  for (const id of await core.store.sessions.ids()) {
    const session = await nullOn(core.store.sessions.get(id), 'Corrupted', 'UnsupportedSchema');
    if (session?.frozenAs === name || session?.thawedFrom?.window === name) return id;
  }
  return null;
}

async function otherWindows(core: CoreContext, session: SessionId, name: WindowName): Promise<readonly WindowName[]> {
  const query = { session, sortBy: 'createdAt', order: 'desc', limit: 10, offset: 0 } as const;
  const { items } = await core.store.windows.list(query);
  return items.map((window) => window.name).filter((one) => one !== name);
}
