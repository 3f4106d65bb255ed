import { randomId } from '../../base/hash.ts';
import type { Lineage } from '../../core/ports/lineages.ts';
import { CwmError, errors, isCwmError, toCwmError } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { CutReason } from '../../protocol/schemas/session.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../engines.ts';
import { answerErrorOf, type AnswerError } from '../formats/answerError.ts';
import { ChatAnswer } from '../formats/chatAnswer.ts';
import { chatItem } from '../formats/chatCompletions.ts';
import type { Format, StreamOptions } from '../formats/format.ts';
import { chatMessageOf, type Answer, type Asked } from '../formats/item.ts';
import { objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import type { AnswerOf } from '../formats/references.ts';
import { messageWithHint } from '../passing/failures.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { heldLine } from '../passing/heldLine.ts';
import { llamaIds } from '../passing/llamaIds.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody, relayEvents } from '../passing/relay.ts';
import { clientOf, conversationName, type HeaderOf } from '../recognition/clientIds.ts';
import { projectOf } from '../recognition/project.ts';
import type { Conversation, Said } from '../recognition/conversations.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { itemsOf } from '../recording/recentAnswers.ts';
import { reuseOf } from '../recording/reuseOf.ts';

/** A request as the gateway understands it. */
interface Understood {
  /** What the model server was asked. */
  readonly sent: string;
  /** The client may name the answer in its next request. */
  readonly isContinued: boolean;
  readonly hasInstructions: boolean;
  readonly asked: Asked;
  readonly target: Target;
  readonly lineage: Lineage;
  readonly recognised: Recognised | null;
  /** Of the message that the answer becomes. */
  readonly answerId: MessageId;
  readonly sentMs: number;
  readonly client: string;
}

/** Passes a request of a conversation on, and records it as a turn unless it is none. */
const pass =
  (format: Format, gateway: GatewayContext, isAnswering: () => void) =>
  async ({ req, res, address, client: known, signal }: GatewayRequest): Promise<void> => {
    const { targets, upstream, recogniser, recorder, outside, clock, onFailure } = gateway;
    const text = (await readBody(req)).toString('utf8');
    const written = objectOf(parsed(text));
    const body = written && ((await format.resolved?.(written, answerOf(gateway))) ?? written);
    const asked = body && format.read(body);
    if (!body || !asked)
      throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
    const header: HeaderOf = (name) => headerOf(req.headers[name]);
    const client = known?.name ?? clientOf(header);
    const records = known?.records ?? true;
    const project = projectOf(address.project, header, asked);
    const target = await targets.of(targets.defaultSpec, signal);
    const previous = await previousTurn(gateway, format.previousOf?.(body) ?? null);
    const of = previous?.said ? previous.said.conversation.project : project;
    const asker = { client, project: of, ...conversationName(header, body, client, of) };
    const recognise = (): Recognised | null => {
      if (!records) return null;
      const nowMs = clock.elapsedMs();
      try {
        if (previous?.said) return recogniser.goOn(previous.said, asked, asker, nowMs);
        const items = [...itemsOf(previous?.messages ?? []), ...asked.items];
        return recogniser.recognise({ ...asked, items }, asker, nowMs);
      } catch (error) {
        onFailure(error, 'a conversation of a client could not be recognised');
        return null;
      }
    };
    const lineage = await outside.lineageOf(asker.project, (error) => recorder.failed(error, null));
    let recognised = recognise();
    const isThere = await heldLine(res, asked.streams && receiptHeaders(gateway, recognised), () =>
      makeRoom(gateway, target, recognised, signal),
    );
    if (!isThere && recognised?.conversation) {
      recogniser.forget(recognised.conversation);
      recognised = recognise();
    }
    const receipt = receiptHeaders(gateway, recognised);
    noteRequest(gateway, client, recognised);
    const added = addedFields(body, asked, target, outside.saltOf(lineage));
    const sent = format.chatBody(text, body, added, previous?.messages);
    const understood: Understood = {
      sent,
      isContinued: format.previousOf !== undefined,
      hasInstructions: textOf(body['instructions']) !== '',
      asked,
      target,
      lineage,
      recognised,
      client,
      answerId: randomId() as MessageId,
      sentMs: clock.elapsedMs(),
    };
    const reply = await upstream
      .send(
        target.address,
        {
          method: 'POST',
          path: '/v1/chat/completions',
          headers: upstreamHeaders(req.headers, target.address.token),
          body: sent,
        },
        signal,
      )
      .catch((error: unknown) => {
        targets.doubt(target.spec);
        throw error;
      });
    const hasBegun = res.headersSent;
    const begin = (): void => {
      if (!hasBegun) res.writeHead(reply.statusCode, { ...answerHeaders(reply.headers), ...receipt });
    };
    if (reply.statusCode !== 200) {
      targets.doubt(target.spec);
      // Nothing continues a conversation that has no answer, and its messages may be tens of megabytes.
      if (recognised?.kind === 'turn' && !recognised.conversation.hasAnswered)
        recogniser.forget(recognised.conversation);
      if (hasBegun) throw new Refused(await reply.body.text(), reply.statusCode);
      begin();
      await relayBody(reply.body, res);
      return void res.end();
    }
    const options: StreamOptions = { body, answerId: understood.answerId, closing: reuseLine(recognised) };
    let firstMs: number | null = null;
    if (String(reply.headers['content-type'] ?? '').includes('text/event-stream')) {
      const stream = format.stream(options);
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
    const said = new ChatAnswer();
    said.body(whole);
    recordAnswer(gateway, understood, said.answer, { hasLeft: signal.aborted, firstMs });
    // What is no answer of a model comes as the server wrote it, in any format.
    const passed = objectOf(parsed(whole)) ? format.whole(whole, options) : whole;
    if (passed === null || hasBegun) throw noAnswer(said.answer.error);
    begin();
    res.end(passed);
  };

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
      res.end(format.stream({ body: {}, answerId: randomId(), closing: () => null }).fail(error));
    }
  };

function errorOf(thrown: unknown): AnswerError {
  const error = toCwmError(thrown);
  return { message: messageWithHint(error), type: 'api_error', code: errors[error.name].status };
}

interface Previous {
  /** Null: no session has it. */
  readonly said: Said | null;
  /** What was said up to it, as chat messages. */
  readonly messages: readonly object[];
}

/** The answer that a request continues by its id. @throws CwmError MessageNotFound. */
async function previousTurn(
  { recogniser, recorder, recent, outside }: GatewayContext,
  id: string | null,
): Promise<Previous | null> {
  if (id === null) return null;
  const said = recogniser.conversations.answer(id as MessageId);
  if (said) await recorder.storedOf(said.conversation.session);
  const messages = recent.messages(id) ?? (said && (await outside.chatUpTo(said.conversation.session, said.id)));
  if (!messages) {
    throw new CwmError('MessageNotFound', `There is no response "${id.slice(0, 80)}" to continue.`, {
      hint: 'Send the whole conversation without previous_response_id.',
    });
  }
  return { said, messages };
}

/** An answer that a request only names, in memory or in the store. */
const answerOf =
  (gateway: GatewayContext): AnswerOf =>
  async (id) => {
    const recent = gateway.recent.item(id);
    if (recent || !gateway.recogniser.conversations.answer(id as MessageId)) return recent;
    const message = (await previousTurn(gateway, id))?.messages.at(-1);
    return message ? chatItem(message) : null;
  };

/**
 * Before the prompt is sent: what the conversation needs is brought back, and what the server has instead is saved.
 *
 * @returns false where the conversation's session is gone.
 */
async function makeRoom(
  gateway: GatewayContext,
  { spec, description, slots }: Target,
  recognised: Recognised | null,
  signal: AbortSignal,
): Promise<boolean> {
  const { outside } = gateway;
  const conversation = recognised?.conversation ?? null;
  if (conversation) await outside.giveWay(conversation.session, signal);
  const isTurn = recognised?.kind === 'turn';
  const hasOneSlot = description.kind === 'llama-server' && slots === 1;
  const isElsewhere = hasOneSlot && outside.holderOf(spec) !== (isTurn ? conversation?.session : null);
  if (isElsewhere) {
    // What the slot has is known as unsaved only once its last answer is stored.
    const holder = outside.holderOf(spec);
    if (holder) await gateway.recorder.storedOf(holder);
    await outside.saveHolder(spec);
  }
  if (isTurn && recognised.known > 0 && (recognised.conversation.mayBeCold || isElsewhere)) {
    if (!(await makeReady(gateway, recognised.conversation, signal))) return false;
  }
  if (description.kind === 'llama-server') outside.tookEngine(spec, isTurn ? recognised.conversation.session : null);
  return true;
}

/**
 * A session that cannot be made ready costs time, not the turn: its prompt is computed.
 *
 * @returns false where nothing can be stored behind its messages any more.
 */
async function makeReady(
  { outside, recorder }: GatewayContext,
  conversation: Conversation,
  signal: AbortSignal,
): Promise<boolean> {
  const { session } = conversation;
  await recorder.storedOf(session);
  try {
    const isThere = await outside.makeReady(session, signal);
    conversation.mayBeCold = false;
    return isThere;
  } catch (error) {
    if (signal.aborted || isCwmError(error, 'Cancelled')) throw error;
    recorder.failed(error, session);
    return !isCwmError(error, 'WindowNotFound', 'Corrupted');
  }
}

const headerOf = (value: string | string[] | undefined): string | null =>
  value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;

/** What the gateway asks for besides: a salt, so that no other project meets this KV, and the evidence of reuse. */
function addedFields(
  body: JsonObject,
  { streams }: Asked,
  { description: { kind } }: Target,
  salt: string,
): Readonly<Record<string, unknown>> {
  const isVllm = kind === 'vllm' || kind === 'embedded';
  return {
    ...(isVllm && body['cache_salt'] === undefined && { cache_salt: salt }),
    ...(isVllm && body['return_token_ids'] === undefined && { return_token_ids: true }),
    ...(streams && body['stream_options'] === undefined && { stream_options: { include_usage: true } }),
  };
}

/** What cannot be stored now is no more promised than what is no turn. */
function receiptHeaders({ recorder }: GatewayContext, recognised: Recognised | null): Record<string, string> {
  if (recognised?.kind !== 'turn') return { 'x-cwm-recorded': 'no' };
  const { session } = recognised.conversation;
  const why = recorder.whyUnrecorded(session);
  if (why === null) return { 'x-cwm-recorded': 'yes', 'x-cwm-session': session };
  return {
    'x-cwm-recorded': 'no',
    'x-cwm-why': why.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200),
    'x-cwm-session': session,
  };
}

const reuseLine =
  (recognised: Recognised | null) =>
  ({ usage }: Answer): string | null => {
    if (usage === null || usage.cachedTokens === null) return null;
    const prefixBreak = recognised?.kind === 'turn' ? recognised.prefixBreak : null;
    const why = prefixBreak ? `; ${prefixBreak.what}` : '';
    return `cwm reused ${usage.cachedTokens} of ${usage.promptTokens} prompt tokens${why}`;
  };

function noteRequest({ figures, clock }: GatewayContext, client: string, recognised: Recognised | null): void {
  const figure = figures.of(client);
  figure.requests++;
  figure.lastRequestAt = clock.now().toISOString();
  if (recognised?.kind !== 'turn') return;
  const { conversation, prefixBreak } = recognised;
  figure.turns++;
  figure.sessions.add(conversation.session);
  figure.project = conversation.project;
  if (!prefixBreak) return;
  figure.breaks[prefixBreak.cause]++;
  figure.lastBreak = prefixBreak.what;
}

function recordAnswer(
  gateway: GatewayContext,
  understood: Understood,
  said: Answer,
  how: { readonly hasLeft: boolean; readonly firstMs: number | null },
): void {
  const { answerId, sent, isContinued, hasInstructions } = understood;
  try {
    if (isContinued && said.isWhole) gateway.recent.put(answerId, { sent, hasInstructions, item: said.item });
    recordTurn(gateway, understood, said, how);
  } catch (error) {
    gateway.onFailure(error, 'an answer could not be recorded');
  }
}

function recordTurn(
  { recogniser, recorder, upstream, figures }: GatewayContext,
  { sent, client, recognised, asked, target, lineage, answerId, sentMs }: Understood,
  said: Answer,
  { hasLeft, firstMs }: { readonly hasLeft: boolean; readonly firstMs: number | null },
): void {
  const { item } = said;
  figures.answered(client, said.usage);
  if (recognised?.kind !== 'turn') return;
  if (item.text === '' && !item.calls && !item.reasoning) return;
  const { conversation, last } = recognised;
  const answer = recogniser.conversations.add(conversation, last, item, true, answerId);
  const isLlama = target.description.kind === 'llama-server';
  recorder.record({
    answer,
    cut: cutOf(said, hasLeft),
    system: asked.system,
    engine: target.spec,
    description: target.description,
    lineage,
    reuse: reuseOf(said, firstMs === null ? null : firstMs - sentMs),
    ids: async () => {
      if (said.ids || !isLlama) return said.ids;
      const body = objectOf(parsed(sent)) ?? {};
      const prompt = await llamaIds(
        upstream,
        target.address,
        body,
        chatMessageOf(item),
        AbortSignal.timeout(30_000),
      ).catch(() => null);
      return prompt && { prompt, output: [] };
    },
  });
}

function cutOf({ isWhole, finishReason }: Answer, hasLeft: boolean): CutReason | null {
  if (isWhole) return finishReason === 'length' ? 'limit' : null;
  return hasLeft ? 'stopped' : 'failed';
}
