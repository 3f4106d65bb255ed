import type * as z from 'zod/mini';
import { sha256Hex } from '../../base/hash.ts';
import type { EngineDescription } from '../../core/ports/engine.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { Link, LinkRequest } from '../http/link.ts';
import { llamaServerNotices } from './notices.ts';
import {
  adaptersSchema,
  anythingSchema,
  modelsSchema,
  propsSchema,
  slotsSchema,
  templateSchema,
  tokenizeSchema,
  type ModelEntry,
  type Props,
} from './wire.ts';

/** A llama-server as it was found. */
export interface ServerIdentity {
  /** Another one is another server, build, model or setting. */
  readonly key: string;
  /** Where it answered. */
  readonly label: string;
  /** Slot ids are 0 to this, exclusive. The server takes a larger one modulo this number, and so works in another client's slot. */
  readonly slots: number;
  readonly savesSlots: boolean;
  readonly showsSlots: boolean;
  readonly description: EngineDescription;
}

/** The part of {@link Link} that these requests use. */
export type Asker = Pick<Link, 'json' | 'label'>;

const get = (path: string): LinkRequest => ({ method: 'GET', path, patience: 'small', wrongAnswer: 'NotAnEngine' });
const post = (path: string, body: unknown): LinkRequest => ({ ...get(path), method: 'POST', body });

/**
 * Whether this is a llama-server whose slots can be used: one that is a router over several models, or stands behind a proxy that lets only
 * `/v1` through, is asked as any other server of the OpenAI API.
 *
 * @throws CwmError EngineUnavailable, EngineFailed, EngineDenied, EngineTimeout, Cancelled: the answer is unknown for now.
 */
export async function isLlamaServer(link: Asker, signal: AbortSignal): Promise<boolean> {
  const models = await unlessOther(() => link.json(get('/v1/models'), modelsSchema, signal));
  if (models === null || models.value.data[0]?.owned_by === 'vllm') return false;
  const template = post('/apply-template', { messages: [{ role: 'user', content: 'x' }] });
  const answers = await Promise.all([
    unlessOther(() => link.json(get('/props'), propsSchema, signal)),
    unlessOther(() => link.json(template, templateSchema, signal)),
    unlessOther(() => link.json(post('/tokenize', { content: 'x' }), tokenizeSchema, signal)),
  ]);
  return answers.every((answer) => answer !== null);
}

/**
 * Asks a llama-server for its identity. The server computes nothing, and no slot changes.
 *
 * @throws CwmError NotAnEngine when it is none, EngineFailed while it loads its model.
 */
export async function identifyServer(
  link: Asker,
  known: ServerIdentity | null,
  folderIsNamed: boolean,
  signal: AbortSignal,
): Promise<ServerIdentity> {
  const [models, props, adapters] = await Promise.all([
    link.json(get('/v1/models'), modelsSchema, signal),
    link.json(get('/props'), propsSchema, signal),
    readAdapters(link, signal),
  ]);
  const entry = models.value.data[0] as ModelEntry;
  const key = JSON.stringify([link.label, entry.id, entry.meta, pickProps(props.value), adapters]);
  if (known?.key === key) return known;
  const [savesSlots, showsSlots] = await Promise.all([asksToSave(link, signal), asksForSlots(link, signal)]);
  return {
    key,
    label: link.label,
    slots: props.value.total_slots,
    savesSlots,
    showsSlots,
    description: {
      kind: 'llama-server',
      takesTokenIds: true,
      ...(props.value.chat_template_caps?.supports_tools === false && { noToolsWhy: noToolsInTemplate }),
      freeArgumentsNote,
      takesPictures: props.value.modalities?.vision ?? false,
      version: readVersion(props.value),
      model: {
        id: modelName(entry.id),
        root: props.value.model_path ?? null,
        maxModelLen: props.value.default_generation_settings.n_ctx || null,
        fingerprint: shapeFingerprint(entry),
        ...(adapters !== null && { adapters }),
      },
      // Any prefix of a slot can be reused, token by token.
      blockTokens: 1,
      hashProfile: null,
      isUntried: false,
      notices: llamaServerNotices({ savesSlots, showsSlots, folderIsNamed }),
    },
  };
}

/** What the user should know where tools would not reach the model. */
export const noToolsInTemplate =
  "This model's chat template takes no tools, so the model is offered none. Start llama-server with --chat-template-file and a template that does.";

const freeArgumentsNote =
  'llama-server holds the arguments of calls that the model makes by itself to no schema. They are checked before a tool runs.';

const pickProps = ({
  total_slots,
  default_generation_settings,
  model_path,
  build_info,
  modalities,
  chat_template_caps,
}: Props) => [
  chat_template_caps?.supports_tools,
  total_slots,
  default_generation_settings.n_ctx,
  model_path,
  build_info,
  modalities,
];

/** A server that was given no name for its model calls it by its file: `/models/gemma-3-270m-Q4_K_M.gguf`. */
export const modelName = (id: string): string =>
  /\.gguf$/i.test(id)
    ? id
        .replace(/^.*[\\/]/, '')
        .replace(/\.gguf$/i, '')
        .replace(/-\d{5}-of-\d{5}$/, '')
    : id;

/** A build outside llama.cpp's own calls itself this. */
const readVersion = ({ build_info }: Props): string =>
  !build_info || build_info === 'b0-unknown' ? 'unknown' : build_info;

/** The server gives no digest of its weights, but these numbers differ between quantisations and sizes. */
function shapeFingerprint({ meta }: ModelEntry): string | null {
  if (!meta?.size || !meta.n_params) return null;
  const { n_vocab, n_embd, n_params, size, ftype } = meta;
  return `shape-${sha256Hex(JSON.stringify([n_vocab, n_embd, n_params, size, ftype])).slice(0, 16)}`;
}

/** Anybody may change their scales while the server runs, and they decide what KV is worth. Null where the server does not tell. */
async function readAdapters(link: Asker, signal: AbortSignal): Promise<string | null> {
  let listed: z.infer<typeof adaptersSchema>;
  try {
    listed = (await link.json({ ...get('/lora-adapters'), once: true }, adaptersSchema, signal)).value;
  } catch (error) {
    if (!isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
  const active = listed.filter(({ scale }) => scale !== 0).map(({ id, path, scale }) => [path ?? id, scale]);
  return active.length === 0 ? 'none' : `lora-${sha256Hex(JSON.stringify(active)).slice(0, 16)}`;
}

/** Asks for an action that does not exist: with a slot folder that is what is wrong, without one it is the action as such. */
async function asksToSave(link: Asker, signal: AbortSignal): Promise<boolean> {
  const request: LinkRequest = {
    ...get('/slots/0?action=probe'),
    method: 'POST',
    body: {},
    wrongAnswer: 'EngineFailed',
  };
  try {
    await link.json(request, anythingSchema, signal);
    return true;
  } catch (error) {
    if (isCwmError(error, 'EngineRejected')) return true;
    if (isCwmError(error, 'NotAnEngine')) return false;
    throw error;
  }
}

const asksForSlots = async (link: Asker, signal: AbortSignal): Promise<boolean> =>
  (await unlessOther(() => link.json(get('/slots'), slotsSchema, signal))) !== null;

/** Null where the server answers that it has no such thing, or with something else. */
async function unlessOther<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (isCwmError(error, 'ModelMismatch', 'NotAnEngine', 'EngineRejected', 'EngineDenied')) return null;
    throw error;
  }
}
