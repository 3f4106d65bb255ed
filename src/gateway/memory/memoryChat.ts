import { randomId } from '../../base/hash.ts';
import type { ClientTurn } from '../../core/sessions/memory/clientTurns.ts';
import { silent } from '../../core/ports/reporter.ts';
import type { ToolDefinition } from '../../core/ports/tools.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessageId, ProjectUri } from '../../protocol/ids.ts';
import { memorySuffix } from '../../protocol/memory/memoryModel.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import { readChatRequest } from '../formats/chat/chatCompletions.ts';
import type { Format } from '../formats/format.ts';
import type { Asked, Item } from '../formats/item.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import type { Importance } from '../routes/importance.ts';
import { errorOf } from '../passing/failures.ts';
import { beating } from '../passing/heldLine.ts';
import { AnswerUnderWay, receiptOf, streamTo } from './memoryAnswer.ts';
import { requireModel } from './memoryModels.ts';
import { itemOf, turnOf, type SaidTurn } from './memoryTurn.ts';

/** A request for a conversation with memory. */
export interface MemoryRequest {
  readonly request: GatewayRequest;
  /** As the client wrote it. */
  readonly body: JsonObject;
  /** The same as chat completions, with what it only names. */
  readonly chat: string;
  readonly client: string;
  readonly project: ProjectUri | null;
  /** By which the client names the conversation; null: it does not. */
  readonly key: string | null;
  readonly importance: Importance;
  /** Why nothing of it is recorded; null: it is. */
  readonly whyNot: string | null;
  readonly isAnswering: () => void;
}

export const hasMemory = ({ model }: Pick<Asked, 'model'>): boolean => model?.endsWith(memorySuffix) === true;

const defaultAnswerTokens = 2_048;

/**
 * Answers a request whose conversation may be longer than the model's context. The core makes the prompt and runs the calls of the memory; the
 * client gets one answer of all rounds, and the calls of its own tools.
 *
 * @throws CwmError InvalidParameter, and as the core's turns, before the answer has begun.
 */
export async function answerWithMemory(format: Format, gateway: GatewayContext, given: MemoryRequest): Promise<void> {
  const { request, body, client, whyNot } = given;
  const { res, signal } = request;
  const chat = objectOf(parsed(given.chat)) ?? {};
  const asked = readChatRequest(chat);
  if (!asked)
    throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
  if (whyNot !== null)
    throw new CwmError(
      'InvalidParameter',
      `Memory needs a session, and this conversation is not recorded as one: ${whyNot}`,
    );
  requireForm(asked.items);
  const engine = request.address.engine ?? gateway.targets.defaultSpec;
  await requireModel(gateway, engine, asked.model ?? '', signal);
  const figure = gateway.figures.of(client);
  figure.requests++;
  figure.turns++;
  figure.lastRequestAt = gateway.clock.now().toISOString();
  const answerId = randomId() as MessageId;
  const answer = new AnswerUnderWay(asked, gateway.clock.now(), given.importance.receipt(true));
  const out = asked.streams ? streamTo(format, { res, body, answerId, answer, isAnswering: given.isAnswering }) : null;
  const reporter = {
    ...silent,
    progress: () => out?.hold(),
    text: (piece: string) => {
      answer.text += piece;
      out?.send(answer.chunk({ content: piece }));
    },
    reasoning: (piece: string) => {
      answer.reasoning += piece;
      out?.send(answer.chunk({ reasoning_content: piece }));
    },
  };
  const turn = {
    system: asked.system,
    tools: toolsOf(asked, chat['tool_choice']),
    toolChoice: choiceOf(chat['tool_choice']),
    sampling: samplingOf(chat),
    importance: given.importance.value,
  };
  const asker = { client, project: given.project, key: given.key, system: asked.system };
  let said: SaidTurn;
  try {
    const memoryTurn = { asker, engine, items: asked.items, turn, answer, answerId };
    const run = (): Promise<SaidTurn> => turnOf(gateway, memoryTurn, signal, reporter);
    said = await (out ? beating(run, out.holdIfQuiet) : run());
  } catch (error) {
    if (!out?.fail(error)) throw error;
    if (!signal.aborted) gateway.figures.failed(client, errorOf(error));
    return;
  }
  figure.sessions.add(said.session);
  gateway.figures.answered(client, { ...said.usage, outputTokens: said.usage.outputTokens ?? 0 });
  figure.project = given.project;
  figure.lastSession = said.session;
  const item = itemOf(answer, said);
  if (format.previousOf)
    gateway.recentAnswers.put(answerId, {
      wire: format.chat,
      client,
      sent: given.chat,
      hasInstructions: textOf(body['instructions']) !== '',
      item,
      serverId: null,
      output: null,
    });
  if (signal.aborted) return;
  if (out) return out.end(said);
  const { passed } = format.chat.whole(JSON.stringify(answer.whole(item, said)), {
    body,
    answerId,
    closing: () => null,
  });
  const { promptTokens, cachedTokens } = said.usage;
  const reuse = cachedTokens === null ? {} : { 'x-cwm-reused': `${cachedTokens}/${promptTokens}` };
  res.writeHead(200, { 'content-type': 'application/json', ...receiptOf(answer), ...reuse });
  res.end(passed);
}

/** @throws CwmError InvalidParameter. */
function requireForm(items: readonly Item[]): void {
  const last = items.at(-1);
  if (last?.role !== 'user' && last?.role !== 'tool')
    throw new CwmError('InvalidParameter', "The last message must be the user's, or the result of a tool.");
  if (items.some(({ role, others = [] }) => others.length > 0 && role !== 'user'))
    throw new CwmError(
      'InvalidParameter',
      'A model with memory accepts parts that are no text in messages of the user alone.',
      { hint: `Ask for the model without "${memorySuffix}".` },
    );
}

function toolsOf({ tools }: Asked, choice: unknown): ToolDefinition[] {
  if (choice === 'none') return [];
  return tools.flatMap((tool) => {
    const said = objectOf(objectOf(tool)?.['function']);
    const name = textOf(said?.['name']);
    if (!said || name === '') return [];
    const inputSchema = objectOf(said['parameters']) ?? { type: 'object' };
    return [{ name, description: textOf(said['description']), inputSchema }];
  });
}

function choiceOf(choice: unknown): string | undefined {
  if (choice === 'required') return choice;
  const name = textOf(objectOf(objectOf(choice)?.['function'])?.['name']);
  return name === '' ? undefined : name;
}

function samplingOf(chat: JsonObject): ClientTurn['sampling'] {
  const asked = countOf(chat['max_completion_tokens']) ?? countOf(chat['max_tokens']) ?? defaultAnswerTokens;
  const { temperature, top_p: topP, seed, stop } = chat;
  const stops = (typeof stop === 'string' ? [stop] : listOf(stop)).filter((each) => typeof each === 'string');
  return {
    maxTokens: Math.min(maxAnswerTokens, Math.max(1, Math.floor(asked))),
    temperature: typeof temperature === 'number' ? temperature : 1,
    ...(typeof topP === 'number' && { topP }),
    ...(typeof seed === 'number' && { seed }),
    ...(stops.length > 0 && { stop: stops }),
  };
}
