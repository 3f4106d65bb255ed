import { CwmError, isCwmError, nullOn } from '../../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../../protocol/schemas/window.ts';
import type { CoreContext } from '../../context.ts';
import { requireWindow } from '../windows.ts';

/** What a thaw opens. */
export interface FoundWindow {
  readonly manifest: WindowManifest;
  /** Set where the manifest is damaged and one made of the session stands in its place: what the receipt says of it. */
  readonly damage: string | null;
}

/**
 * The window's manifest. Where it is damaged, its session still has the text: as it is, if this window froze it, else up to the
 * window's time.
 *
 * @throws CwmError WindowNotFound; Corrupted when the session cannot be read either: its message and hint name the other windows and the
 *   recovery points that still have the conversation.
 */
export async function findWindow(core: CoreContext, name: WindowName): Promise<FoundWindow> {
  try {
    return { manifest: await requireWindow(core, name), damage: null };
  } catch (error) {
    if (!isCwmError(error, 'Corrupted')) throw error;
    const found = await reachable(core, name);
    if (found === null) throw error;
    const manifest = found.record && (await manifestOfSession(core, name, found.record, found.at));
    if (manifest) return { manifest, damage: damageInWords(manifest, found) };
    throw new CwmError('Corrupted', [error.message, ...found.facts].join(' '), {
      cause: error,
      hint: `${found.advice} "cwm verify" names the damaged file.`,
      context: { session: found.session },
    });
  }
}

async function manifestOfSession(
  core: CoreContext,
  name: WindowName,
  session: Session,
  at: string | null,
): Promise<WindowManifest | null> {
  const { model } = session;
  const head = session.branches[session.activeBranch]?.head ?? null;
  const ids = await nullOn(core.store.messages.chain(session.id, head), 'Corrupted');
  if (ids === null || model === null) return null;
  const isItsOwn = at === null || session.frozenAs === name;
  const messages = isItsOwn ? [] : await core.store.messages.loadOrStandIns(session.id, ids);
  const length = isItsOwn ? ids.length : messages.findLastIndex(({ createdAt }) => createdAt <= at) + 1;
  if (length === 0) return null;
  return {
    formatVersion: 1,
    name,
    description: '',
    tags: [],
    session: session.id,
    mode: session.frozenAs === name ? 'freeze' : 'checkpoint',
    branch: session.activeBranch,
    messageIds: ids.slice(0, length),
    parentWindow: null,
    project: session.project,
    lineage: session.lineage,
    tokens: { count: 0, sha256: '', source: 'none', promptCount: 0, messageCount: length },
    model,
    ...(session.settings && { settings: session.settings }),
    engine: session.engine,
    createdAt: at ?? session.updatedAt,
  };
}

const damageInWords = ({ session, branch, messageIds, mode }: WindowManifest, { at }: Reachable): string =>
  [
    "The window's manifest is damaged, so its KV cannot be found.",
    `The text is that of branch "${branch}" of session "${session}":`,
    mode === 'freeze' || at === null
      ? `its ${messageIds.length} messages.`
      : `its ${messageIds.length} messages up to ${at}.`,
    '"cwm verify" names the damaged file.',
  ].join(' ');

interface Reachable {
  readonly session: SessionId;
  /** Null: it cannot be read. */
  readonly record: Session | null;
  /** ISO 8601: when the window was made; null: no receipt says it. */
  readonly at: string | null;
  readonly facts: readonly string[];
  readonly advice: string;
}

/** What has the window's conversation besides its manifest; null when nothing names its session. */
async function reachable(core: CoreContext, name: WindowName): Promise<Reachable | null> {
  const origin = await originOf(core, name);
  if (origin === null) return null;
  const { session: id, at } = origin;
  const session = await nullOn(core.store.sessions.get(id), 'Corrupted');
  const windows = await otherWindows(core, id, name);
  const points = session ? (await core.store.states.recoveryPoints(id)).points.length : 0;
  const [window] = windows;
  return {
    session: id,
    record: session,
    at,
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

interface Origin {
  readonly session: SessionId;
  readonly at: string | null;
}

/** Receipts name the session; where there is none, the session that is frozen as this window does. */
async function originOf(core: CoreContext, name: WindowName): Promise<Origin | null> {
  const receipts = (await nullOn(core.store.receipts.list(name), 'Corrupted')) ?? [];
  const made = receipts.find(({ operation }) => operation === 'freeze' || operation === 'checkpoint');
  if (made) return made;
  for (const id of await core.store.sessions.ids()) {
    const session = await nullOn(core.store.sessions.get(id), 'Corrupted', 'UnsupportedSchema');
    if (session?.frozenAs === name || session?.thawedFrom?.window === name) return { session: id, at: null };
  }
  return null;
}

async function otherWindows(core: CoreContext, session: SessionId, name: WindowName): Promise<readonly WindowName[]> {
  const query = { session, sortBy: 'createdAt', order: 'desc', limit: 10, offset: 0 } as const;
  const { items } = await core.store.windows.list(query);
  return items.map((window) => window.name).filter((one) => one !== name);
}
