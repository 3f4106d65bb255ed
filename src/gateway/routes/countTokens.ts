import type { EngineKind } from '../../core/ports/engine.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { messagesAsChat } from '../formats/messages/messagesFormat.ts';
import { answerHeaders, ownHeaders, upstreamHeaders } from '../passing/headers.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody } from '../passing/relay.ts';

interface InChat {
  readonly messages: unknown;
  readonly tools?: unknown;
}

/** Null for what chats have no form for. */
function inChat(body: JsonObject, kind: EngineKind): InChat | null {
  try {
    return messagesAsChat(body, kind === 'llama-server' ? kind : 'vllm') as InChat;
  } catch (error) {
    if (isCwmError(error, 'InvalidParameter')) return null;
    throw error;
  }
}

/** Counts the tokens of a request of Messages with the model server's own template and tokenizer, which computes nothing. */
export async function countTokens({ targets, upstream }: GatewayContext, request: GatewayRequest): Promise<void> {
  const { req, res, signal, address: asked } = request;
  const text = (await readBody(req)).toString('utf8');
  const body = objectOf(parsed(text));
  if (!body || !Array.isArray(body['messages']))
    throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
  const target = await targets.for(request);
  const { address, description } = target;
  const chat = inChat(body, description.kind);
  if (chat === null || description.kind === 'openai') {
    if (await targets.hasRoute(target, '/v1/messages/count_tokens', signal)) {
      const headers = upstreamHeaders(req.headers, address.token);
      const reply = await upstream.send(address, { method: 'POST', path: asked.path, headers, body: text }, signal);
      res.writeHead(reply.statusCode, answerHeaders(reply.headers));
      await relayBody(reply.body, res);
      return void res.end();
    }
  }
  const post = async (path: string, sent: object): Promise<JsonObject> => {
    const asking = { method: 'POST', path, headers: ownHeaders(address), body: JSON.stringify(sent) } as const;
    const reply = await upstream.send(address, asking, signal);
    const answer = objectOf(parsed(await reply.body.text()));
    if (reply.statusCode === 200 && answer) return answer;
    throw new CwmError('EngineRejected', 'The model server does not count the tokens of this request.');
  };
  const { messages, tools } = chat ?? (messagesAsChat(body) as InChat);
  const rendered = { messages, ...(tools !== undefined && { tools }), add_generation_prompt: true };
  const count =
    description.kind === 'llama-server'
      ? listOf(
          (
            await post('/tokenize', {
              content: textOf((await post('/apply-template', rendered))['prompt']),
              add_special: true,
            })
          )['tokens'],
        ).length
      : countOf((await post('/tokenize', { model: description.model.id, ...rendered }))['count']);
  if (count === null) throw new CwmError('EngineRejected', 'The model server does not count tokens.');
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ input_tokens: count }));
}
