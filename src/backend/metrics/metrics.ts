import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RouteName, RouteOutput } from '../../protocol/api.ts';
import { verdicts } from '../../protocol/schemas/receipt.ts';
import type { Generation } from '../../core/ports/engine.ts';
import { outputTokensOf } from '../../core/prompt/taken.ts';
import type { ErrorName } from '../../protocol/errors.ts';
import { alertsOf, levelNumbers } from './alerts.ts';
import { Recent } from './recent.ts';

/** What is known only while it is asked for. */
export interface Observed {
  /** Null: it could not be measured. */
  readonly space: RouteOutput<'metrics'>['space'] | null;
  /** Engines in use. */
  readonly engines: readonly { readonly kind: string | null; readonly reachable: boolean }[];
  readonly queues: { readonly operations: number; readonly operationLimit: number; readonly clients: number };
}

/** How much of a counter there was, so that the next backend of the store continues the count. */
export type Remembered = readonly {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}[];

/** What a user's settings name is not so: an address, a key, a model, a file. It stays until the user changes the setting. */
const ofSettings: ReadonlySet<string> = new Set<ErrorName>([
  'ModelMismatch',
  'NotAnEngine',
  'EngineDenied',
  'NoEngineBinary',
  'EncryptionKey',
  'TlsRequired',
]);

/** Failures that neither the caller nor a setting caused: of the disk, a model server, time, security, and of the backend itself. */
const isEdgeCase = (name: ErrorName, code: string): boolean => /^CWM-[45689]/.test(code) && !ofSettings.has(name);

/**
 * Every figure of the backend, in one registry. Labels are words of this program alone, the names of operations, errors, verdicts and kinds of
 * engines: never a text, a path, a name that a user chose, or a key.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #operations = this.#counter('cwm_operations_total', 'Operations, by how they ended', [
    'operation',
    'outcome',
  ]);
  readonly #seconds = new Histogram({
    name: 'cwm_operation_duration_seconds',
    help: 'How long operations took',
    labelNames: ['operation'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300],
    registers: [this.#registry],
  });
  readonly #verdicts = this.#counter('cwm_verdicts_total', 'Receipts, by their verdict', ['operation', 'verdict']);
  readonly #tokens = this.#counter('cwm_tokens_total', 'Tokens of requests to model servers', ['engine', 'tokens']);
  readonly #turns = this.#counter(
    'cwm_turns_total',
    'Turns that reused KV (hit), none (miss), or whose server does not say',
    ['reuse'],
  );
  readonly #edgeCases = this.#counter(
    'cwm_edge_cases_total',
    'Failures that neither a caller nor a setting caused, and broken prefixes',
    ['kind'],
  );
  readonly #space = this.#gauge('cwm_space_bytes', 'Disk space in use', ['tier']);
  readonly #free = this.#gauge('cwm_free_bytes', 'Disk space that is free', []);
  readonly #queues = this.#gauge('cwm_running', 'What runs at this moment', ['what']);
  readonly #alerts = this.#gauge('cwm_alert_level', '0 ok, 1 warning, 2 critical', ['alert']);
  readonly #recentEdgeCases: Recent;
  #corrupted = 0;

  constructor(elapsedMs: () => number) {
    this.#recentEdgeCases = new Recent(elapsedMs, 60_000);
  }

  ended(operation: RouteName, outcome: 'ok' | ErrorName, code: string | null, seconds: number): void {
    this.#operations.inc({ operation, outcome });
    this.#seconds.observe({ operation }, seconds);
    if (outcome === 'Corrupted') this.#corrupted++;
    if (code !== null && outcome !== 'ok' && outcome !== 'Cancelled' && isEdgeCase(outcome, code))
      this.#edgeCase(outcome);
  }

  /** What an operation's answer shows of reuse. */
  answered(operation: RouteName, result: unknown): void {
    if (typeof result !== 'object' || result === null) return;
    const { verdict, promptTokens, cachedTokens, prefixBreak, outputIds } = result as Readonly<Record<string, unknown>>;
    if (typeof verdict === 'string') {
      const known = (verdicts as readonly string[]).includes(verdict) ? verdict : 'other';
      this.#verdicts.inc({ operation, verdict: known });
    } else if (typeof promptTokens === 'number' && promptTokens > 0 && Array.isArray(outputIds)) {
      this.#turns.inc({ reuse: typeof cachedTokens === 'number' ? (cachedTokens > 0 ? 'hit' : 'miss') : 'unknown' });
    }
    if (typeof prefixBreak === 'object' && prefixBreak !== null) this.#edgeCase('PrefixBreak');
  }

  /** @param kind of the engine; null: not known. */
  generated(kind: string | null, { reuse, ...output }: Pick<Generation, 'reuse' | 'outputIds' | 'outputTokens'>): void {
    const engine = kind ?? 'unknown';
    const add = (tokens: string, count: number): void =>
      void (count > 0 && this.#tokens.inc({ engine, tokens }, count));
    add('prompted', reuse.promptTokens);
    add('generated', outputTokensOf(output) ?? 0);
    if (reuse.cachedTokens === null) return add('not-told', reuse.promptTokens);
    add('reused', reuse.cachedTokens);
    add('computed', Math.max(0, reuse.promptTokens - reuse.cachedTokens));
  }

  /** The turns' hits and misses, and the tokens: they outlive the process (S0-52). */
  async remembered(): Promise<Remembered> {
    const all = await Promise.all([this.#turns, this.#tokens].map((counter) => counter.get()));
    return all.flatMap(({ name, values }) =>
      values.map(({ labels, value }) => ({ name, labels: labels as Record<string, string>, value })),
    );
  }

  remember(counts: Remembered): void {
    for (const { name, labels, value } of counts) {
      if (name === 'cwm_turns_total') this.#turns.inc(labels, value);
      else if (name === 'cwm_tokens_total') this.#tokens.inc(labels, value);
    }
  }

  /** For Prometheus. */
  async text(observed: Observed): Promise<string> {
    this.#observe(observed);
    return await this.#registry.metrics();
  }

  async json(observed: Observed): Promise<RouteOutput<'metrics'>> {
    const alerts = this.#observe(observed);
    const all = await this.#registry.getMetricsAsJSON();
    const metrics = all.map(({ name, help, type, values }) => ({
      name,
      help,
      type: String(type),
      values: values.map((each) => ({
        name: (each as { metricName?: string }).metricName ?? name,
        labels: Object.fromEntries(Object.entries(each.labels).map(([label, value]) => [label, String(value)])),
        value: each.value,
      })),
    }));
    const turns = await this.#turns.get();
    const ofReuse = (reuse: string): number => turns.values.find(({ labels }) => labels.reuse === reuse)?.value ?? 0;
    const [hits, misses] = [ofReuse('hit'), ofReuse('miss')];
    const hitRate = hits + misses === 0 ? null : hits / (hits + misses);
    const { space, engines } = observed;
    return {
      metrics,
      turns: { hits, misses, unknown: ofReuse('unknown'), hitRate },
      cache: {
        kv: { totalBlocks: space?.kvBlocks ?? null, totalBytes: space?.tiers['kv'] ?? null },
        engines: await this.#cacheOf(engines),
      },
      space,
      alerts,
    };
  }

  async #cacheOf(engines: Observed['engines']): Promise<RouteOutput<'metrics'>['cache']['engines']> {
    const { values } = await this.#tokens.get();
    const kinds = new Set([
      ...engines.flatMap(({ kind }) => kind ?? []),
      ...values.map(({ labels }) => String(labels.engine)),
    ]);
    return Array.from(kinds, (kind) => {
      const sum = (what: string): number | null =>
        values.find(({ labels }) => labels.engine === kind && labels.tokens === what)?.value ?? null;
      const [reused, computed] = [sum('reused'), sum('computed')];
      const isTold = reused !== null || computed !== null;
      return {
        kind,
        connected: engines.some((each) => each.kind === kind && each.reachable),
        cachedTokens: isTold ? (reused ?? 0) : null,
        hitRate: isTold ? (reused ?? 0) / ((reused ?? 0) + (computed ?? 0)) : null,
      };
    });
  }

  #observe({ space, queues }: Observed): RouteOutput<'metrics'>['alerts'] {
    this.#space.reset();
    for (const [tier, bytes] of Object.entries(space?.tiers ?? {})) this.#space.set({ tier }, bytes);
    this.#free.reset();
    const freeBytes = space?.freeBytes ?? null;
    if (freeBytes !== null) this.#free.set(freeBytes);
    this.#queues.set({ what: 'operations' }, queues.operations);
    this.#queues.set({ what: 'clients' }, queues.clients);
    const alerts = alertsOf({
      usedBytes: space?.totalBytes ?? null,
      quotaBytes: space?.quotaBytes ?? null,
      running: queues.operations,
      limit: queues.operationLimit,
      edgeCasesPerMinute: this.#recentEdgeCases.count,
      corrupted: this.#corrupted,
    });
    for (const { name, level } of alerts) {
      if (level !== null) this.#alerts.set({ alert: name }, levelNumbers[level]);
    }
    return alerts;
  }

  #edgeCase(kind: string): void {
    this.#edgeCases.inc({ kind });
    this.#recentEdgeCases.add();
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}
