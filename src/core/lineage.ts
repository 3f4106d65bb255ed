import { randomId, randomSalt } from '../base/hash.ts';
import type { LineageId } from '../protocol/ids.ts';
import type { Lineage } from './ports/lineages.ts';

export const newLineage = (): Lineage => ({ id: randomId() as LineageId, salt: randomSalt(), generation: 0 });

/** The salt that requests of this lineage carry: a request under the next generation cannot reach KV of the one before. */
export const saltOf = ({ salt, generation }: Pick<Lineage, 'salt' | 'generation'>): string =>
  generation === 0 ? salt : `${salt}-${generation}`;
