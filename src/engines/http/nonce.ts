import { randomId } from '../../base/hash.ts';

const programId = randomId();
const seeds = 2 ** 28;
const firstSeed = Number.parseInt(programId.slice(0, 7), 16);
let given = 0;

/**
 * Fields that make a request unlike every other one, so that no cache in front of a model server can know its answer. Servers of every
 * kind take both, and neither changes a greedy answer.
 */
export function nonceFields(): { readonly seed: number; readonly user: string } {
  given++;
  return { seed: (firstSeed + given) % seeds, user: `cwm-${programId}-${given}` };
}
