import { randomId } from '../../base/hash.ts';

/**
 * Fields that make a request unlike every other one, so that no cache in front of a model server can know its answer. Servers of every
 * kind take both, and neither changes a greedy answer.
 */
export function nonceFields(): { readonly seed: number; readonly user: string } {
  const id = randomId();
  return { seed: Number.parseInt(id.slice(0, 7), 16), user: `cwm-${id}` };
}
