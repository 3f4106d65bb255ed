import type { EngineKind } from '../../core/ports/engine.ts';
import type { Capability } from '../../protocol/capabilities.ts';
import { capability, saltIgnored, type ProbeEvidence } from '../probe/judgeReuse.ts';
import { ignoresSalt, keepsSalt } from './connectors.ts';
import type { Remedies } from './remedies.ts';
import type { ServerMetrics } from './serverMetrics.ts';

/** What a probe saw of where a server keeps KV. */
export interface TierEvidence {
  readonly kind: EngineKind;
  /** Empty when there is none; null when the server does not tell. */
  readonly connectors: readonly string[] | null;
  /** The counters before the first request and after the last; null where they can't be read. */
  readonly before: ServerMetrics | null;
  readonly after: ServerMetrics | null;
  readonly filesReachable: boolean;
}

/** Whether anything was looked for beyond the device meanwhile. */
const asksConnector = ({ before, after }: TierEvidence): boolean =>
  (after?.externalQueries ?? 0) > (before?.externalQueries ?? 0);

/**
 * What the short contexts of a probe can't show: a connector may keep KV in pieces that are longer than they are (LMCache's
 * have 256 tokens).
 */
export function connectorSharing(
  tier: TierEvidence,
): Pick<ProbeEvidence, 'saltReader' | 'sharedBecause' | 'mayBeSharedBecause'> {
  const { kind, connectors, after } = tier;
  const blind = connectors?.find(ignoresSalt) ?? (after?.hasLmcacheInside === true ? 'LMCache inside vLLM' : null);
  const hasConnector = connectors === null ? asksConnector(tier) : connectors.length > 0;
  const unknown = connectors === null ? hasConnector && after?.offloads !== true : !connectors.every(isKnown);
  return {
    saltReader: hasConnector ? 'The connector' : 'The server, or something before it,',
    sharedBecause: blind && saltIgnored(`The connector (${blind})`),
    mayBeSharedBecause:
      kind === 'vllm' && unknown
        ? 'The same tokens under another cache salt reused nothing, but a KV connector is at work that may keep longer pieces, and whether it heeds the salt was not seen.'
        : null,
  };
}

const isKnown = (connector: string): boolean => keepsSalt(connector) || connector === 'MultiConnector';

export function insightFound({ after }: TierEvidence, remedies: Remedies): Capability {
  if (after?.cachedBySource) return capability('insight', 'yes', 'Its counters name the tier that KV came from.');
  if (after?.bySource) {
    const found =
      'Its counters tell what came from memory and what from elsewhere; those of vLLM 0.32 also name the tier.';
    return capability('insight', 'yes', found);
  }
  const found = 'Which tier served, and whether others used the server meanwhile, stays unknown.';
  return capability('insight', after === null ? 'unknown' : 'no', found, remedies.insight);
}

export function persistenceFound(tier: TierEvidence, remedies: Remedies): Capability {
  const { kind, connectors, after, filesReachable } = tier;
  const of = (state: Capability['state'], found: string): Capability =>
    capability('persistence', state, found, state === 'yes' ? '' : remedies.persistence);
  if (filesReachable) return of('yes', 'KV blocks are kept as files.');
  if (typeof after?.tierBytesWritten === 'number') return of('yes', 'It writes KV to a tier beyond its memory.');
  if (after?.offloads === true)
    return of('unknown', "It moves KV out of the device's memory; whether further than into RAM, it does not show.");
  const named = (connectors ?? []).join(', ');
  if (named !== '' || asksConnector(tier)) {
    const which = named === '' ? 'A KV connector' : `The KV connector ${named}`;
    return of('unknown', `${which} is at work; whether what it keeps outlives a restart, it does not show.`);
  }
  return kind === 'vllm' && after !== null
    ? of('no', 'There is no sign of a tier: KV lasts until it is pushed out of memory, or the server ends.')
    : of('unknown', 'The server does not show where it keeps KV.');
}
