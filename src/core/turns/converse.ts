import { toCwmError, CwmError } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { PendingTools, ToolCall } from '../../protocol/schemas/toolCall.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { answerNotes } from '../answers/answer.ts';
import type { CoreContext } from '../context.ts';
import type { Generation } from '../ports/engine.ts';
import type { Reporter } from '../ports/reporter.ts';
import type { Tool } from '../ports/tools.ts';
import type { ContinueFrom } from '../../protocol/settings/sessionChoices.ts';
import { fitMessages } from '../memory/segments/fitMessage.ts';
import { boundCalls, type BoundCall } from '../memory/toolState/boundCalls.ts';
import { isMemoryTool } from '../memory/memoryTool.ts';
import { offeredMemoryTools, withMemoryTools } from '../memory/tools.ts';
import { citationNotes } from '../memory/pages/citations.ts';
import { reportTurn } from '../memory/reportTurn.ts';
import { withDraft } from '../prompt/withDraft.ts';
import { gated, isUndecided, whyTooLong } from '../tools/policy.ts';
import { offeredTools, withQuestion } from '../tools/askUser.ts';
import { namedCalls } from '../tools/toolCalls.ts';
import { generate, type Generated, type GenerateOptions } from './generate.ts';
import { endTurn } from './endTurn.ts';
import { runCalls } from './runCalls.ts';
import { sendResult } from './sendResult.ts';
import { endFailedTurn, newMessage, type Turn } from './turn.ts';
import { beginAnswer } from './turns.ts';

/** Another program that leads the conversation. */
export interface Leading {
  /** Its own, in place of the machine's: it runs them, and sends their results. */
  readonly tools: readonly Tool[];
  /** Hears what each request to the model server came to. */
  readonly onAnswer: (generation: Generation) => void;
  /** Of the message that its first request to the model server becomes. */
  readonly answerId: MessageId;
}

export interface Conversing {
  /** Default: nobody else does. */
  readonly client?: Leading | undefined;
  readonly sampling: Pick<GenerateOptions, 'maxTokens' | 'temperature' | 'topP' | 'stop' | 'seed'>;
  readonly continueFrom: ContinueFrom | undefined;
  /** Of the first answer; after it, the model decides. Default `auto`. */
  readonly toolChoice?: string | undefined;
  readonly reporter: Reporter;
}

/** Where a conversation stands. */
export interface Standing {
  /** Messages that the model has not answered: the user's, or none behind results of tools. */
  readonly added: readonly Message[];
  /** They are stored already. */
  readonly inPool: boolean;
  /** Rounds of tool calls since the user's last message, the next one included. */
  readonly round: number;
}

/**
 * Has the model answer. When it calls tools, they run and the model gets their results, again and again, until it calls none or the user must
 * decide: the result says which. Where another program leads, nobody decides: after too many rounds of its own the model is asked once more
 * without tools, and that is the answer.
 */
export async function converse(
  core: CoreContext,
  turn: Turn,
  from: Standing,
  conversing: Conversing,
  signal: AbortSignal,
): Promise<SendResult> {
  // What the prompt before it takes is no loop.
  let firstCallMs: number | null = null;
  const loopMs = (): number => (firstCallMs === null ? 0 : core.clock.elapsedMs() - firstCallMs);
  let { added, inPool, round } = from;
  const toolNotes: string[] = [];
  for (;;) {
    const toolChoice = round === from.round ? conversing.toolChoice : undefined;
    const { client } = conversing;
    const whyLast = client ? whyTooLong({ round: round - from.round + 1, elapsedMs: loopMs() }) : null;
    const found =
      whyLast === null
        ? await toolsOf(core, turn, { added, inPool, toolChoice, conversing }, signal).catch(async (error: unknown) => {
            await endFailedTurn(core, turn, error);
            throw turn.session.draft === null ? error : withDraft(error, added);
          })
        : { tools: [], notes: [`${whyLast} The last answer was made without tools.`], added };
    added = found.added;
    toolNotes.push(...found.notes.filter((note) => !toolNotes.includes(note)));
    const { blank, generated: answered } = await answerOnce(
      core,
      turn,
      { added, inPool, tools: found.tools, toolChoice, id: round === from.round ? client?.answerId : undefined },
      conversing,
      signal,
    );
    const generated = whyLast === null ? answered : withoutCalls(answered);
    const { generation } = generated;
    const calls = namedCalls(generation.toolCalls ?? []).map((call) => (client ? call : withQuestion(call)));
    if (calls.length > 0) firstCallMs ??= core.clock.elapsedMs();
    const { freeArgumentsNote } = turn.description;
    if (
      freeArgumentsNote !== undefined &&
      calls.length > 0 &&
      !client &&
      (toolChoice ?? 'auto') === 'auto' &&
      !toolNotes.includes(freeArgumentsNote)
    )
      toolNotes.push(freeArgumentsNote);
    const tools = new Map(found.tools.map((tool) => [tool.name, tool]));
    client?.onAnswer(generation);
    const bound =
      client || calls.length === 0
        ? calls.map((call): BoundCall => ({ call }))
        : boundCalls({ session: turn.session, messages: [...turn.messages, ...added] }, calls, tools);
    const gate = {
      settings: turn.session.settings ?? {},
      approved: turn.session.approvedTools ?? [],
      tools,
      free: new Set(found.tools.filter(isMemoryTool).map(({ name }) => name)),
      ...(client && { ofClient: new Set(found.tools.filter((tool) => !isMemoryTool(tool)).map(({ name }) => name)) }),
      refused: new Map(bound.flatMap(({ call, refused }) => (refused === undefined ? [] : [[call.id, refused]]))),
      round,
      elapsedMs: loopMs(),
    };
    const pending: PendingTools | null =
      calls.length === 0
        ? null
        : {
            calls: gated(
              gate,
              bound.map(({ call }) => call),
            ),
            round,
          };
    const event = pending?.calls.some(isUndecided) ? 'needApproval' : 'runTools';
    const message = { ...blank, ...contentOf(blank, generation, calls) };
    const ended = await endTurn(
      core,
      turn,
      { added: [...added, message], generation, calls: pending && { pending, event } },
      signal,
    );
    const memory = await reportTurn(
      core,
      turn,
      { answer: message, generation, added, prefixBreak: ended.prefixBreak },
      signal,
    );
    const taken = pending?.calls.length ?? 0;
    const called = generation.toolCalls?.length ?? 0;
    if (called > taken) toolNotes.push(`Only the first ${taken} of ${called} tool calls of an answer were taken.`);
    const cited = await citationsOf(core, turn, generation.text);
    const notes = [
      ...answerNotes(generation, conversing.sampling.maxTokens, pending !== null),
      ...unknownNotes(turn.shown?.messages ?? turn.messages),
      ...toolNotes,
      ...cited,
    ];
    const result = await sendResult(core, turn, message, generated, { ...ended, memory }, notes);
    if (!pending) return result;
    if (event === 'needApproval') return { ...result, pendingTools: pending };
    const { sampling, reporter } = conversing;
    toolNotes.push(...(await runCalls(core, turn, { tools, maxTokens: sampling.maxTokens, reporter }, signal)));
    [added, inPool, round] = [[], true, round + 1];
  }
}

/** A model may call what it was not offered. */
function withoutCalls({ generation, ...generated }: Generated): Generated {
  const finishReason = generation.finishReason === 'tool_calls' ? 'stop' : generation.finishReason;
  return { ...generated, generation: { ...generation, toolCalls: [], finishReason } };
}

/** What a strict memory has to say of the pages that an answer cites. */
async function citationsOf(core: CoreContext, { session, messages, shown }: Turn, answer: string): Promise<string[]> {
  const { memory: settings } = session.settings ?? {};
  if (!settings?.enableVm || settings.vmMode !== 'strict' || !shown) return [];
  const memory = await core.memories.of(session);
  return citationNotes(answer, memory.pagesOf(messages, shown.layout));
}

/** What the model gets of messages that a later version stored. */
function unknownNotes(messages: readonly Message[]): string[] {
  const kinds = new Set<string>();
  for (const { content } of messages) if (content.type === 'unknown') kinds.add(content.kind);
  if (kinds.size === 0) return [];
  return [
    `Messages of a kind that this version does not know (${[...kinds].join(', ')}) are stored whole. The model gets their text, or a placeholder.`,
  ];
}

interface OfMachine {
  readonly tools: readonly Tool[];
  readonly notes: readonly string[];
}

/** What the next request offers. */
interface FoundTools extends OfMachine {
  /** The messages to come, each with no more for the prompt than it has room for. */
  readonly added: readonly Message[];
}

interface Finding extends Pick<Asked, 'added' | 'inPool' | 'toolChoice'> {
  readonly conversing: Conversing;
}

/** @throws CwmError InvalidParameter where a call is asked for that cannot be; as {@link offeredMemoryTools}. */
async function toolsOf(
  core: CoreContext,
  turn: Turn,
  { added: given, inPool, toolChoice, conversing: { sampling, reporter, client } }: Finding,
  signal: AbortSignal,
): Promise<FoundTools> {
  const { session, description } = turn;
  const { noToolsWhy } = description;
  const ofMachine: OfMachine = client
    ? { tools: client.tools, notes: [] }
    : !session.settings?.tools
      ? { tools: [], notes: [] }
      : noToolsWhy !== undefined
        ? { tools: [], notes: [noToolsWhy] }
        : await offeredTools(core.tools, session.project, signal);
  const fitting = { maxTokens: sampling.maxTokens, tools: ofMachine.tools };
  const fitted = inPool ? [] : await fitMessages(core, turn, given, fitting, signal);
  const added = inPool ? given : fitted.map(({ message }) => message);
  const asking = {
    added,
    maxTokens: sampling.maxTokens,
    tools: ofMachine.tools,
    addGenerationPrompt: true,
    progress: (step: string) => reporter.progress(step),
  };
  const tools = withMemoryTools(ofMachine.tools, await offeredMemoryTools(core, turn, asking, signal));
  const notes = fitted.flatMap(({ note }) => note ?? []);
  const found = { tools, notes: [...ofMachine.notes, ...notes], added };
  requireChoice(found, toolChoice, client !== undefined);
  return found;
}

function requireChoice({ tools, notes }: OfMachine, toolChoice: string | undefined, isOfClient: boolean): void {
  if (toolChoice === undefined || toolChoice === 'auto') return;
  if (tools.length === 0) {
    throw new CwmError(
      'InvalidParameter',
      `The answer cannot call a tool: the model is offered none. ${notes.join(' ')}`.trim(),
      {
        hint: isOfClient
          ? 'Send the tools with the request.'
          : 'Give the session tools ("cwm session set --tools auto-loop").',
      },
    );
  }
  if (toolChoice === 'required' || tools.some(({ name }) => name === toolChoice)) return;
  const names = tools.map(({ name }) => name).join(', ');
  throw new CwmError('InvalidParameter', `There is no tool "${toolChoice}". There are: ${names}.`);
}

interface Asked extends Omit<Standing, 'round'> {
  readonly tools: readonly Tool[];
  readonly toolChoice: string | undefined;
  /** Of the answer. Default: a new one. */
  readonly id?: MessageId | undefined;
}

async function answerOnce(
  core: CoreContext,
  turn: Turn,
  { added, inPool, tools, toolChoice, id }: Asked,
  { sampling, continueFrom, reporter }: Conversing,
  signal: AbortSignal,
): Promise<{ readonly blank: Message; readonly generated: Generated }> {
  const [question = null] = added;
  const type = turn.session.settings?.mode === 'plan' ? 'plan' : 'text';
  const made = newMessage(core, added.length > 0 ? added : turn.messages, 'assistant', { type, text: '' });
  const blank = id === undefined ? made : { ...made, id };
  await beginAnswer(core, turn, inPool ? null : question, blank);
  reporter.begun(blank.id);
  const options = { ...sampling, continueFrom, reporter, tools, toolChoice, addGenerationPrompt: true };
  try {
    return { blank, generated: await generate(core, turn, added, options, signal) };
  } catch (error) {
    const failure = toCwmError(error);
    if (failure.context?.['answer'] !== undefined || turn.session.draft === null) throw failure;
    throw withDraft(error, added);
  }
}

function contentOf(
  blank: Message,
  { text, reasoning = '', finishReason }: Generation,
  calls: readonly ToolCall[],
): Pick<Message, 'content' | 'cut'> {
  const said = { text, ...(reasoning !== '' && { reasoning }) };
  if (calls.length === 0) {
    const type = blank.content.type === 'plan' ? 'plan' : 'text';
    return { content: { type, ...said }, ...(finishReason === 'length' && { cut: 'limit' as const }) };
  }
  const type = calls.some(({ question }) => question) ? 'question' : 'tool-calls';
  return { content: { type, ...said, calls: [...calls] } };
}
