import type { Caller } from '../../core/ports/projects.ts';
import { currentClient, isAgent } from '../requestScope.ts';

/** Who sent the current request. */
export function currentCaller(): Caller {
  const client = currentClient();
  return { client, isAgent: isAgent(client) };
}
