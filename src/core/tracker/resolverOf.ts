import { CwmError } from '../../protocol/errors.ts';
import { builtInResolvers, type ConflictResolver } from './reconcile.ts';

/** @throws CwmError InvalidParameter that lists the policies which there are. */
export function resolverOf(given: Readonly<Record<string, ConflictResolver>> = {}, policy: string): ConflictResolver {
  const all = new Map<string, ConflictResolver>([...Object.entries(builtInResolvers), ...Object.entries(given)]);
  const resolver = all.get(policy);
  if (resolver) return resolver;
  throw new CwmError('InvalidParameter', `There is no conflict policy ${JSON.stringify(policy)}.`, {
    hint: `Choose one of ${[...all.keys()].join(', ')}.`,
  });
}
