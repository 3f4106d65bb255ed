import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { randomId } from '../../base/hash.ts';
import type { Lineage } from '../../core/ports/lineages.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { CutReason } from '../../protocol/schemas/session.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../engines.ts';
import { ChatAnswer } from '../formats/chatAnswer.ts';
import type { Format, StreamOptions } from '../formats/format.ts';
import type { Answer, Asked } from '../formats/item.ts';
import { objectOf, parsed, type JsonObject } from '../formats/json.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { heldLine } from '../passing/heldLine.ts';
import { llamaIds } from '../passing/llamaIds.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody, relayEvents } from '../passing/relay.ts';
import { clientOf, conversationName, type HeaderOf } from '../recognition/clientIds.ts';
import { projectOf } from '../recognition/project.ts';
import type { Said } from '../recognition/conversations.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { reuseOf } from '../recording/reuseOf.ts';

/** A request as the gateway understands it. */
interface Understood {
  readonly body: JsonObject;
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
export const converse =
  (format: Format) =>
  async (gateway: GatewayContext, { req, res, address, client: known, signal }: GatewayRequest): Promise<void> => {
    const { targets, upstream, recogniser, outside, clock } = gateway;
    const text = (await readBody(req)).toString('utf8');
    const body = objectOf(parsed(text));
    const asked = body && format.read(body);
    if (!body || !asked)
      throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
    const header: HeaderOf = (name) => headerOf(req.headers[name]);
    const client = known?.name ?? clientOf(header);
    const records = known?.records ?? true;
    const project = projectOf(address.project, header, asked);
    const target = await targets.of(targets.defaultSpec, signal);
    const previous = await previousTurn(gateway, format.previousOf?.(body) ?? null);
    const of = previous ? previous.said.conversation.project : project;
    const asker = { client, project: of, ...conversationName(header, body, client, of) };
    const recognise = (): Recognised | null => {
      if (!records) return null;
      return previous
        ? recogniser.goOn(previous.said, asked, asker, clock.elapsedMs())
        : recogniser.recognise(asked, asker, clock.elapsedMs());
    };
    const lineage = await outside.lineageOf(asker.project);
    let recognised = recognise();
    const isThere = await heldLine(res, asked.streams, () => makeRoom(gateway, target, recognised, signal));
    if (!isThere && recognised?.conversation) {
      recogniser.forget(recognised.conversation);
      recognised = recognise();
    }
    const receipt = receiptHeaders(recognised);
    noteRequest(gateway, client, recognised);
    const understood: Understood = {
      body,
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
          body: format.chatBody(
            text,
            body,
            addedFields(body, asked, target, outside.saltOf(lineage)),
            previous?.messages,
          ),
        },
        signal,
      )
      .catch((error: unknown) => {
        targets.doubt(target.spec);
        throw error;
      });
    const hasBegun = res.headersSent;
    if (!hasBegun) res.writeHead(reply.statusCode, { ...answerHeaders(reply.headers), ...receipt });
    if (reply.statusCode !== 200) {
      targets.doubt(target.spec);
      await relayRefusal(reply, res, hasBegun);
      return void res.end();
    }
    const options: StreamOptions = { body, answerId: understood.answerId, closing: reuseLine(recognised) };
    let firstMs: number | null = null;
    if (String(reply.headers['content-type'] ?? '').includes('text/event-stream')) {
      const stream = format.stream(options);
      const onFirst = (): void => void (firstMs ??= clock.elapsedMs());
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
    res.end(objectOf(parsed(whole)) ? format.whole(whole, options) : whole);
  };

interface Previous {
  readonly said: Said;
  /** What was said up to it, as chat messages. */
  readonly messages: readonly object[];
}

/** The answer that a request continues by its id. @throws CwmError MessageNotFound. */
async function previousTurn(
  { recogniser, recorder, outside }: GatewayContext,
  id: string | null,
): Promise<Previous | null> {
  if (id === null) return null;
  const said = recogniser.conversations.answer(id as MessageId);
  if (!said) {
    throw new CwmError('MessageNotFound', `There is no response "${id.slice(0, 80)}" to continue.`, {
      hint: 'Send the whole conversation without previous_response_id.',
    });
  }
  await recorder.storedOf(said.conversation.session);
  return { said, messages: await outside.chatUpTo(said.conversation.session, said.id) };
}

/** An error of the server comes as it is; where the stream has begun already, as an event of it. */
async function relayRefusal(reply: Dispatcher.ResponseData, res: ServerResponse, hasBegun: boolean): Promise<void> {
  if (!hasBegun) return void (await relayBody(reply.body, res));
  const said = await reply.body.text();
  const error = objectOf(objectOf(parsed(said))?.['error']) ?? { message: said.slice(0, 2000), type: 'api_error' };
  res.write(`data: ${JSON.stringify({ error: { ...error, code: reply.statusCode } })}\n\n`);
}

/**
 * Before the prompt is sent: what the conversation needs is brought back, and what the server has instead is saved.
 *
 * @returns false where the conversation's session is gone.
 */
async function makeRoom(
  { outside, recorder }: GatewayContext,
  { spec, description, slots }: Target,
  recognised: Recognised | null,
  signal: AbortSignal,
): Promise<boolean> {
  const conversation = recognised?.conversation ?? null;
  if (conversation) await outside.giveWay(conversation.session, signal);
  const isTurn = recognised?.kind === 'turn';
  const hasOneSlot = description.kind === 'llama-server' && slots === 1;
  const isElsewhere = hasOneSlot && outside.holderOf(spec) !== (isTurn ? conversation?.session : null);
  if (isElsewhere) await outside.saveHolder(spec);
  if (isTurn && recognised.known > 0 && (recognised.conversation.mayBeCold || isElsewhere)) {
    await recorder.storedOf(recognised.conversation.session);
    const isThere = await outside.makeReady(recognised.conversation.session, signal);
    recognised.conversation.mayBeCold = false;
    if (!isThere) return false;
  }
  if (description.kind === 'llama-server') outside.tookEngine(spec, isTurn ? recognised.conversation.session : null);
  return true;
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

function receiptHeaders(recognised: Recognised | null): Record<string, string> {
  if (recognised?.kind !== 'turn') return { 'x-cwm-recorded': 'no' };
  return { 'x-cwm-recorded': 'yes', 'x-cwm-session': recognised.conversation.session };
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
  { recogniser, recorder, upstream, figures }: GatewayContext,
  { body, client, recognised, asked, target, lineage, answerId, sentMs }: Understood,
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
      const message = { role: 'assistant', content: item.text };
      const prompt = await llamaIds(upstream, target.address, body, message, AbortSignal.timeout(30_000)).catch(
        () => null,
      );
      return prompt && { prompt, output: [] };
    },
  });
}

function cutOf({ isWhole, finishReason }: Answer, hasLeft: boolean): CutReason | null {
  if (isWhole) return finishReason === 'length' ? 'limit' : null;
  return hasLeft ? 'stopped' : 'failed';
}
