import { randomId } from '../../base/hash.ts';
import type { Lineage } from '../../core/ports/lineages.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessageId, ProjectUri } from '../../protocol/ids.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../engines.ts';
import { answerErrorOf, type AnswerError } from '../formats/answerError.ts';
import { chatItem } from '../formats/chat/chatCompletions.ts';
import type { Besides, Format, Layout, StreamOptions, Written } from '../formats/format.ts';
import type { Asked } from '../formats/item.ts';
import { objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { answerWithMemory, hasMemory } from '../memory/memoryChat.ts';
import { errorOf } from '../passing/failures.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { hasFirstSystem, heal, noteSystem, type Healed } from '../passing/heal.ts';
import { heldLine } from '../passing/heldLine.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody, relayEvents } from '../passing/relay.ts';
import { clientOf, conversationName, type HeaderOf } from '../recognition/clientIds.ts';
import { projectOf } from '../recognition/project.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { recordAnswer, type Understood } from './answered.ts';
import { importanceOf, type Importance } from './importance.ts';
import { namedBy, previousTurn } from './previous.ts';
import { noteRequest, receiptHeaders, reuseLine } from './receipt.ts';
import { isOnePlace, makeRoom, type Room } from './room.ts';
import { askServer, type Way } from './way.ts';

/** A request that was read, before anything is asked for it. */
interface Read {
  readonly written: Written;
  readonly asked: Asked;
  readonly client: string;
  readonly project: ProjectUri | null;
  /** By which the client names the conversation; null: it does not. */
  readonly key: string | null;
  readonly importance: Importance;
  /** Why nothing of it is recorded; null: it may be. */
  readonly whyNot: string | null;
  /** The same, or why it is recorded with a later answer of its conversation. */
  readonly whyLater: string | null;
  /** Null: it is not recorded. */
  readonly recognise: () => Recognised | null;
}

async function read(format: Format, gateway: GatewayContext, request: GatewayRequest): Promise<Read> {
  const { recogniser, clock, outside, onFailure } = gateway;
  const { req, address, client: known } = request;
  const text = (await readBody(req)).toString('utf8');
  const written = objectOf(parsed(text));
  const header: HeaderOf = (name) => headerOf(req.headers[name]);
  const client = known?.name ?? clientOf(header);
  const body = written && ((await format.resolved?.(written, namedBy(gateway, format, client))) ?? written);
  const asked = body && format.read(body);
  if (!body || !asked)
    throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
  const previous = await previousTurn(gateway, format, format.previousOf?.(body) ?? null, client);
  const says = projectOf(address.project, header, asked);
  const named = says && (await outside.projectAt(says.project, says.isExplicit, request.signal));
  const project = previous?.said?.conversation.project ?? named;
  if (named !== null) await outside.requireOwn(named, project, request.signal);
  const conversation = conversationName(header, body, client, project);
  const asker = { client, project, ...conversation };
  const whyNot = isOff(header('x-cwm-record'))
    ? 'The request says that its conversation is not recorded.'
    : known?.records === false
      ? 'The client is not recorded.'
      : (await outside.isRecorded(project))
        ? null
        : 'The project is not recorded.';
  const recognise = (): Recognised | null => {
    if (whyNot !== null) return null;
    const nowMs = clock.elapsedMs();
    try {
      if (previous?.said) return recogniser.goOn(previous.said, asked, asker, nowMs);
      const items = [...(previous?.before.chat() ?? []).map(chatItem), ...asked.items];
      return recogniser.recognise({ ...asked, items }, asker, nowMs);
    } catch (error) {
      onFailure(error, 'a conversation of a client could not be recognised');
      return null;
    }
  };
  return {
    written: { text, body, hasNames: body !== written, before: previous?.before ?? null },
    asked,
    client,
    project,
    key: conversation.isOfCache ? null : conversation.key,
    importance: importanceOf(header),
    whyNot,
    whyLater: whyNot ?? gateway.whyTooMany(client),
    recognise,
  };
}

const isOff = (said: string | null): boolean => /^(no|off|false|0)$/i.test(said ?? '');

/** The lineage whose salt the request carries: that of its conversation, which it has from its first request on. */
async function lineageOf(
  { outside, recorder }: GatewayContext,
  project: ProjectUri | null,
  recognised: Recognised | null,
): Promise<Lineage> {
  const conversation = recognised?.conversation ?? null;
  const onFailure = (error: unknown): void => recorder.failed(error, null);
  const lineage = await outside.lineages.of(project, conversation?.lineage ?? null, onFailure);
  if (conversation) conversation.lineage = lineage.id;
  return lineage;
}

/** Passes a request of a conversation on, and records it as a turn unless it is none. */
const pass =
  (format: Format, gateway: GatewayContext, isAnswering: () => void) =>
  async (request: GatewayRequest): Promise<void> => {
    const { targets, recogniser, outside } = gateway;
    const { res, signal } = request;
    const given = await read(format, gateway, request);
    if (hasMemory(given.asked)) {
      const { written, client, project, key, importance, whyNot } = given;
      return await answerWithMemory(format, gateway, {
        request,
        body: written.body,
        chat: format.chat.body(written),
        client,
        project,
        key,
        importance,
        whyNot,
        isAnswering,
      });
    }
    let target = await targets.for(request);
    const enter = async (): Promise<Passing> => {
      const recognised = given.recognise();
      try {
        const lineage = await lineageOf(gateway, given.project, recognised);
        const room = await heldLine(res, given.asked.streams && receiptOf(gateway, given, recognised), () =>
          makeRoom(gateway, target, recognised, outside.saltOf(lineage), signal),
        );
        return { recognised, lineage, room };
      } catch (error) {
        recogniser.ended(recognised);
        throw error;
      }
    };
    let passing = await enter();
    if (!passing.room.isThere && passing.recognised?.conversation) {
      passing.room.leave();
      recogniser.forget(passing.recognised.conversation);
      passing = await enter();
    }
    if (passing.room.isNew) {
      // What it serves is recorded with the answer, and how many places it has decides what is looked after.
      const had = target;
      targets.doubt(had.spec);
      target = await targets.of(had.spec, signal).catch((error: unknown) => {
        passing.room.leave();
        throw error;
      });
      if (isOnePlace(target) !== isOnePlace(had)) {
        passing.room.leave();
        passing = await enter();
      }
    }
    try {
      await ask(format, gateway, { request, given, target, passing, isAnswering });
    } finally {
      recogniser.ended(passing.recognised);
      passing.room.leave();
    }
  };

function receiptOf(gateway: GatewayContext, { importance, whyLater }: Read, recognised: Recognised | null) {
  const receipt = receiptHeaders(gateway, recognised, whyLater);
  return { ...receipt, ...importance.receipt(receipt['x-cwm-recorded'] === 'yes') };
}

interface Passing {
  readonly recognised: Recognised | null;
  readonly lineage: Lineage;
  readonly room: Room;
}

interface Asking {
  readonly request: GatewayRequest;
  readonly given: Read;
  readonly target: Target;
  readonly passing: Passing;
  readonly isAnswering: () => void;
}

/** Sends the prompt, and passes the answer back. */
async function ask(
  format: Format,
  gateway: GatewayContext,
  { request, given, target, passing, isAnswering }: Asking,
): Promise<void> {
  const { targets, clock, outside } = gateway;
  const { res, signal } = request;
  const { written, asked, client } = given;
  const { recognised, lineage, room } = passing;
  const receipt = receiptOf(gateway, given, recognised);
  const isForeign =
    room.isForeign && outside.lineages.isolation !== 'off' && !(recognised?.kind === 'turn' && recognised.known > 0);
  const besides = besidesOf(target, outside.saltOf(lineage), isForeign);
  const sending = { request, written, recognised, target, client };
  const { reply, wire, healed, healing, sentMs } = await askServer(
    format,
    gateway,
    { target, written, besides, signal },
    sender(gateway, sending),
  );
  const understood: Understood = {
    wire,
    sent: healed.sent,
    isPinned: healed.isPinned,
    isContinued: format.previousOf !== undefined,
    hasInstructions: textOf(written.body['instructions']) !== '',
    asked,
    target,
    lineage,
    recognised: healing,
    isLater: given.whyLater !== null,
    importance: given.importance.value,
    client,
    answerId: randomId() as MessageId,
    sentMs,
  };
  const hasBegun = res.headersSent;
  const begin = (): void => {
    if (!hasBegun) res.writeHead(reply.statusCode, { ...answerHeaders(reply.headers), ...receipt });
  };
  if (reply.statusCode !== 200) {
    targets.doubt(target.spec);
    if (hasBegun) throw new Refused(await reply.body.text(), reply.statusCode);
    begin();
    await relayBody(reply.body, res);
    return void res.end();
  }
  const closing = reuseLine(healing, room.cold, healed);
  const options: StreamOptions = { body: written.body, answerId: understood.answerId, closing };
  let firstMs: number | null = null;
  if (String(reply.headers['content-type'] ?? '').includes('text/event-stream')) {
    const stream = wire.stream(options);
    const onFirst = (): void => void (firstMs ??= clock.elapsedMs());
    begin();
    isAnswering();
    try {
      await relayEvents(reply.body, res, stream, onFirst);
    } finally {
      recordAnswer(gateway, understood, stream.answer, { hasLeft: signal.aborted, firstMs });
    }
    return void res.end();
  }
  const whole = await reply.body.text();
  const { answer, passed } = wire.whole(whole, options);
  recordAnswer(gateway, understood, answer, { hasLeft: signal.aborted, firstMs });
  // What is no answer of a model comes as the server wrote it, in any format.
  const shown = objectOf(parsed(whole)) ? passed : whole;
  if (shown === null || hasBegun) throw noAnswer(answer.error);
  begin();
  res.end(shown);
}

interface Sending {
  readonly request: GatewayRequest;
  readonly written: Written;
  readonly recognised: Recognised | null;
  readonly target: Target;
  readonly client: string;
}

/** Sends one request, perhaps in one form after another. */
function sender(gateway: GatewayContext, { request, written, recognised, target, client }: Sending) {
  const { targets, upstream, clock } = gateway;
  const { req, address, signal } = request;
  let isNoted = false;
  return async ({ wire, body }: Way) => {
    const says = wire.keepsBytes && !written.before && !written.hasNames ? written.body : null;
    const healed = await healedBody(gateway, wire.layout, body, recognised, says);
    const healing = healed.isPinned && recognised?.kind === 'turn' ? { ...recognised, prefixBreak: null } : recognised;
    if (!isNoted) noteRequest(gateway, client, healing);
    isNoted = true;
    const sentMs = clock.elapsedMs();
    const [path] = address.path.split('?');
    const reply = await upstream
      .send(
        target.address,
        {
          method: 'POST',
          path: path === wire.path ? address.path : wire.path,
          headers: upstreamHeaders(req.headers, target.address.token),
          body: healed.sent,
        },
        signal,
      )
      .catch((error: unknown) => {
        targets.doubt(target.spec);
        throw error;
      });
    return { reply, wire, healed, healing, sentMs };
  };
}

/** Nothing about the spelling of a request stands in its way. */
async function healedBody(
  { healing, first, outside, onFailure }: GatewayContext,
  layout: Layout,
  sent: string,
  recognised: Recognised | null,
  says: JsonObject | null,
): Promise<Healed> {
  const as = { sent, parts: 0, isPinned: false };
  if (recognised?.kind !== 'turn' || !(healing.heals || healing.pins)) return as;
  const { conversation, known } = recognised;
  try {
    // Of an earlier process.
    if (healing.pins && known > 0 && !hasFirstSystem(first, layout, conversation)) {
      const text = await outside.systemPromptOf(conversation.session);
      if (text !== null) noteSystem(first, layout, conversation, text);
    }
    const body = says ?? objectOf(parsed(sent)) ?? {};
    return heal({ sent, body, layout }, recognised, first, healing);
  } catch (error) {
    onFailure(error, 'the first spelling of a prompt could not be found');
    return as;
  }
}

const noAnswer = (error: AnswerError | null): CwmError =>
  new CwmError('EngineRejected', error?.message ?? 'The model server sent no answer.');

/** The model server refused a request whose stream had begun here. */
class Refused extends Error {
  readonly error: AnswerError;

  constructor(said: string, status: number) {
    super('refused');
    const error = answerErrorOf(objectOf(parsed(said))) ?? { message: said.slice(0, 2000), type: 'api_error' };
    this.error = { ...error, code: status };
  }
}

/** What goes wrong before the answer, and behind the first comment, is an event in the client's format. */
export const converse =
  (format: Format) =>
  async (gateway: GatewayContext, request: GatewayRequest): Promise<void> => {
    const { res } = request;
    let isAnswering = false;
    try {
      await pass(format, gateway, () => void (isAnswering = true))(request);
    } catch (thrown) {
      if (!res.headersSent || res.destroyed || isAnswering) throw thrown;
      const error = thrown instanceof Refused ? thrown.error : errorOf(thrown);
      res.end(format.chat.stream({ body: {}, answerId: randomId(), closing: () => null }).fail(error));
    }
  };

const headerOf = (value: string | string[] | undefined): string | null =>
  value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;

function besidesOf({ description: { kind } }: Target, salt: string, reusesNothing: boolean): Besides {
  const isVllm = kind === 'vllm' || kind === 'embedded';
  const dialect = isVllm ? 'vllm' : kind === 'llama-server' ? kind : null;
  return { dialect, salt: isVllm ? salt : null, reusesNothing };
}
