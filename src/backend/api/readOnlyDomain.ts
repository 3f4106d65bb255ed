import { routes } from '../../protocol/api.ts';
import type { CwmError } from '../../protocol/errors.ts';
import { domainHandlers, type Domain } from './handlers.ts';

/** Routes that only look, though they are no GET. */
const looking: ReadonlySet<keyof Domain> = new Set(['verify']);

/** The domain, which refuses every change at once: before an engine was asked for anything. */
export function readOnlyDomain(domain: Domain, refusal: () => CwmError): Domain {
  const refuse = (): Promise<never> => Promise.reject(refusal());
  const guarded = Object.entries(domainHandlers(domain)).map(([name, handler]) => {
    const route = name as keyof Domain;
    return [name, routes[route].method === 'GET' || looking.has(route) ? handler : refuse];
  });
  return Object.fromEntries(guarded) as Domain;
}
