import { randomId } from '../../base/hash.ts';
import { formatCount } from '../../base/format.ts';
import type { ClientAnswer, ClientMessage, ClientTurn } from '../../core/sessions/memory/clientTurns.ts';
import { silent } from '../../core/ports/reporter.ts';
import type { ToolDefinition } from '../../core/ports/tools.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import { readChatRequest } from '../formats/chatCompletions.ts';
import type { AnswerStream, Format } from '../formats/format.ts';
import { chatMessageOf, type Asked, type Item } from '../formats/item.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { memorySuffix } from './memoryModels.ts';
import type { Place } from './talks.ts';

/** A request for a conversation with memory. */
export interface MemoryRequest {
  readonly request: GatewayRequest;
  /** As the client wrote it. */
  readonly body: JsonObject;
  /** The same as chat completions, with what it only names. */
  readonly chat: string;
  readonly client: string;
  readonly project: ProjectUri | null;
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
    throw new CwmError('InvalidParameter', `Memory needs a session, and this conversation becomes none: ${whyNot}`);
  requireText(asked.items);
  const figure = gateway.figures.of(client);
  figure.requests++;
  figure.turns++;
  figure.lastRequestAt = gateway.clock.now().toISOString();
  const answerId = randomId();
  const answer = new AnswerUnderWay(asked, gateway.clock.now());
  const out = asked.streams ? streamTo(format, given, answerId, answer) : null;
  const reporter = {
    ...silent,
    progress: () => out?.hold(),
    text: (piece: string) => {
      answer.text += piece;
      out?.send(answer.chunk({ content: piece }));
    },
    reasoning: (piece: string) => out?.send(answer.chunk({ reasoning_content: piece })),
  };
  const said = await turnOf(gateway, given, asked, { chat, reporter, answer });
  figure.sessions.add(said.place.session);
  figure.promptTokens += said.usage.promptTokens;
  figure.cachedTokens += said.usage.cachedTokens ?? 0;
  figure.project = given.project;
  figure.lastSession = said.place.session;
  const item: Item = { role: 'assistant', text: answer.text, ...(said.calls.length > 0 && { calls: said.calls }) };
  gateway.talks.put(given.project, [...asked.items, item], said.place);
  if (format.previousOf) gateway.recent.put(answerId, { sent: given.chat, hasInstructions: asked.system !== '', item });
  if (signal.aborted) return;
  if (out) return out.end(said);
  const whole = format.whole(JSON.stringify(answer.whole(item, said)), { body, answerId, closing: () => null });
  res.writeHead(200, { 'content-type': 'application/json', ...receiptOf(said.place) });
  res.end(whole);
}

interface SaidTurn extends ClientAnswer {
  readonly place: Place;
}

interface TurnParts {
  readonly chat: JsonObject;
  readonly reporter: typeof silent;
  readonly answer: AnswerUnderWay;
}

/** The turn in the session that has what the client says again; in a new one where none has. */
async function turnOf(
  gateway: GatewayContext,
  { request: { signal }, project, client }: MemoryRequest,
  asked: Asked,
  { chat, reporter, answer }: TurnParts,
): Promise<SaidTurn> {
  const { talks, clientTurns, targets } = gateway;
  const common = {
    system: asked.system,
    tools: toolsOf(asked, chat['tool_choice']),
    toolChoice: choiceOf(chat['tool_choice']),
    sampling: samplingOf(chat),
  };
  const run = async (place: Omit<ClientTurn, keyof typeof common>): Promise<SaidTurn> => {
    const said = await clientTurns.answer({ ...common, ...place }, signal, reporter);
    return { ...said, place: { session: place.session, message: said.message } };
  };
  const { place, known } = await talks.find(project, asked.items);
  const rest = place ? newPart(asked.items.slice(known)) : null;
  if (place && rest) {
    try {
      return await run({ session: place.session, after: place.message, ...rest });
    } catch (error) {
      // The session is gone or frozen, or its calls have been given up: the request has the whole conversation.
      const isLost =
        isCwmError(error, 'SessionNotFound', 'MessageNotFound', 'AlreadyFrozen') ||
        (rest.results.length > 0 && isCwmError(error, 'InvalidTransition'));
      if (!isLost || answer.text !== '') throw error;
    }
  }
  const last = asked.items.at(-1);
  const isSaid = last?.role === 'user';
  const before = isSaid ? asked.items.slice(0, -1) : asked.items;
  const begun = await clientTurns.begin({
    project,
    engine: targets.defaultSpec,
    tags: tagsOf(client),
    system: asked.system,
    messages: before.map((item, at) => messageOf(item, before.slice(0, at))),
  });
  return run({ session: begun.session, after: begun.last, results: [], text: isSaid ? last.text : null });
}

/** What a request adds: results of calls, then what the user says. Null: something else. */
function newPart(items: readonly Item[]): Pick<ClientTurn, 'results' | 'text'> | null {
  const end = items.findIndex(({ role }) => role !== 'tool');
  const tools = end === -1 ? items : items.slice(0, end);
  const said = end === -1 ? [] : items.slice(end);
  const results = tools.map(({ callId = '', text }) => ({ call: callId, text }));
  if (said.some(({ role }) => role !== 'user') || (said.length === 0 && results.length === 0)) return null;
  return { results, text: said.length === 0 ? null : said.map(({ text }) => text).join('\n\n') };
}

function messageOf({ role, text, calls = [], callId = '', reasoning }: Item, before: readonly Item[]): ClientMessage {
  if (role === 'tool') {
    const call = before.flatMap(({ calls: each = [] }) => each).findLast(({ id }) => id === callId);
    return { role, content: { type: 'tool-result', call: callId, name: call?.name ?? 'tool', text, outcome: 'done' } };
  }
  const thought = reasoning !== undefined && { reasoning };
  return {
    role,
    content:
      calls.length > 0
        ? { type: 'tool-calls', text, ...thought, calls: [...calls] }
        : { type: 'text', text, ...thought },
  };
}

/** @throws CwmError InvalidParameter. */
function requireText(items: readonly Item[]): void {
  const last = items.at(-1);
  if (last?.role !== 'user' && last?.role !== 'tool')
    throw new CwmError('InvalidParameter', "The last message must be the user's, or the result of a tool.");
  if (items.some(({ others = [] }) => others.length > 0))
    throw new CwmError('InvalidParameter', 'A conversation with memory takes text alone.', {
      hint: `Ask for the model without "${memorySuffix}".`,
    });
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

const tagsOf = (client: string): string[] => {
  const name = client.replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, 32);
  return /^[A-Za-z0-9]/.test(name) ? [name] : [];
};

const receiptOf = ({ session }: Place): Record<string, string> => ({
  'x-cwm-recorded': 'yes',
  'x-cwm-session': session,
});

/** The answer as a model server would write it, in chat completions. */
class AnswerUnderWay {
  text = '';
  readonly #model: string | null;
  readonly #id = `chatcmpl-${randomId()}`;
  readonly #created: number;

  constructor({ model }: Asked, now: Date) {
    this.#model = model;
    this.#created = Math.floor(now.getTime() / 1000);
  }

  #head(object: string): object {
    return { id: this.#id, object, created: this.#created, model: this.#model };
  }

  chunk(delta: object, finishReason: string | null = null): object {
    return {
      ...this.#head('chat.completion.chunk'),
      choices: [{ index: 0, delta, finish_reason: finishReason }],
    };
  }

  usage(said: SaidTurn): object {
    return { ...this.#head('chat.completion.chunk'), choices: [], usage: usageOf(said) };
  }

  whole(item: Item, said: SaidTurn): object {
    const choices = [{ index: 0, message: chatMessageOf(item), finish_reason: said.finishReason }];
    return { ...this.#head('chat.completion'), choices, usage: usageOf(said) };
  }
}

/** What was sent to the model server, whatever the conversation's length. */
const usageOf = ({ usage: { promptTokens, cachedTokens, outputTokens } }: SaidTurn): object => ({
  prompt_tokens: promptTokens,
  completion_tokens: outputTokens,
  total_tokens: promptTokens + outputTokens,
  ...(cachedTokens !== null && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
});

interface StreamedAnswer {
  /** A comment, which every client skips: the answer takes a while. */
  readonly hold: () => void;
  readonly send: (chunk: object) => void;
  readonly end: (said: SaidTurn) => void;
}

function streamTo(
  format: Format,
  { request: { res }, body, isAnswering }: MemoryRequest,
  answerId: string,
  answer: AnswerUnderWay,
): StreamedAnswer {
  let closing: string | null = null;
  const stream: AnswerStream = format.stream({ body, answerId, closing: () => closing });
  const begin = (): void => {
    if (res.headersSent) return;
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  };
  const pass = (data: string): void => {
    begin();
    isAnswering();
    const passed = stream.event({ raw: `data: ${data}\n\n`, data });
    if (passed !== null && passed !== '') res.write(passed);
  };
  const send = (chunk: object): void => pass(JSON.stringify(chunk));
  let isFirst = true;
  const sendNext = (chunk: object): void => {
    if (isFirst) send(answer.chunk({ role: 'assistant', content: '' }));
    isFirst = false;
    send(chunk);
  };
  return {
    hold: () => {
      begin();
      res.write(': cwm makes the prompt\n\n');
    },
    send: sendNext,
    end: (said) => {
      for (const [index, { id, name, arguments: given }] of said.calls.entries())
        sendNext(answer.chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: given } }] }));
      sendNext(answer.chunk({}, said.finishReason));
      send(answer.usage(said));
      const { promptTokens, cachedTokens } = said.usage;
      closing =
        cachedTokens === null
          ? null
          : `cwm reused ${formatCount(cachedTokens)} of ${formatCount(promptTokens)} prompt tokens`;
      pass('[DONE]');
      res.end(stream.end());
    },
  };
}
