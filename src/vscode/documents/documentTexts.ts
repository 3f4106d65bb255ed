import type { RouteOutput } from '../../protocol/api.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import type { Conversations } from './conversations.ts';
import { conversationText } from '../../words/conversationText.ts';
import { windowReceiptsText } from '../render/receiptText.ts';
import { doctorReport } from '../render/doctorReport.ts';
import { statusReport, type AboutBackend } from '../render/statusReport.ts';
import { usageReport } from '../render/usageReport.ts';
import { verificationReport } from '../render/verificationReport.ts';
import type { ViewState } from '../state.ts';
import type { DocumentKind } from './documentUri.ts';
import type { DocumentText } from './documents.ts';

/** The last results of commands whose result is a page to read. */
export interface Reports {
  doctor: RouteOutput<'doctor'> | null;
  /** Of a file of another program. */
  change: { readonly before: string; readonly after: string } | null;
  verification: { readonly result: RouteOutput<'verify'>; readonly window: string | null } | null;
}

/** How each kind of document gets its text. */
export function documentTexts(
  connection: BackendConnection,
  state: ViewState,
  conversations: Conversations,
  reports: Reports,
): Readonly<Record<DocumentKind, DocumentText>> {
  return {
    conversation: (session) => conversations.text(session),
    found: (id) => foundText(connection, id),
    branch: (id) => branchText(connection, id),
    window: (name) => windowText(connection, name),
    receipts: async (window) => windowReceiptsText(await connection.call('getWindow', { window })),
    status: async () => statusReport(state.current, connection.isOpen ? await aboutBackend(connection, state) : null),
    doctor: async () => (reports.doctor === null ? outdated('Doctor') : doctorReport(reports.doctor)),
    verification: async () =>
      reports.verification === null
        ? outdated('Verify')
        : verificationReport(reports.verification.result, reports.verification.window),
    usage: () => usageText(connection),
    change: async (side) =>
      reports.change?.[side.startsWith('after') ? 'after' : 'before'] ?? outdated('Connect a Client…'),
  };
}

/** The tables of tokens: all of the models and clients, and the latest days and largest sessions. */
const tokenTables = [
  { by: 'model' },
  { by: 'source' },
  { by: 'day', limit: 14 },
  { by: 'session', limit: 20 },
] as const;

async function usageText(connection: BackendConnection): Promise<string> {
  const tokens = await Promise.all(tokenTables.map((asked) => connection.call('tokenUsage', asked)));
  return usageReport(await connection.call('usage', {}), tokens, new Date());
}

const messagesAround = 20;

/** The conversation that leads to one message. @param id `SESSION/MESSAGE`. */
async function foundText(connection: BackendConnection, id: string): Promise<string> {
  const [session = '', upTo = ''] = id.split('/');
  const { title } = await connection.call('getSession', { session });
  const first = await connection.call('listMessages', { session, upTo, limit: messagesAround });
  const earlier = Math.max(0, first.total - messagesAround);
  const { items } =
    earlier === 0
      ? first
      : await connection.call('listMessages', { session, upTo, limit: messagesAround, offset: earlier });
  return conversationText({ title, messages: items, earlier, pending: null });
}

/** All of a branch. @param id `SESSION/BRANCH`. */
async function branchText(connection: BackendConnection, id: string): Promise<string> {
  const slash = id.indexOf('/');
  const { id: session, branches } = await connection.call('getSession', { session: id.slice(0, slash) });
  return textUpTo(connection, session, branches[id.slice(slash + 1)]?.head ?? null);
}

/** All of a window. */
async function windowText(connection: BackendConnection, window: string): Promise<string> {
  const { manifest } = await connection.call('getWindow', { window });
  return textUpTo(connection, manifest.session, manifest.messageIds.at(-1) ?? null);
}

const pageSize = 100;

/** The conversation that leads to a message, without a title, so that a comparison shows only what was said. */
async function textUpTo(connection: BackendConnection, session: string, upTo: string | null): Promise<string> {
  const messages: Message[] = [];
  for (let hasMore = upTo !== null; hasMore;) {
    const page = await connection.call('listMessages', {
      session,
      upTo: upTo ?? '',
      limit: pageSize,
      offset: messages.length,
    });
    messages.push(...page.items);
    hasMore = page.hasMore && page.items.length > 0;
  }
  return conversationText({ title: null, messages, earlier: 0, pending: null });
}

async function aboutBackend(connection: BackendConnection, { current }: ViewState): Promise<AboutBackend> {
  const { currentSession } = current;
  const [health, encryption, checkpoint] = await Promise.all([
    connection.call('health', {}),
    connection.call('encryption', {}),
    currentSession.kind === 'session'
      ? connection.call('autoFreezeCheck', { session: currentSession.session.id }).then(({ last }) => last)
      : null,
  ]);
  return { health, encryption, checkpoint };
}

/** VS Code restores the tab after a restart, but the result is gone. */
const outdated = (command: string): string => `Run "Context Windows: ${command}" to see this again.\n`;
