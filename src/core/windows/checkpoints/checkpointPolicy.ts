import { maxWindowNameLength, type SessionId, type WindowName } from '../../../protocol/ids.ts';
import type { CheckpointReason } from '../../../protocol/schemas/checkpoint.ts';
import { backendSettings } from '../../../protocol/settings/backendSettings.ts';

/** When checkpoints are made without being asked for (S0-16). */
export interface CheckpointPolicy {
  readonly enabled: boolean;
  /** Share of the model's context limit, above 0 and up to 1. */
  readonly tokenThreshold: number;
  /** Tokens; 0 is off. */
  readonly tokenCountThreshold: number;
  /** Between two checkpoints of a session that its size triggers. */
  readonly cooldownMs: number;
  /** After the session's last change; 0 is never. */
  readonly idleMs: number;
  /** Rest after a turn whose KV only the server's memory has, which another conversation may take. Requests that follow from tools come faster. */
  readonly volatileRestMs: number;
  /** For all sessions together when the backend ends; 0 is none. */
  readonly shutdownMs: number;
  /** How long a client that leaves a folder waits for its checkpoint. */
  readonly leaveMs: number;
  /** Of {@link checkpointName}. */
  readonly namePattern: string;
  readonly tags: readonly string[];
}

const {
  checkpoints,
  checkpointAt,
  checkpointTokens,
  checkpointCooldownSeconds,
  checkpointIdleMinutes,
  checkpointName: namePattern,
  checkpointTags,
} = backendSettings;

export const defaultCheckpointPolicy: CheckpointPolicy = {
  enabled: checkpoints.default === 'on',
  tokenThreshold: checkpointAt.default / 100,
  tokenCountThreshold: checkpointTokens.default,
  cooldownMs: checkpointCooldownSeconds.default * 1000,
  idleMs: checkpointIdleMinutes.default * 60_000,
  volatileRestMs: 2000,
  shutdownMs: 4000,
  leaveMs: 30_000,
  namePattern: namePattern.default,
  tags: checkpointTags.default.split(','),
};

export interface NamedCheckpoint {
  readonly session: SessionId;
  /** ISO 8601, in UTC. */
  readonly at: string;
  /** The first of a session is 1. */
  readonly count: number;
}

/**
 * How receipts call a rolling checkpoint (S0-16). No list has a window of this name because of it.
 *
 * @param pattern of the policy; what comes out is cut to 128 characters.
 */
export const checkpointName = (pattern: string, { session, at, count }: NamedCheckpoint): WindowName =>
  pattern
    .replaceAll('{session_id}', session)
    .replaceAll('{timestamp}', at.replaceAll(/[-:]|\.\d+/g, ''))
    .replaceAll('{count}', String(count))
    .slice(0, maxWindowNameLength) as WindowName;

export interface SessionSize {
  readonly tokens: number;
  /** The model's context length; null when it is not known. */
  readonly limitTokens: number | null;
  /** Whether it has gone on since its checkpoint. */
  readonly isChanged: boolean;
  /** Since its last checkpoint; null when this process made none. */
  readonly sinceLastMs: number | null;
}

/** Whether the size of a session triggers a checkpoint (`check` of S0-16). */
export function weighSize(
  { enabled, tokenThreshold, tokenCountThreshold, cooldownMs }: CheckpointPolicy,
  { tokens, limitTokens, isChanged, sinceLastMs }: SessionSize,
): { readonly triggered: boolean; readonly reason: CheckpointReason } {
  const not = (reason: CheckpointReason) => ({ triggered: false, reason });
  if (!enabled) return not('disabled');
  const isFull = limitTokens !== null && tokens >= tokenThreshold * limitTokens;
  const isLong = tokenCountThreshold > 0 && tokens >= tokenCountThreshold;
  if (!isFull && !isLong) return not('below');
  if (!isChanged) return not('unchanged');
  if (sinceLastMs !== null && sinceLastMs < cooldownMs) return not('cooldown');
  return { triggered: true, reason: isFull ? 'threshold' : 'token-count' };
}

/** How much of a cost is left after a decision against saving that rested on it. */
const believedStill = 0.6;

/** What saving KV costs, by engine, where that may be more than computing it again. */
export class SavingCosts {
  readonly #last = new Map<string, { readonly ms: number; readonly tokens: number }>();

  spent(engine: string, { ms, tokens }: { readonly ms: number; readonly tokens: number }): void {
    this.#last.set(engine, { ms, tokens });
  }

  /** Milliseconds, at the last cost; null when nothing was saved on it yet. */
  expectedMs(engine: string, tokens: number): number | null {
    const last = this.#last.get(engine);
    return last ? (last.ms / last.tokens) * tokens : null;
  }

  /**
   * Whether saving so many tokens takes no longer than computing them. The last cost may be that of a busy moment, or of the first save of a server,
   * which tests more. So it counts for less after each decision against saving: without another try, nothing would be saved any more.
   *
   * @param computeMs null: not known.
   */
  pays(engine: string, tokens: number, computeMs: number | null): boolean {
    const last = this.#last.get(engine);
    if (!last || computeMs === null || (last.ms / last.tokens) * tokens <= computeMs) return true;
    this.#last.set(engine, { ...last, ms: last.ms * believedStill });
    return false;
  }
}
