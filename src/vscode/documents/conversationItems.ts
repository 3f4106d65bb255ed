import { formatBytes, formatTokens } from '../../base/format.ts';
import { readableLine, readableText } from '../../base/readableText.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { Question } from '../../protocol/schemas/toolCall.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import { callsHeading, partWords, speakers, unknownText } from '../../words/conversationText.ts';
import { cutSentence } from '../../words/cut.ts';
import { takenSentence } from '../../words/usage.ts';
import { type CommandId, commandTitles } from '../contributions.ts';
import type { Conversation, SaidMessage } from './conversations.ts';
import type { Action, Block, PageItem } from './pageMessages.ts';

/** A piece of a message before its markdown is rendered. */
type SourceBlock = Exclude<Block, { readonly type: 'html' }> | { readonly type: 'markdown'; readonly text: string };
export type SourceItem = Omit<PageItem, 'blocks'> & { readonly blocks: readonly SourceBlock[] };

/** The name of a command on a button. */
export const action = (command: CommandId): Action => ({ command, label: commandTitles[command].replace(/…$/, '') });

/** What the page shows, oldest first: the messages, the windows that end with one of them, and the answer that comes. */
export function conversationItems(
  { messages, inProgress }: Pick<Conversation, 'messages' | 'inProgress'>,
  session: Session,
  windows: readonly WindowSummary[],
): SourceItem[] {
  const takesTurns = session.lifecycle === 'active' || session.lifecycle === 'thawed';
  const isAtRest =
    takesTurns && inProgress === null && (session.phase === 'Idle' || session.phase === 'PermanentFailure');
  const items: SourceItem[] = [];
  for (const [at, message] of messages.entries()) {
    const isLast = at === messages.length - 1 && inProgress === null;
    const place = { isLast, isAtRest, before: messages[at - 1] ?? null, next: messages[at + 1] ?? null };
    items.push(messageItem(message, session, place));
    items.push(...windows.filter(({ lastMessage }) => lastMessage === message.id).map(windowItem));
  }
  if (inProgress) {
    const { text, answer, reasoning } = inProgress;
    if (text !== null)
      items.push({ ...bare, key: 'sent', kind: 'user', heading: speakers.user, blocks: [markdown(text)] });
    const blocks = [...thoughts(reasoning), markdown(answer)];
    items.push({ ...bare, key: 'answer', kind: 'model', heading: speakers.assistant, blocks, isGrowing: true });
  }
  return items;
}

const bare: Omit<SourceItem, 'key' | 'kind' | 'heading' | 'blocks'> = {
  at: '',
  note: '',
  actions: [],
  message: '',
  window: '',
  source: '',
  isGrowing: false,
};

const kinds: Readonly<Record<Message['role'], PageItem['kind']>> = {
  user: 'user',
  assistant: 'model',
  tool: 'tool',
  system: 'system',
};

interface Place {
  readonly isLast: boolean;
  readonly isAtRest: boolean;
  /** The messages around it that are shown. */
  readonly before: SaidMessage | null;
  readonly next: SaidMessage | null;
}

function messageItem(message: SaidMessage, session: Session, { isLast, isAtRest, before, next }: Place): SourceItem {
  const { id, role, content, cut, lost, createdAt, taken, cost } = message;
  const isText = content.type === 'text' && lost === undefined;
  const isPlan = content.type === 'plan';
  const actions: CommandId[] = [];
  if (isAtRest && isText && role === 'user') actions.push('cwm.editMessage');
  if (isAtRest && isLast && isPlan && cut === undefined) actions.push('cwm.acceptPlan');
  // Only a message of the user's can be answered once more, or at all where a branch ends with it.
  const hasQuestion = role === 'assistant' ? before?.role !== 'tool' : isLast && isText && role === 'user';
  if (isAtRest && hasQuestion) actions.push('cwm.regenerate');
  if (isAtRest && isLast && cut !== undefined) actions.push('cwm.continueAnswer');
  // No branch ends between a tool call and its result.
  const isEnd = next?.role !== 'tool';
  if (isAtRest && isEnd) actions.push('cwm.newBranch', ...(isLast ? [] : ['cwm.rollBack' as const]));
  return {
    ...bare,
    key: id,
    kind: kinds[role],
    heading: lost === undefined ? headingOf(message) : 'Lost message',
    at: createdAt,
    blocks: blocksOf(message, isLast ? session : null),
    note: [cut === undefined ? '' : cutSentence(cut), taken === undefined ? '' : takenSentence(taken, cost)]
      .filter(Boolean)
      .join(' '),
    actions: actions.map(action),
    message: id,
    source: isText || isPlan ? content.text : '',
  };
}

function headingOf({ role, content }: SaidMessage): string {
  if (content.type === 'tool-calls' || content.type === 'question') return callsHeading(content.type);
  if (content.type === 'tool-result') return `Tool ${readableLine(content.name)} (${content.outcome})`;
  if (content.type === 'plan') return 'Plan';
  if (content.type === 'unknown') return 'Message of an unknown kind';
  return content.type === 'context' ? 'Files added to the context' : speakers[role];
}

/** @param waiting the session that waits with the calls of this message; null: none does. */
function blocksOf({ content }: SaidMessage, waiting: Session | null): SourceBlock[] {
  switch (content.type) {
    case 'text': {
      const pictures = (content.media ?? []).map(({ mediaType, sizeBytes }): SourceBlock =>
        plain(`Picture: ${mediaType.replace('image/', '').toUpperCase()}, ${formatBytes(sizeBytes)}`),
      );
      const parts = (content.parts ?? []).map((part) => plain(partWords(part)));
      return [...pictures, ...parts, ...thoughts(content.reasoning ?? ''), markdown(content.text)];
    }
    case 'context':
      return content.files.map(({ path, text }) =>
        folded(`${readableLine(path)} (${formatBytes(Buffer.byteLength(text))})`, text),
      );
    case 'plan':
      return [...thoughts(content.reasoning ?? ''), markdown(content.text)];
    case 'unknown':
      return [plain(unknownText(content)), folded('Stored message', JSON.stringify(content.whole, null, 2))];
    case 'tool-calls':
    case 'question': {
      const pending = waiting?.phase === 'AwaitingToolApproval' ? (waiting.pendingTools?.calls ?? []) : [];
      const calls = content.calls.map((call): SourceBlock => {
        const asked = pending.find(
          ({ id, why, decision }) => id === call.id && why !== undefined && decision === undefined,
        );
        if (call.question) return questionBlock(call.id, call.question, asked !== undefined);
        const title = readableLine(`${call.name} ${call.arguments}`);
        return asked?.why === undefined ? plain(title) : { type: 'call', call: call.id, title, why: asked.why };
      });
      return [...thoughts(content.reasoning ?? ''), ...(content.text === '' ? [] : [markdown(content.text)]), ...calls];
    }
    case 'tool-result':
      return [folded('Result', content.text)];
  }
}

const questionBlock = (call: string, { text, choices = [] }: Question, isAsked: boolean): SourceBlock => ({
  type: 'question',
  call: isAsked ? call : '',
  text: readableText(text),
  choices: choices.map(readableLine),
});

const markdown = (text: string): SourceBlock => ({ type: 'markdown', text: readableText(text) });
const plain = (text: string): SourceBlock => ({ type: 'plain', text });
const folded = (summary: string, text: string): SourceBlock => ({ type: 'folded', summary, text: readableText(text) });
const thoughts = (reasoning: string): SourceBlock[] => (reasoning === '' ? [] : [folded('Reasoning', reasoning)]);

const madeWords = { freeze: 'Frozen as', checkpoint: 'Checkpoint', clone: 'Clone' } as const;

const windowItem = ({ name, mode, tokens, lastThaw, createdAt }: WindowSummary): SourceItem => ({
  ...bare,
  key: `window:${name}`,
  kind: 'window',
  heading: `${madeWords[mode]} ${name}`,
  at: createdAt,
  blocks: [],
  note: [formatTokens(tokens), ...(lastThaw ? [`last thaw: ${readableLine(lastThaw.verdict)}`] : [])].join(' · '),
  actions: (['cwm.showReceipt', 'cwm.thaw', 'cwm.compare'] as const).map(action),
  window: name,
});
