import { formatCount, formatTokens } from '../../../base/format.ts';
import type { Message, MessageContent } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { excerptOf } from '../../prompt/excerpt.ts';
import { renderConversation, renderPrompt } from '../../prompt/prompt.ts';
import { systemPromptOf } from '../../session.ts';
import { pageIdOf } from '../page.ts';
import type { Remembering } from '../remembering.ts';
import { budgetWithTools, type Budgeting } from '../tools.ts';
import { countPrompt, mostTokens, pictureTokens } from './count.ts';
import { layoutOf, sealedCount, shownOf } from './layout.ts';
import { segmentTokensOf } from './seal.ts';

/** Shares of the room left in a turn: what a message may take whole, and what one that takes more is shown of. */
const wholeShare = 0.75;
const excerptShare = 0.5;
/** Of a text in a prompt, whatever the model's limit. */
const mostCharacters = 64 * 1024;
/** Texts of fewer bytes are no longer than the sentence that would stand for them. */
const fewestBytes = 400;

interface Fitting extends Budgeting {
  /** Messages of the same kind that come behind it in the same request, and need room, too. */
  readonly following: number;
}

/** A message as it enters the conversation, and what the user is told. */
export interface Fitted {
  readonly message: Message;
  /** Null: prompts have all of it. */
  readonly note: string | null;
}

/**
 * The message with an excerpt for prompts where its text would leave the turn no room: what the turn has so far, the answer, the tools and
 * what stands in front can leave no prompt. The text stays whole, as a page that the model can read on in.
 *
 * @param message a new one, behind the messages of the turn.
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function fitMessage(
  core: CoreContext,
  turn: Remembering,
  message: Message,
  { following, ...asking }: Fitting,
  signal: AbortSignal,
): Promise<Fitted> {
  const { content } = message;
  if (!turn.session.settings?.memory?.enableVm || !isText(content)) return { message, note: null };
  const { text } = content;
  if (mostTokens([{ role: 'user', content: text }]) < fewestBytes) return { message, note: null };
  const { budget, areOffered } = await budgetWithTools(core, turn, asking, signal);
  if (!budget) return withinAnyPrompt(message, areOffered);
  const countAll = (messages: readonly Message[]): Promise<number> =>
    countPrompt(turn.engine, renderConversation(systemPromptOf(turn.session), messages), true, signal);
  const firm = await firmPart(core, turn, message);
  const all = await countAll([...firm.front, ...firm.rounds, ...firm.round]);
  // What the turn did before can leave, once it takes that much.
  const isLong = all > budget.room / 2 && firm.rounds.length > 0;
  const taken = isLong ? Math.max(budget.room / 2, await countAll([...firm.front, ...firm.round])) : all;
  const left = Math.max(0, budget.room - segmentTokensOf(budget) - taken) / (following + 1);
  const count = async (each: Message): Promise<number> => {
    const rendered = renderPrompt([each]);
    return (await countPrompt(turn.engine, rendered, false, signal)) - pictureTokens(rendered);
  };
  const own = await count(message);
  if (own <= left * wholeShare) return withinAnyPrompt(message, areOffered);
  let characters = Math.min(mostCharacters, (text.length * left * excerptShare) / own);
  for (;;) {
    const cut = excerpted(message, content, Math.floor(characters));
    if (characters < 1 || (await count(cut)) <= left * excerptShare)
      return { message: cut, note: noteOf(message, content, formatTokens(own), areOffered) };
    characters = characters < 64 ? 0 : characters * 0.7;
  }
}

/** As {@link fitMessage}, of the messages with which a turn begins. */
export async function fitMessages(
  core: CoreContext,
  turn: Remembering,
  messages: readonly Message[],
  asking: Budgeting,
  signal: AbortSignal,
): Promise<Fitted[]> {
  const fitted: Fitted[] = [];
  for (const [at, message] of messages.entries()) {
    const following = messages.length - at - 1;
    fitted.push(await fitMessage(core, turn, message, { ...asking, following }, signal));
  }
  return fitted;
}

/** The message with an excerpt where its text is too long for any prompt. @param areOffered whether the model can read on in it. */
export function withinAnyPrompt(message: Message, areOffered: boolean): Fitted {
  const { content } = message;
  if (!isText(content) || content.text.length <= mostCharacters) return { message, note: null };
  const size = `${formatCount(content.text.length)} characters`;
  return { message: excerpted(message, content, mostCharacters), note: noteOf(message, content, size, areOffered) };
}

type TextContent = Extract<MessageContent, { readonly type: 'text' | 'tool-result' }>;

const isText = (content: MessageContent): content is TextContent =>
  content.type === 'text' || content.type === 'tool-result';

const excerpted = (message: Message, content: TextContent, characters: number): Message => ({
  ...message,
  content: { ...content, excerpt: excerptOf(content.text, characters) },
});

const noteOf = (message: Message, content: TextContent, size: string, areOffered: boolean): string =>
  `${content.type === 'text' ? 'The message' : `The result of ${content.name}`} takes ${size}, more than the prompt has room for. ` +
  (areOffered
    ? `The model sees its beginning and its end, and can read the rest as page ${pageIdOf(message)}.`
    : 'The model sees its beginning and its end. It is offered no tool with which it could read the rest.');

/** What stands in front of a message in the next prompt, and no eviction of other turns can take out. */
interface FirmPart {
  /** The segments, what the user pinned, and the question of the turn. */
  readonly front: readonly Message[];
  /** What the turn did before. */
  readonly rounds: readonly Message[];
  /** The answer whose calls run, and the results so far. */
  readonly round: readonly Message[];
}

async function firmPart(
  core: CoreContext,
  { session, messages }: Remembering,
  { role }: Pick<Message, 'role'>,
): Promise<FirmPart> {
  const memory = await core.memories.of(session);
  const layout = layoutOf(messages, memory.segments, session.tokens);
  const sealed = sealedCount(layout);
  const isQuestion = ({ role, content }: Message): boolean => role === 'user' && content.type !== 'context';
  const begun = Math.max(sealed, role === 'user' ? messages.length : messages.findLastIndex(isQuestion));
  const calling = Math.max(
    begun,
    messages.findLastIndex(({ content }) => 'calls' in content),
  );
  const pinned = messages.slice(sealed, begun).filter((each) => memory.pinned.has(pageIdOf(each)));
  return {
    front: [...shownOf(messages.slice(0, sealed), layout), ...pinned, ...messages.slice(begun, begun + 1)],
    rounds: messages.slice(begun + 1, calling),
    round: messages.slice(Math.max(begun + 1, calling)),
  };
}
