import type { GatewayContext, GatewayRequest } from '../context.ts';
import { listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';

/** Behind a model's name, it asks for a conversation that may be longer than the model's context. */
export const memorySuffix = '+memory';

/** What clients are told of the context: they shorten nothing by themselves then. */
const advertisedTokens = 1_000_000;

/** Every model of the server, and each once more with memory. */
export async function listModels(
  { targets, upstream }: GatewayContext,
  { req, res, address, signal }: GatewayRequest,
): Promise<void> {
  const target = await targets.of(targets.defaultSpec, signal);
  const headers = upstreamHeaders(req.headers, target.address.token);
  const path = address.path.replace(/(?:\+|%2B)memory(?=$|\?)/i, '');
  const reply = await upstream.send(target.address, { method: 'GET', path, headers, body: null }, signal);
  const text = await reply.body.text();
  const said = reply.statusCode === 200 ? objectOf(parsed(text)) : null;
  const passed = !said
    ? text
    : path === address.path
      ? JSON.stringify(withMemory(said))
      : JSON.stringify(aliasOf(said));
  const { 'content-encoding': _, ...kept } = answerHeaders(reply.headers);
  res.writeHead(reply.statusCode, kept);
  res.end(passed);
}

function withMemory(list: JsonObject): JsonObject {
  const models = listOf(list['data']);
  return Array.isArray(list['data'])
    ? { ...list, data: [...models, ...models.flatMap((model) => aliasOf(objectOf(model)) ?? [])] }
    : list;
}

function aliasOf(model: JsonObject | null): JsonObject | null {
  const id = textOf(model?.['id']);
  if (!model || id === '') return model;
  // Servers have several names for it.
  return {
    ...model,
    id: id + memorySuffix,
    ...('root' in model && { root: id }),
    max_model_len: advertisedTokens,
    context_length: advertisedTokens,
    context_window: advertisedTokens,
  };
}
