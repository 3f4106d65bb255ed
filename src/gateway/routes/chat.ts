import { CwmError } from '../../protocol/errors.ts';
import type { CutReason } from '../../protocol/schemas/session.ts';
import { ChatAnswer } from '../formats/chatAnswer.ts';
import { readChatRequest } from '../formats/chatCompletions.ts';
import type { Answer, Asked } from '../formats/item.ts';
import { objectOf, parsed, type JsonObject } from '../formats/json.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../engines.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { ChatPassage } from '../passing/chatPassage.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody, relayEvents } from '../passing/relay.ts';
import { withFields } from '../passing/splice.ts';
import { withoutIds } from '../passing/answerIds.ts';
import { clientOf, conversationKey, type HeaderOf } from '../recognition/clientIds.ts';
import { projectOf } from '../recognition/project.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import type { Lineage } from '../../core/ports/lineages.ts';

/** Passes a chat on, and records it as a turn of its conversation unless it is none. */
export async function passChat(gateway: GatewayContext, { req, res, address, signal }: GatewayRequest): Promise<void> {
  const { targets, upstream, recogniser, outside, clock } = gateway;
  const text = await readBody(req);
  const body = objectOf(parsed(text));
  const asked = body && readChatRequest(body);
  if (!body || !asked)
    throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
  const header: HeaderOf = (name) => headerOf(req.headers[name]);
  const client = clientOf(header);
  const project = projectOf(address.project, header, asked);
  const key = conversationKey(header, body, client);
  const target = await targets.of(targets.defaultSpec, signal);
  const lineage = await outside.lineageOf(project);
  const recognised = recogniser.recognise(asked, { client, project, key }, clock.elapsedMs());
  if (recognised?.conversation) await outside.giveWay(recognised.conversation.session, signal);
  const answer = await upstream
    .send(
      target.address,
      {
        method: 'POST',
        path: address.path,
        headers: upstreamHeaders(req.headers, target.address.token),
        body: withFields(text, addedFields(body, asked, target, outside.saltOf(lineage))),
      },
      signal,
    )
    .catch((error: unknown) => {
      targets.doubt(target.spec);
      throw error;
    });
  res.writeHead(answer.statusCode, {
    ...answerHeaders(answer.headers),
    ...receiptHeaders(recognised),
  });
  if (answer.statusCode !== 200) {
    targets.doubt(target.spec);
    await relayBody(answer.body, res);
    return void res.end();
  }
  const record = (said: Answer): void =>
    recordAnswer(gateway, { recognised, asked, target, lineage, said, hasLeft: signal.aborted });
  if (String(answer.headers['content-type'] ?? '').includes('text/event-stream')) {
    const passage = new ChatPassage({ showsUsage: showsUsage(body), closing: reuseComment });
    try {
      await relayEvents(answer.body, res, passage);
    } finally {
      record(passage.answer);
    }
    return void res.end();
  }
  const whole = await answer.body.text();
  const said = new ChatAnswer();
  said.body(whole);
  record(said.answer);
  res.end(withoutIds(whole));
}

const headerOf = (value: string | string[] | undefined): string | null =>
  value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;

const showsUsage = (body: JsonObject): boolean => objectOf(body['stream_options'])?.['include_usage'] === true;

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

const receiptHeaders = (recognised: Recognised | null): Record<string, string> => {
  if (recognised?.kind !== 'turn') return { 'x-cwm-recorded': 'no' };
  return { 'x-cwm-recorded': 'yes', 'x-cwm-session': recognised.conversation.session };
};

const reuseComment = ({ usage }: Answer): string =>
  usage === null || usage.cachedTokens === null
    ? ''
    : `: cwm reused ${usage.cachedTokens} of ${usage.promptTokens} prompt tokens\n\n`;

interface Answered {
  readonly recognised: Recognised | null;
  readonly asked: Asked;
  readonly target: Target;
  readonly lineage: Lineage;
  readonly said: Answer;
  /** The client did not wait for its end. */
  readonly hasLeft: boolean;
}

function recordAnswer(
  { recogniser, recorder }: GatewayContext,
  { recognised, asked, target, lineage, said, hasLeft }: Answered,
): void {
  const { item } = said;
  if (recognised?.kind !== 'turn') return;
  if (item.text === '' && !item.calls && !item.reasoning) return;
  const answer = recogniser.conversations.add(recognised.conversation, recognised.last, item, true);
  recorder.record({
    answer,
    cut: cutOf(said, hasLeft),
    system: asked.system,
    engine: target.spec,
    description: target.description,
    lineage,
    ids: said.ids,
  });
}

function cutOf({ isWhole, finishReason }: Answer, hasLeft: boolean): CutReason | null {
  if (isWhole) return finishReason === 'length' ? 'limit' : null;
  return hasLeft ? 'stopped' : 'failed';
}
