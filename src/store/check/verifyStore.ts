import { isDeepStrictEqual } from 'node:util';
import type { OnChecked } from '../../core/ports/check.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { VerifyStep } from '../../protocol/schemas/health.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../protocol/schemas/window.ts';
import type { AuditLog } from '../audit/auditLog.ts';
import { differsFromFiles } from '../index/indexDifference.ts';
import type { IndexSource } from '../index/indexSource.ts';
import type { LiveIndex } from '../index/liveIndex.ts';
import type { LineageFiles } from '../records/lineageFiles.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';
import type { StateFiles } from '../states/stateFiles.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { WindowFiles } from '../records/windowFiles.ts';

export interface VerifiedStore {
  readonly parts: StoreDisk;
  readonly sessions: SessionFiles;
  readonly windows: WindowFiles;
  readonly lineages: LineageFiles;
  readonly states: StateFiles;
  readonly source: IndexSource;
  readonly index: LiveIndex;
  readonly audit: AuditLog;
}

/** Reads everything once and says what is wrong, in plain words. Changes nothing. */
export function verifyStore(store: VerifiedStore, onChecked: OnChecked, signal: AbortSignal): Promise<VerifyStep[]> {
  return store.parts.quarantine.withoutMoving(() => checkStore(store, onChecked, signal));
}

/** The same, and sets damaged files aside. Records that are created or deleted during the check are no problem. */
export async function checkStore(
  store: VerifiedStore,
  onChecked: OnChecked,
  signal: AbortSignal,
): Promise<VerifyStep[]> {
  const sessions = new Map<SessionId, Session>();
  const windows = new Map<string, WindowManifest>();
  const each = makeEach(onChecked, signal);
  return [
    await setAsideBefore(store),
    await sessionRecords(store, sessions, each),
    await messagePools(store, sessions, each),
    await statesOfSessions(store, sessions, each),
    await windowRecords(store, windows, each),
    await windowContents(store, windows, each),
    await usedLineages(store, sessions, windows, each),
    await windowSessions(store, windows, each),
    await auditChain(store, signal),
    await indexRows(store, signal),
  ];
}

async function setAsideBefore({ parts }: VerifiedStore): Promise<VerifyStep> {
  const names = await parts.files.list(parts.layout.quarantine);
  const problems = names
    .sort()
    .map((name) => `quarantine/${name} was damaged and set aside; delete it when nobody needs it.`);
  return { step: 'damaged files set aside', checked: names.length, problems };
}

async function sessionRecords(
  { sessions, source }: VerifiedStore,
  found: Map<SessionId, Session>,
  each: Each,
): Promise<VerifyStep> {
  return each('session records and token ids', await source.sessionIds(), (id) =>
    // Read together, because a turn that ends replaces both.
    sessions.exclusively(id, async () => {
      const session = await sessions.get(id, true);
      if (!session) return;
      found.set(id, session);
      if (session.tokens) await sessions.loadTokensNow(id, session.tokens.sha256, true);
      for (const { tokens } of Object.values(session.branches)) {
        if (tokens) await sessions.loadTokensNow(id, tokens.sha256, true);
      }
    }),
  );
}

async function messagePools(
  { sessions }: VerifiedStore,
  found: ReadonlyMap<SessionId, Session>,
  each: Each,
): Promise<VerifyStep> {
  return each('messages', [...found.values()], async (session, report) => {
    const heads = Object.values(session.branches).flatMap(({ head }) => (head === null ? [] : [head]));
    const problems = await sessions.verifyMessages(session.id, heads);
    if (problems.length > 0 && (await sessions.get(session.id)) === null) return;
    for (const problem of problems) report(problem);
  });
}

async function statesOfSessions(
  { states }: VerifiedStore,
  found: ReadonlyMap<SessionId, Session>,
  each: Each,
): Promise<VerifyStep> {
  return each('states and recovery points', [...found.keys()], async (id, report) => {
    for (const problem of await states.verify(id)) report(problem);
  });
}

async function windowRecords(
  { windows, source }: VerifiedStore,
  found: Map<string, WindowManifest>,
  each: Each,
): Promise<VerifyStep> {
  return each('window manifests', await source.windowNames(), async (name) => {
    const manifest = await windows.get(name);
    if (manifest) found.set(name, manifest);
  });
}

async function windowContents(
  { windows, source }: VerifiedStore,
  found: ReadonlyMap<string, WindowManifest>,
  each: Each,
): Promise<VerifyStep> {
  const names = (await source.windowNames()).filter((name) => found.has(name));
  return each('window token ids, KV records and receipts', names, async (name, report) => {
    const ids = await windows.loadTokens(name);
    const manifest = found.get(name);
    if (manifest && manifest.tokens.count !== ids.length && (await isStillThere(windows, manifest))) {
      report(`Window "${name}" has ${ids.length} token ids; its manifest says ${manifest.tokens.count}.`);
    }
    await windows.loadKv(name);
    const damaged = await windows.damagedReceipts(name);
    if (damaged > 0) report(`Damaged receipts of window "${name}": ${damaged}.`);
  });
}

async function usedLineages(
  { lineages }: VerifiedStore,
  foundSessions: ReadonlyMap<SessionId, Session>,
  foundWindows: ReadonlyMap<string, WindowManifest>,
  each: Each,
): Promise<VerifyStep> {
  const used = [...foundSessions.values(), ...foundWindows.values()].map((owner) => owner.lineage);
  return each('lineages of sessions and windows', [...new Set(used)], async (lineage) => {
    await lineages.get(lineage);
  });
}

/** A window without its session could be listed and never thawed. */
async function windowSessions(
  { sessions, windows, source }: VerifiedStore,
  found: ReadonlyMap<string, WindowManifest>,
  each: Each,
): Promise<VerifyStep> {
  const sessionIds = new Set<string>(await source.sessionIds());
  const pools = new Map<string, ReadonlySet<string>>();
  return each('sessions and messages of windows', [...found.values()], async (window, report) => {
    if (!sessionIds.has(window.session)) {
      if (await isStillThere(windows, window))
        report(`Window "${window.name}" belongs to session "${window.session}", which does not exist.`);
      return;
    }
    const stored = pools.get(window.session) ?? new Set(await sessions.storedMessages(window.session));
    pools.set(window.session, stored);
    const missing = window.messageIds.filter((id) => !stored.has(id)).length;
    if (missing > 0 && (await isStillThere(windows, window)))
      report(`Messages that window "${window.name}" needs and its session does not have: ${missing}.`);
  });
}

/**
 * The window may have been deleted during the check, and another one may have its name. A manifest never changes, so the creation time
 * tells.
 */
const isStillThere = async (windows: WindowFiles, window: WindowManifest): Promise<boolean> =>
  isDeepStrictEqual(await windows.get(window.name), window);

async function auditChain({ audit }: VerifiedStore, signal: AbortSignal): Promise<VerifyStep> {
  const { entries, problems } = await audit.verify(signal);
  return {
    step: 'audit log',
    checked: entries,
    problems: problems.map(({ file, line, what }) => `${file}${line > 0 ? ` line ${line}` : ''}: ${what}`),
  };
}

async function indexRows({ index, source }: VerifiedStore, signal: AbortSignal): Promise<VerifyStep> {
  const step = 'index equals files';
  const checked = (await source.sessionIds()).length + (await source.windowNames()).length;
  try {
    const differs = await differsFromFiles(index, signal);
    const problems = differs ? ['The index differs from the files; a repair rebuilds it.'] : [];
    return { step, checked, problems };
  } catch (error) {
    signal.throwIfAborted();
    return { step, checked, problems: [messageOf(error)] };
  }
}

type Each = ReturnType<typeof makeEach>;

/** Items between two reports of progress. */
const reportEvery = 100;

const makeEach =
  (onChecked: OnChecked, signal: AbortSignal) =>
  async <T>(
    step: string,
    items: readonly T[],
    check: (item: T, report: (problem: string) => void) => Promise<void>,
  ): Promise<VerifyStep> => {
    const problems: string[] = [];
    for (const [at, item] of items.entries()) {
      signal.throwIfAborted();
      if (at % reportEvery === 0) onChecked(step, at, items.length);
      try {
        await check(item, (problem) => problems.push(problem));
      } catch (error) {
        // Deleted during the check.
        if (isCwmError(error, 'SessionNotFound', 'WindowNotFound')) continue;
        problems.push(messageOf(error));
      }
    }
    return { step, checked: items.length, problems };
  };

/** @throws an error that is no finding about the store. */
function messageOf(error: unknown): string {
  if (error instanceof CwmError) return error.message;
  if (error instanceof Error && 'code' in error) return error.message;
  throw error;
}
