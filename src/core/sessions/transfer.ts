import { nullOn } from '../../protocol/errors.ts';
import { randomId } from '../../base/hash.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { parseDescription, parseSessionId, type MessageId, type PromptId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { MemorySettings } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { recordsFor } from '../memory/pages/recordsFor.ts';
import { openAiMessages } from '../ports/openAiMessages.ts';
import { renderConversation } from '../prompt/prompt.ts';
import { activeMessageIds, requireSession, systemPromptOf } from '../session.ts';
import { titleAfter } from '../title.ts';
import { type SeenTokens, writeCwindow } from './formats/cwindow.ts';
import { readConversation } from './formats/readConversation.ts';
import type { FileMemory, Said, WholeMessage } from './formats/said.ts';
import { createSession } from './sessions.ts';

const importedPrompt = 'imported' as PromptId;

/**
 * Creates a session of a conversation that another program wrote. Its text alone comes in: the model server computes it with the first
 * message. A crash in between leaves an empty session.
 *
 * @throws CwmError InvalidParameter (no known format, no message), InvalidSessionId, SessionExists, Exhausted.
 */
export async function importConversation(
  core: CoreContext,
  input: RouteInput<'importConversation'>,
): Promise<RouteOutput<'importConversation'>> {
  const {
    format,
    title,
    system,
    said,
    whole = said.map(wholeOf),
    memory,
    notes,
  } = readConversation(input.content, input.format);
  const { content: _content, format: _format, ...given } = input;
  const { notes: ofSession = [], ...created } = await createSession(core, {
    ...given,
    ...(memory && { memory: withKnownPolicy(core, memory.settings) }),
    withoutBase: true,
  });
  const messages = chained(whole, core.clock.now().toISOString());
  await core.store.messages.append(created.id, messages);
  if (memory && memory.records.length > 0) await core.memories.record(created, memory.records);
  const main = created.branches[created.activeBranch]!;
  const named = given.title ?? title;
  const session: Session = {
    ...created,
    title: named === undefined ? titleAfter(created, messages) : parseDescription(shortened(named)),
    ...(system !== null && {
      settings: { ...created.settings, systemPrompt: { id: importedPrompt, text: system } },
    }),
    branches: { ...created.branches, [main.name]: { ...main, head: messages.at(-1)!.id, length: messages.length } },
    updatedAt: core.clock.now().toISOString(),
    version: created.version + 1,
  };
  await core.store.sessions.update(session);
  return { session, format, messages: messages.length, notes: [...ofSession, ...notes] };
}

/** The active branch of a session as a file. @throws CwmError InvalidSessionId, SessionNotFound, Corrupted, MessageNotFound. */
export async function exportConversation(
  core: CoreContext,
  input: RouteInput<'exportConversation'>,
): Promise<RouteOutput<'exportConversation'>> {
  const session = await requireSession(core, parseSessionId(input.session));
  const messages = await core.store.messages.load(session.id, await activeMessageIds(core, session));
  const system = systemPromptOf(session);
  if (input.format === 'cwindow')
    return {
      content: writeCwindow(session, system, messages, {
        seen: await seenTokens(core, session),
        memory: await memoryIn(core, session, messages),
      }),
    };
  const rendered = openAiMessages(renderConversation(system, messages));
  return { content: `${JSON.stringify({ title: session.title, messages: rendered }, null, 2)}\n` };
}

/** Null: the session never had virtual memory. */
async function memoryIn(core: CoreContext, session: Session, messages: readonly Message[]): Promise<FileMemory | null> {
  const { records } = recordsFor(messages, await core.store.memory.load(session.id));
  const settings = session.settings?.memory ?? { enableVm: false };
  return records.length > 0 || settings.enableVm ? { settings, records } : null;
}

/** A policy of another program's core is not known here: then the usual one decides. */
function withKnownPolicy(core: CoreContext, { policy, ...settings }: MemorySettings): MemorySettings {
  return policy !== undefined && core.memoryPlugins.policies.has(policy) ? { ...settings, policy } : settings;
}

/** Null where the model server gave none, or they are damaged: the text is whole without them. */
async function seenTokens(core: CoreContext, { id, tokens }: Session): Promise<SeenTokens | null> {
  if (!tokens || tokens.source === 'none') return null;
  const ids = await nullOn(core.store.sessions.loadTokens(id, tokens.sha256), 'Corrupted');
  return ids && { count: tokens.count, source: tokens.source, ids };
}

const wholeOf = ({ role, text, reasoning, ...when }: Said): WholeMessage => ({
  role,
  content: { type: 'text', text, ...(reasoning !== undefined && { reasoning }) },
  ...when,
});

function chained(said: readonly WholeMessage[], now: string): Message[] {
  const messages: Message[] = [];
  for (const { createdAt = now, id = randomId() as MessageId, ...message } of said) {
    messages.push({
      id,
      parentId: messages.at(-1)?.id ?? null,
      sequence: messages.length + 1,
      ...message,
      createdAt,
    });
  }
  return messages;
}

const longestTitle = 200;
const shortened = (title: string): string => title.toWellFormed().slice(0, longestTitle);
