import { CwmError } from '../../protocol/errors.ts';
import type { Modality } from '../../protocol/memory/page.ts';
import type { MemorySettings } from '../../protocol/schemas/sessionSettings.ts';
import { builtInCompressors, type Compressor } from './compress.ts';
import { builtInPolicies } from './eviction/policies.ts';
import type { EvictionPolicy } from './eviction/policy.ts';

/** Parts of memory that a program which builds the core can add or replace. */
export interface MemoryPlugins {
  /** By name. */
  readonly policies: ReadonlyMap<string, EvictionPolicy>;
  readonly compressors: Readonly<Record<Modality, Compressor>>;
}

/** What is given beside what is built in. One with the same name takes the place of ours. */
export interface GivenMemoryPlugins {
  readonly policies?: readonly EvictionPolicy[];
  readonly compressors?: Partial<Readonly<Record<Modality, Compressor>>>;
}

export const memoryPlugins = ({ policies = [], compressors = {} }: GivenMemoryPlugins): MemoryPlugins => ({
  policies: new Map([...builtInPolicies, ...policies].map((policy) => [policy.name, policy])),
  compressors: { ...builtInCompressors, ...compressors },
});

/** The policy that a session asks for; the default one where it asks for none, or for one that this backend no longer has. */
export const policyOf = ({ policies }: MemoryPlugins, { policy }: Pick<MemorySettings, 'policy'>): EvictionPolicy =>
  (policy === undefined ? undefined : policies.get(policy)) ?? builtInPolicies[0];

/** @throws CwmError InvalidParameter that lists the policies which there are. */
export function requirePolicy(
  { policies }: MemoryPlugins,
  settings: Pick<MemorySettings, 'policy'> | null | undefined,
): void {
  const name = settings?.policy;
  if (name === undefined || policies.has(name)) return;
  throw new CwmError('InvalidParameter', `There is no eviction policy ${JSON.stringify(name)}.`, {
    hint: `Choose one of ${[...policies.keys()].join(', ')}.`,
  });
}
