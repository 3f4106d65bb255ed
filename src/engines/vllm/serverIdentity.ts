import { sha256Hex } from '../../base/hash.ts';
import type { EmbeddedKinds } from './blocks/embeddedLayout.ts';
import type { EngineDescription } from '../../core/ports/engine.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { Link, LinkRequest } from '../http/link.ts';
import { expectedHashProfile } from './hashProfile.ts';
import { choiceNotices, pickModel, useOf, type ModelChoice } from './models.ts';
import { vllmNotices } from './notices.ts';
import { readServerMetrics, type ServerMetrics } from './metrics/serverMetrics.ts';
import { modelsSchema, versionSchema, type ModelEntry } from './wire.ts';

/** The facts about a server, with those that only this adapter needs. */
export interface ServerIdentity {
  /** A change of server, version, model or context length changes this. */
  readonly key: string;
  /** Start time of its process; null when it did not say in time, as a busy server may. */
  readonly startedSeconds: number | null;
  /** Its counters at that time. */
  readonly metrics: ServerMetrics | null;
  /** The address that answered. */
  readonly label: string;
  readonly description: EngineDescription;
  /** Whether it takes vLLM's own fields. */
  readonly speaksVllm: boolean;
  /** Texts that end an answer in chats. */
  readonly stops: readonly string[];
  /** Folder with the embedded engine's block files, when it is on this machine. */
  readonly blockDir: string | null;
  /** What the embedded engine stores of each block there. */
  readonly blockFiles: EmbeddedKinds;
}

/** Whether knowledge of one server still holds for the other. */
export const isSameServer = (known: ServerIdentity, now: ServerIdentity): boolean =>
  known.key === now.key && (now.startedSeconds === null || known.startedSeconds === now.startedSeconds);

/** The part of {@link Link} that this needs. */
export type Asker = Pick<Link, 'json' | 'text' | 'label' | 'isLocal'>;

const get = (path: string): LinkRequest => ({ method: 'GET', path, patience: 'small', wrongAnswer: 'NotAnEngine' });

/** A server that was there before is asked for everything at once. */
const isKnown = ({ before }: ModelChoice): boolean => before !== undefined;

/** How many answers {@link identifyServer} waits for one after another. */
export const roundsToIdentify = (choice: ModelChoice): number => (isKnown(choice) ? 1 : 2);

/**
 * Asks a server for its identity. The server computes nothing for it.
 *
 * @param choice the model to use on a server with several.
 * @throws CwmError ModelMismatch when that model is not served, NotAnEngine when this is no model server.
 */
export async function identifyServer(link: Asker, choice: ModelChoice, signal: AbortSignal): Promise<ServerIdentity> {
  const unneeded = new AbortController();
  try {
    return await identify(link, choice, AbortSignal.any([signal, unneeded.signal]));
  } finally {
    unneeded.abort();
  }
}

async function identify(link: Asker, choice: ModelChoice, signal: AbortSignal): Promise<ServerIdentity> {
  const readRest = () => Promise.all([readVersion(link, signal), readMetrics(link, signal)]);
  const begun = isKnown(choice) ? readRest() : null;
  // Where it does not even list its models, that is its failure.
  begun?.catch(() => undefined);
  const entries = await readModels(link, choice, signal);
  const entry = pickModel(entries, choice, link.label);
  const [version, metrics] = await (begun ?? readRest());
  const cwm = entry.cwm ?? null;
  const kind = cwm ? 'embedded' : version !== null && isVllm(entry, metrics) ? 'vllm' : 'openai';
  const shownVersion = version ?? 'unknown';
  const cacheConfig = metrics?.cacheConfig ?? null;
  const blockSize = Number(cacheConfig?.['block_size']);
  const blockTokens = cwm?.blockTokens ?? (Number.isInteger(blockSize) && blockSize > 0 ? blockSize : null);
  return {
    label: link.label,
    key: JSON.stringify([
      link.label,
      version,
      entry.id,
      entry.root,
      entry.parent,
      entry.max_model_len,
      cwm?.fingerprint,
      cwm?.blockDir,
      cwm?.takesTools,
    ]),
    startedSeconds: metrics?.processStartSeconds ?? null,
    metrics,
    description: {
      kind,
      version: shownVersion,
      model: {
        id: entry.id,
        root: entry.root ?? null,
        maxModelLen: entry.max_model_len ?? null,
        fingerprint: cwm?.fingerprint ?? null,
        ...adaptersOf(entry),
      },
      blockTokens,
      hashProfile: cwm
        ? (cwm.hashProfile ?? null)
        : kind === 'vllm'
          ? expectedHashProfile(shownVersion, cacheConfig?.['prefix_caching_hash_algo'])
          : null,
      takesTokenIds: kind !== 'openai',
      ...(kind === 'embedded' && { takesPictures: false }),
      ...(cwm?.takesTools === false && { noToolsWhy: noToolsInTemplate }),
      isUntried: !cwm && blockTokens === null,
      models: entries.map((served) => ({ id: served.id, use: useOf(served) })),
      notices: [
        ...noticesOf(kind, shownVersion, metrics, cwm?.notice ?? null),
        ...choiceNotices(entries, entry, choice),
      ],
    },
    stops: cwm?.stopStrings ?? [],
    // A proxy may hide every sign of vLLM but the owner of its models.
    speaksVllm: cwm !== null || isVllm(entry, metrics),
    // A server elsewhere could name any folder here, and files in it would be deleted.
    blockDir: link.isLocal ? (cwm?.blockDir ?? null) : null,
    blockFiles: cwm?.blockFiles ?? 'rows',
  };
}

/**
 * A LoRA adapter is an entry of its own, with its base model and the path that it was loaded from: its name alone may mean another one
 * later.
 */
const adaptersOf = ({ parent, root }: ModelEntry): Pick<EngineDescription['model'], 'adapters'> =>
  parent ? { adapters: `lora-${sha256Hex(JSON.stringify([parent, root ?? null])).slice(0, 16)}` } : {};

const noToolsInTemplate =
  "This model's chat template takes no tools, so the model is offered none. A template that does can be set: --embedded-chat-template, cwm.embedded.chatTemplate.";

const isVllm = (entry: ModelEntry, metrics: ServerMetrics | null): boolean =>
  entry.owned_by === 'vllm' || metrics?.isVllm === true;

function noticesOf(
  kind: EngineDescription['kind'],
  version: string,
  metrics: ServerMetrics | null,
  notice: string | null,
): string[] {
  if (kind === 'vllm') return vllmNotices(version, metrics);
  if (kind === 'openai') {
    return [
      'This server is not vLLM: it shows no KV that could be named or checked, so whether it reuses any is known only as far as it reports cached tokens. Conversations and windows keep their text.',
    ];
  }
  return notice === null ? [] : [notice];
}

/** Null when the server gives none: then it is not vLLM. */
async function readVersion(link: Asker, signal: AbortSignal): Promise<string | null> {
  return unlessAbsent(async () => (await link.json(get('/version'), versionSchema, signal)).value.version);
}

/**
 * The present counters; null when the server shows none.
 *
 * @throws CwmError EngineUnavailable, Cancelled.
 */
export async function readMetrics(link: Asker, signal: AbortSignal): Promise<ServerMetrics | null> {
  return unlessAbsent(async () => readServerMetrics(await link.text(get('/metrics'), signal)));
}

/** An optional part that cannot be read is missing, not wrong. Only a lost server, or a caller who left, ends the operation. */
async function unlessAbsent<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof CwmError && error.name !== 'EngineUnavailable' && error.name !== 'Cancelled') return null;
    throw error;
  }
}

/** A server without a list of models serves the one that the user names. */
async function readModels(link: Asker, { wanted }: ModelChoice, signal: AbortSignal): Promise<readonly ModelEntry[]> {
  try {
    return (await link.json(get('/v1/models'), modelsSchema, signal)).value.data;
  } catch (error) {
    const isNone = isCwmError(error, 'NotAnEngine') && noRoute.has(error.context?.['status']);
    if (!isNone) throw error;
    if (wanted !== undefined) return [];
    throw new CwmError('NotAnEngine', error.message, {
      cause: error,
      hint: 'Check that the URL is that of a model server that speaks the OpenAI API. If it lists no models, name one: #model=NAME behind the URL.',
      ...(error.context && { context: error.context }),
    });
  }
}

const noRoute: ReadonlySet<unknown> = new Set([404, 405, 501]);
