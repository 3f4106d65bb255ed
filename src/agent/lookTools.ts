import * as z from 'zod/mini';
import { CwmError } from '../protocol/errors.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { WindowDetails, WindowSummary } from '../protocol/schemas/window.ts';
import type { AgentBackend, AgentTool } from './agentTool.ts';
import { count, described, modelServer, pageInput, pageOutput, sessionId, windowName } from './fields.ts';
import { pageAnswer, pageOf } from './page.ts';

type Input<Name extends keyof ReturnType<typeof lookToolShapes>> = z.input<
  ReturnType<typeof lookToolShapes>[Name]['input']
>;
type Output<Name extends keyof ReturnType<typeof lookToolShapes>> = z.input<
  ReturnType<typeof lookToolShapes>[Name]['output']
>;

const windowList: AgentTool<Input<'window_list'>, Output<'window_list'>> = {
  title: 'List Windows',
  description: 'Lists stored windows, newest first unless sorted otherwise. Long lists come in pages.',
  effect: 'reads',
  async run(backend, input) {
    const page = pageOf(input, 20);
    const found = await backend.call('listWindows', {
      ...page,
      tags: input.tags?.join(','),
      model: input.model,
      session: input.session_id,
      project: input.project,
      createdAfter: input.created_after,
      createdBefore: input.created_before,
      search: input.search,
      sortBy: input.sort_by && sortFields[input.sort_by],
      order: input.sort_order,
    });
    return { windows: found.items.map(shownWindow), ...pageAnswer(page, found) };
  },
};

const sortFields = { name: 'name', created_at: 'createdAt', token_count: 'tokens', size: 'kvBytes' } as const;

const sessionList: AgentTool<Input<'session_list'>, Output<'session_list'>> = {
  title: 'List Sessions',
  description: 'Lists sessions (conversations), most recently changed first. Long lists come in pages.',
  effect: 'reads',
  async run(backend, input) {
    const page = pageOf(input, 50);
    const { state_filter: lifecycle, model, search, project } = input;
    const found = await backend.call('listSessions', { ...page, lifecycle, model, search, project });
    return { sessions: found.items.map(shownSession), ...pageAnswer(page, found) };
  },
};

const windowStatus: AgentTool<Input<'window_status'>, Output<'window_status'>> = {
  title: 'Show Status',
  description: 'Shows one window or one session: its state, its tokens, its KV cache and how much of it was reused.',
  effect: 'reads',
  async run(backend, { session_id, window_name, ...include }) {
    if ((session_id === undefined) === (window_name === undefined))
      throw new CwmError('InvalidParameter', 'Name either a session or a window, and not both.');
    return window_name === undefined
      ? await sessionStatus(backend, session_id ?? '', include)
      : await windowStatusOf(backend, window_name, include);
  },
};

/** More than these would fill an agent's own context. */
const mostBlocks = 1000;

type Include = Omit<Input<'window_status'>, 'session_id' | 'window_name'>;

async function windowStatusOf(
  backend: AgentBackend,
  window: string,
  include: Include,
): Promise<Output<'window_status'>> {
  const details = await detailsOf(backend, window, include);
  const { manifest, summary, lineageWindows, receipts } = details;
  const last = receipts.at(-1);
  return {
    type: 'window',
    id: summary.name,
    state: summary.mode,
    model: summary.model,
    token_count: summary.tokens,
    kv_cache: kvCacheOf(details),
    timestamps: { created: manifest.createdAt, updated: last?.at ?? manifest.createdAt, frozen: manifest.createdAt },
    session_id: summary.session,
    description: summary.description,
    tags: summary.tags,
    lineage: (include.include_lineage ?? true) ? lineageWindows : null,
    blocks: blocksOf(details),
    cache_stats: include.include_cache_stats ? await cacheStatsOf(backend, details) : null,
    last_receipt: last
      ? { operation: last.operation, verdict: last.verdict, summary: last.summary, at: last.at }
      : null,
  };
}

/** What a session has of KV is in the window that froze it; of an open one, nobody knows. */
async function sessionStatus(backend: AgentBackend, id: string, include: Include): Promise<Output<'window_status'>> {
  const session = await backend.call('getSession', { session: id });
  const frozen = session.frozenAs === null ? null : await detailsOf(backend, session.frozenAs, include);
  return {
    type: 'session',
    id: session.id,
    state: session.lifecycle,
    model: session.model?.id ?? null,
    token_count: session.tokens?.count ?? 0,
    kv_cache: frozen
      ? kvCacheOf(frozen)
      : { block_count: null, total_size_bytes: null, storage_tier: null, hit_rate: null },
    timestamps: {
      created: session.createdAt,
      updated: session.updatedAt,
      frozen: frozen?.manifest.createdAt ?? null,
    },
    session_id: session.id,
    description: session.description ?? '',
    tags: session.tags ?? [],
    lineage: frozen && include.include_lineage ? frozen.lineageWindows : null,
    blocks: frozen && blocksOf(frozen),
    cache_stats: frozen && include.include_cache_stats ? await cacheStatsOf(backend, frozen) : null,
    last_receipt: null,
  };
}

const detailsOf = (
  backend: AgentBackend,
  window: string,
  { include_blocks: blocks }: Include,
): Promise<WindowDetails> => backend.call('getWindow', { window, ...(blocks && { blocks }) });

const kvCacheOf = ({ kv, summary, receipts }: WindowDetails): Output<'window_status'>['kv_cache'] => ({
  block_count: kv.blockTokens === null ? null : Math.floor(summary.tokens / kv.blockTokens),
  total_size_bytes: summary.kvBytes,
  storage_tier: receipts.at(-1)?.tier ?? null,
  hit_rate: hitRateOf(summary),
});

const hitRateOf = ({ reuse }: WindowSummary): number | null =>
  reuse.promptTokens === 0 ? null : reuse.cachedTokens / reuse.promptTokens;

const blocksOf = ({ blocks }: WindowDetails): Output<'window_status'>['blocks'] =>
  blocks?.slice(0, mostBlocks).map(({ hash, sizeBytes, checksum }) => ({ hash, size_bytes: sizeBytes, checksum })) ??
  null;

async function cacheStatsOf(
  backend: AgentBackend,
  { kv, summary }: WindowDetails,
): Promise<Output<'window_status'>['cache_stats']> {
  const { cache } = await backend.call('metrics', {});
  const server = cache.engines.find(({ kind }) => kind === kv.engineKind);
  return {
    thaws: summary.reuse.thaws,
    prompt_tokens: summary.reuse.promptTokens,
    cached_tokens: summary.reuse.cachedTokens,
    hit_rate: hitRateOf(summary),
    model_server: server
      ? {
          kind: server.kind,
          connected: server.connected,
          hit_rate: server.hitRate,
          cached_tokens: server.cachedTokens,
        }
      : null,
  };
}

const shownWindow = (window: WindowSummary): Output<'window_list'>['windows'][number] => ({
  name: window.name,
  session_id: window.session,
  description: window.description,
  tags: window.tags,
  model: window.model,
  token_count: window.tokens,
  total_size_bytes: window.kvBytes,
  parent_window: window.parentWindow,
  project: window.project,
  pinned: window.pinned,
  last_verdict: window.lastThaw?.verdict ?? null,
  created_at: window.createdAt,
});

const shownSession = (session: Session): Output<'session_list'>['sessions'][number] => ({
  session_id: session.id,
  title: session.title,
  state: session.lifecycle,
  model: session.model?.id ?? null,
  token_count: session.tokens?.count ?? 0,
  project: session.project,
  branch: session.activeBranch,
  frozen_as: session.frozenAs,
  created_at: session.createdAt,
  updated_at: session.updatedAt,
});

/** What shows windows and sessions, and changes nothing. */
export const lookTools = { window_list: windowList, window_status: windowStatus, session_list: sessionList } as const;

const project = () =>
  z.optional(described(z.string(), 'Only those of this project: its URI, as "set_working_directory" answers it.'));

export const lookToolShapes = () =>
  ({
    window_list: {
      input: z.object({
        tags: z.optional(described(z.array(z.string()), 'Only windows with all of these tags.')),
        model: z.optional(described(z.string(), 'Only windows of this model.')),
        session_id: z.optional(sessionId()),
        project: project(),
        created_after: z.optional(described(z.string(), 'ISO 8601.')),
        created_before: z.optional(described(z.string(), 'ISO 8601.')),
        search: z.optional(described(z.string(), 'Text in the name or the description.')),
        sort_by: z.optional(described(z.enum(['name', 'created_at', 'token_count', 'size']), 'Default: created_at.')),
        sort_order: z.optional(described(z.enum(['asc', 'desc']), 'Default: desc.')),
        ...pageInput(20),
      }),
      output: z.object({
        windows: z.array(
          z.object({
            name: z.string(),
            session_id: z.string(),
            description: z.string(),
            tags: z.array(z.string()),
            model: z.string(),
            token_count: z.number(),
            total_size_bytes: count(),
            parent_window: z.nullable(z.string()),
            project: z.nullable(z.string()),
            pinned: z.boolean(),
            last_verdict: z.nullable(z.string()),
            created_at: z.string(),
          }),
        ),
        ...pageOutput(),
      }),
    },
    window_status: {
      input: z.object({
        session_id: z.optional(sessionId()),
        window_name: z.optional(windowName()),
        include_lineage: z.optional(
          described(
            z.boolean(),
            'The windows that it was cloned from. Default: true for a window, false for a session.',
          ),
        ),
        include_blocks: z.optional(
          described(z.boolean(), `Its KV block files, in order, the first ${mostBlocks} at most. Default: false.`),
        ),
        include_cache_stats: z.optional(
          described(z.boolean(), 'What its thaws, and all requests to servers of its kind, reused. Default: false.'),
        ),
      }),
      output: z.object({
        type: z.enum(['window', 'session']),
        id: z.string(),
        state: z.string(),
        model: z.nullable(z.string()),
        token_count: z.number(),
        kv_cache: z.object({
          block_count: count(),
          total_size_bytes: count(),
          storage_tier: z.nullable(z.string()),
          hit_rate: count(),
        }),
        timestamps: z.object({ created: z.string(), updated: z.string(), frozen: z.nullable(z.string()) }),
        session_id: z.string(),
        description: z.string(),
        tags: z.array(z.string()),
        lineage: z.nullable(z.array(z.string())),
        blocks: described(
          z.nullable(z.array(z.object({ hash: z.string(), size_bytes: z.number(), checksum: z.string() }))),
          'Empty where the block files are out of reach.',
        ),
        cache_stats: z.nullable(
          z.object({
            thaws: z.number(),
            prompt_tokens: z.number(),
            cached_tokens: z.number(),
            hit_rate: count(),
            model_server: z.nullable(modelServer()),
          }),
        ),
        last_receipt: z.nullable(
          z.object({
            operation: z.string(),
            verdict: z.nullable(z.string()),
            summary: z.string(),
            at: z.string(),
          }),
        ),
      }),
    },
    session_list: {
      input: z.object({
        state_filter: z.optional(
          described(z.enum(['active', 'frozen', 'thawed', 'expired', 'deleted']), 'Only sessions in this state.'),
        ),
        model: z.optional(described(z.string(), 'Only sessions of this model.')),
        search: z.optional(described(z.string(), 'Text in the title.')),
        project: project(),
        ...pageInput(50),
      }),
      output: z.object({
        sessions: z.array(
          z.object({
            session_id: z.string(),
            title: z.string(),
            state: z.string(),
            model: z.nullable(z.string()),
            token_count: z.number(),
            project: z.nullable(z.string()),
            branch: z.string(),
            frozen_as: z.nullable(z.string()),
            created_at: z.string(),
            updated_at: z.string(),
          }),
        ),
        ...pageOutput(),
      }),
    },
  }) as const;
