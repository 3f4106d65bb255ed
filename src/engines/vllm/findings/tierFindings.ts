import type { EngineKind } from '../../../core/ports/engine.ts';
import type { Capability } from '../../../protocol/schemas/capabilities.ts';
import { capability } from '../../probe/capability.ts';
import { saltIgnored, type ProbeEvidence } from '../../probe/judgeReuse.ts';
import { ignoresSalt, keepsSalt } from './connectors.ts';
import type { Remedies } from './remedies.ts';
import type { ServerMetrics } from '../metrics/serverMetrics.ts';

/** A probe's observations of where a server stores KV. */
export interface TierEvidence {
  readonly kind: EngineKind;
  /** Empty when there is none; null when the server does not say. */
  readonly connectors: readonly string[] | null;
  /** The counters after the last request; null when they cannot be read. */
  readonly metrics: ServerMetrics | null;
  /** The reason why no request could be made that would have moved them. */
  readonly whyUnseen: string | null;
  readonly filesReachable: boolean;
  /** The reason why the probe found no file of its own where it expected some; null otherwise. */
  readonly whyNotStored: string | null;
}

/** Whether the server looked for KV beyond the device, which it does for every prompt when it has a connector. */
const asksConnector = ({ metrics }: TierEvidence): boolean => (metrics?.externalQueries ?? 0) > 0;

/** The limit of a probe's short contexts: a connector may store KV in longer pieces (LMCache's have 256 tokens). */
export function connectorSharing(
  tier: TierEvidence,
): Pick<ProbeEvidence, 'saltReader' | 'sharedBecause' | 'mayBeSharedBecause'> {
  const { kind, connectors, metrics } = tier;
  const blind = connectors?.find(ignoresSalt) ?? (metrics?.hasLmcacheInside === true ? 'LMCache inside vLLM' : null);
  const hasConnector = connectors === null ? asksConnector(tier) : connectors.length > 0;
  const unknown = connectors === null ? hasConnector && metrics?.offloads !== true : !connectors.every(isKnown);
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

export function insightFound({ metrics, whyUnseen }: TierEvidence, remedies: Remedies): Capability {
  if (whyUnseen !== null) return capability('insight', 'unknown', whyUnseen);
  if (metrics?.cachedBySource) return capability('insight', 'yes', 'Its counters name the tier that KV came from.');
  if (metrics?.bySource) {
    const found =
      'Its counters tell what came from memory and what from elsewhere; those of vLLM 0.32 also name the tier.';
    return capability('insight', 'yes', found);
  }
  const found = 'Which tier served, and whether other clients used the server at the same time, stays unknown.';
  return capability('insight', metrics === null ? 'unknown' : 'no', found, remedies.insight);
}

/** An existing folder need not be the one that the server writes to. */
export const filesOfTier = (reach: Capability, metrics: ServerMetrics | null): Capability =>
  reach.state === 'yes' && metrics?.offloads === false
    ? capability('block-files', 'unknown', 'The named folder is there, but the server shows no tier that writes to it.')
    : reach;

export function persistenceFound(tier: TierEvidence, remedies: Remedies): Capability {
  const { kind, connectors, metrics, whyUnseen, filesReachable, whyNotStored } = tier;
  const of = (state: Capability['state'], found: string): Capability =>
    capability('persistence', state, found, state === 'yes' ? '' : remedies.persistence);
  if (filesReachable) return of('yes', 'KV blocks are stored as files.');
  if (whyNotStored !== null) return of('no', whyNotStored);
  if (whyUnseen !== null) return capability('persistence', 'unknown', whyUnseen);
  if (typeof metrics?.tierBytesWritten === 'number') return of('yes', 'It writes KV to a tier beyond its memory.');
  if (metrics?.offloads === true)
    return of('unknown', "It moves KV out of the device's memory; whether further than into RAM, it does not show.");
  const named = (connectors ?? []).join(', ');
  if (named !== '' || asksConnector(tier)) {
    const which = named === '' ? 'A KV connector' : `The KV connector ${named}`;
    return of('unknown', `${which} is at work; whether what it keeps outlives a restart, it does not show.`);
  }
  return kind === 'vllm' && metrics !== null
    ? of('no', 'There is no sign of a tier: KV lasts until it is pushed out of memory, or the server ends.')
    : of('unknown', 'The server does not show where it keeps KV.');
}
