import type { EngineDescription } from '../../core/ports/engine.ts';
import { CwmError } from '../../protocol/errors.ts';
import { memorySuffix, memoryTokens } from '../../protocol/memory/memoryModel.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import { listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';

/** Every model of the server, and each once more with memory. */
export async function listModels({ targets, upstream }: GatewayContext, request: GatewayRequest): Promise<void> {
  const { req, res, address, signal } = request;
  const target = await targets.for(request);
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

/** What a server listed lately: its descriptions do not live long. */
const listed = new WeakMap<EngineDescription, ReadonlySet<string>>();

/**
 * The core asks the server's own model, whatever a client names. llama-server does so, too: there, every name is one of its model.
 *
 * @param named with the suffix. @throws CwmError RouteNotFound, and those of the engine.
 */
export async function requireModel(
  { targets, upstream }: GatewayContext,
  engine: string,
  named: string,
  signal: AbortSignal,
): Promise<void> {
  const name = named.slice(0, -memorySuffix.length);
  const { address, description } = await targets.of(engine, signal);
  if (name === description.model.id || description.kind === 'llama-server' || listed.get(description)?.has(name))
    return;
  const headers = upstreamHeaders({}, address.token);
  const reply = await upstream.send(address, { method: 'GET', path: '/v1/models', headers, body: null }, signal);
  const list = objectOf(parsed(await reply.body.text()))?.['data'];
  // One that lists none may have it.
  if (!Array.isArray(list)) return;
  const models = listOf(list).flatMap((each): JsonObject[] => [objectOf(each) ?? {}]);
  listed.set(description, new Set(models.filter((model) => !isAdapter(model)).map(({ id }) => textOf(id))));
  const found = models.find(({ id }) => id === name);
  if (found && !isAdapter(found)) return;
  throw new CwmError(
    'RouteNotFound',
    found
      ? `The model "${name}" is an adapter, which has no conversations with memory.`
      : `The model server has no model "${name}".`,
    { hint: 'GET /v1/models lists the models that it has.' },
  );
}

/** A LoRA adapter names the model that it changes. */
const isAdapter = (model: JsonObject): boolean => textOf(model['parent']) !== '';

function withMemory(list: JsonObject): JsonObject {
  const models = listOf(list['data']);
  return Array.isArray(list['data']) ? { ...list, data: [...models, ...models.flatMap(aliasesOf)] } : list;
}

function aliasesOf(given: unknown): JsonObject[] {
  const model = objectOf(given);
  const alias = model && !isAdapter(model) ? aliasOf(model) : null;
  return alias ? [alias] : [];
}

function aliasOf(model: JsonObject | null): JsonObject | null {
  const id = textOf(model?.['id']);
  if (!model || id === '') return model;
  // Servers have several names for it.
  return {
    ...model,
    id: id + memorySuffix,
    ...('root' in model && { root: id }),
    max_model_len: memoryTokens,
    context_length: memoryTokens,
    context_window: memoryTokens,
  };
}
