import * as z from 'zod/mini';
import type { AgentTool } from './agentTool.ts';
import { CwmError } from '../protocol/errors.ts';
import { count, described, modelServer, sessionId, tags } from './fields.ts';

type Input<Name extends keyof ReturnType<typeof backendToolShapes>> = z.input<
  ReturnType<typeof backendToolShapes>[Name]['input']
>;
type Output<Name extends keyof ReturnType<typeof backendToolShapes>> = z.input<
  ReturnType<typeof backendToolShapes>[Name]['output']
>;

const cacheStats: AgentTool<Input<'cache_stats'>, Output<'cache_stats'>> = {
  title: 'Show Cache Statistics',
  description: 'Shows how much KV cache is stored, and how much of it the model servers reused.',
  effect: 'reads',
  async run(backend) {
    const { turns, cache, space } = await backend.call('metrics', {});
    const engines = cache.engines.map(({ kind, connected, hitRate, cachedTokens }) => ({
      kind,
      connected,
      hit_rate: hitRate,
      cached_tokens: cachedTokens,
    }));
    return {
      kv_store: {
        total_blocks: cache.kv.totalBlocks,
        total_bytes: cache.kv.totalBytes,
        hit_rate: turns.hitRate,
        hits: turns.hits,
        misses: turns.misses,
        unknown: turns.unknown,
      },
      vllm: engines.find(({ kind }) => kind === 'vllm') ?? null,
      model_servers: engines,
      space: space && {
        total_bytes: space.totalBytes,
        quota_bytes: space.quotaBytes,
        free_bytes: space.freeBytes,
      },
    };
  },
};

const healthCheck: AgentTool<Input<'health_check'>, Output<'health_check'>> = {
  title: 'Check Health',
  description: 'Asks the store and each model server whether they work, for at most five seconds.',
  effect: 'reads',
  async run(backend, { component }) {
    const { status, uptimeSeconds, version, components = [] } = await backend.call('health', { probe: true });
    const parts = components.map(({ latencyMs, ...part }) => ({ ...part, latency_ms: latencyMs }));
    return {
      status,
      uptime_seconds: uptimeSeconds,
      version,
      components: component === undefined ? parts : parts.filter(({ name }) => name.includes(component)),
    };
  },
};

const getMetricsData: AgentTool<Input<'get_metrics_data'>, Output<'get_metrics_data'>> = {
  title: 'Show Figures',
  description: "Shows the backend's figures by name, and which of them need a look.",
  effect: 'reads',
  async run(backend, { name }) {
    const { metrics, alerts } = await backend.call('metrics', {});
    return {
      metrics: metrics
        .filter((metric) => name === undefined || metric.name.includes(name))
        .flatMap(({ values, type }) => values.map((value) => ({ ...value, type }))),
      alerts: alerts.map(({ name: alert, what, value, level }) => ({ name: alert, what, value, level })),
    };
  },
};

const autoFreezeConfig: AgentTool<Input<'auto_freeze_config'>, Output<'auto_freeze_config'>> = {
  title: 'Set Automatic Checkpoints',
  description:
    'Shows when sessions are saved without being asked for, after the changes that are given. Without a field it changes nothing.',
  effect: 'changes',
  readsWithoutFields: true,
  async run(backend, input) {
    if (input.include_prompt === false)
      throw new CwmError('InvalidParameter', 'A checkpoint without its token ids could not be loaded or proven.');
    const { include_prompt: _, ...changes } = input;
    const policy =
      Object.keys(changes).length === 0
        ? await backend.call('autoFreezePolicy', {})
        : await backend.call('autoFreezeConfig', {
            enabled: input.enabled,
            tokenThreshold: input.token_threshold,
            tokenCountThreshold: input.token_count_threshold,
            cooldownSeconds: input.cooldown_seconds,
            idleMinutes: input.idle_timeout_minutes,
            namePattern: input.window_name_pattern,
            tags: input.tags,
          });
    return {
      enabled: policy.enabled,
      token_threshold: policy.tokenThreshold,
      token_count_threshold: policy.tokenCountThreshold,
      cooldown_seconds: policy.cooldownSeconds,
      idle_timeout_minutes: policy.idleMinutes,
      window_name_pattern: policy.namePattern ?? null,
      tags: policy.tags ?? null,
      include_prompt: true,
    };
  },
};

const autoFreezeCheck: AgentTool<Input<'auto_freeze_check'>, Output<'auto_freeze_check'>> = {
  title: 'Check Automatic Checkpoint',
  description: 'Says whether a session is due to be saved without being asked for, and why.',
  effect: 'reads',
  async run(backend, { session_id }) {
    const check = await backend.call('autoFreezeCheck', { session: session_id });
    return {
      session_id: check.session,
      triggered: check.triggered,
      reason: check.reason,
      changed: check.isChanged,
      token_count: check.tokens,
      token_limit: check.limitTokens,
      threshold_percent: check.thresholdPercent,
      last_checkpoint: check.last
        ? {
            window_name: check.last.window,
            tags: check.lastTags ?? null,
            at: check.last.at,
            token_count: check.last.tokens,
            kv_bytes_written: check.last.kvBytesWritten,
            ms: check.last.ms,
          }
        : null,
    };
  },
};

const setWorkingDirectory: AgentTool<Input<'set_working_directory'>, Output<'set_working_directory'>> = {
  title: 'Set Working Directory',
  description:
    'Says in which folder you work. The answer names the project of the folder and its current session. Call it once at the start.',
  effect: 'changes',
  async run(backend, { directory }) {
    const place = await backend.call('setWorkingDirectory', { directory });
    const { project, name, id } = place.resolution;
    return {
      session_id: place.client,
      working_directory: place.workingDirectory,
      config_found: place.configFound,
      config_path: place.configPath,
      project_info: project === null ? null : { name, id, uri: project },
      current_session: place.currentSession,
      current_window: place.currentWindow,
    };
  },
};

/** How the backend and its model servers are, and what they do by themselves. */
export const backendTools = {
  cache_stats: cacheStats,
  health_check: healthCheck,
  get_metrics_data: getMetricsData,
  auto_freeze_config: autoFreezeConfig,
  auto_freeze_check: autoFreezeCheck,
  set_working_directory: setWorkingDirectory,
} as const;

const policy = () => ({
  enabled: z.boolean(),
  token_threshold: described(
    z.number().check(z.gt(0), z.lte(1)),
    "Share of the model's context at which a session is saved.",
  ),
  token_count_threshold: described(z.int().check(z.gte(0)), 'Number of tokens at which a session is saved; 0 is off.'),
  cooldown_seconds: described(z.int().check(z.gte(0)), 'Least time between two saves of a session.'),
  idle_timeout_minutes: described(z.number().check(z.gte(0)), 'A session that rests for so long is saved; 0 is never.'),
  include_prompt: described(z.boolean(), 'Always true: without its token ids, nothing could be loaded or proven.'),
});

const namePattern = () =>
  described(
    z.string().check(z.maxLength(128)),
    'How a checkpoint is called: letters, digits, "_" and "-" around {session_id}, {timestamp} or {count}.',
  );

export const backendToolShapes = () =>
  ({
    cache_stats: {
      input: z.object({}),
      output: z.object({
        kv_store: z.object({
          total_blocks: count(),
          total_bytes: count(),
          hit_rate: count(),
          hits: z.number(),
          misses: z.number(),
          unknown: described(z.number(), 'Turns of which the model server does not say whether they reused anything.'),
        }),
        vllm: z.nullable(modelServer()),
        model_servers: z.array(modelServer()),
        space: z.nullable(z.object({ total_bytes: z.number(), quota_bytes: count(), free_bytes: count() })),
      }),
    },
    health_check: {
      input: z.object({
        component: z.optional(described(z.string(), 'Only parts with this in their name.')),
      }),
      output: z.object({
        status: z.enum(['healthy', 'degraded', 'unhealthy']),
        uptime_seconds: z.number(),
        version: z.string(),
        components: z.array(
          z.object({ name: z.string(), status: z.string(), message: z.string(), latency_ms: count() }),
        ),
      }),
    },
    get_metrics_data: {
      input: z.object({ name: z.optional(described(z.string(), 'Only figures with this in their name.')) }),
      output: z.object({
        metrics: z.array(
          z.object({
            name: z.string(),
            type: z.string(),
            labels: z.record(z.string(), z.string()),
            value: z.number(),
          }),
        ),
        alerts: z.array(
          z.object({ name: z.string(), what: z.string(), value: count(), level: z.nullable(z.string()) }),
        ),
      }),
    },
    auto_freeze_config: {
      input: z.partial(z.object({ ...policy(), window_name_pattern: namePattern(), tags: tags() })),
      output: z.object({ ...policy(), window_name_pattern: z.nullable(namePattern()), tags: z.nullable(tags()) }),
    },
    auto_freeze_check: {
      input: z.object({ session_id: sessionId() }),
      output: z.object({
        session_id: z.string(),
        triggered: z.boolean(),
        reason: z.string(),
        changed: described(z.boolean(), 'Whether it has gone on since it was saved.'),
        token_count: z.number(),
        token_limit: count(),
        threshold_percent: count(),
        last_checkpoint: described(
          z.nullable(
            z.object({
              window_name: described(z.string(), 'What its receipt calls it. No list has it.'),
              tags: z.nullable(z.array(z.string())),
              at: z.string(),
              token_count: z.number(),
              kv_bytes_written: count(),
              ms: z.number(),
            }),
          ),
          'What its last automatic checkpoint has and cost.',
        ),
      }),
    },
    set_working_directory: {
      input: z.object({ directory: described(z.string(), 'Absolute path of a folder that is there.') }),
      output: z.object({
        session_id: described(z.string(), 'How the backend knows this client.'),
        working_directory: z.string(),
        config_found: z.boolean(),
        config_path: z.nullable(z.string()),
        project_info: z.nullable(z.object({ name: z.string(), id: z.nullable(z.string()), uri: z.string() })),
        current_session: z.nullable(z.string()),
        current_window: z.nullable(z.string()),
      }),
    },
  }) as const;
