import { randomId, randomSalt } from '../../base/hash.ts';
import type { LineageId } from '../../protocol/ids.ts';

/** A session and all its clones. They share one salt, so that they can share KV. */
export interface Lineage {
  readonly id: LineageId;
  readonly salt: string;
  /** A repair increases it by one when damaged KV cannot be deleted: no request can reach that KV under the next salt. */
  readonly generation: number;
  /** The generation into which KV of a file came. Default: none did. */
  readonly importedInto?: number | undefined;
}

/**
 * Whether KV under the present salt was made elsewhere, or rests on such KV: an answer is computed over what stands before it. Nobody can see
 * what KV says to the model, so none of it is ever proven. Under the next generation's salt everything is computed here.
 */
export const hasImportedKv = ({ generation, importedInto }: Lineage): boolean => importedInto === generation;

export const newLineage = (): Lineage => ({ id: randomId() as LineageId, salt: randomSalt(), generation: 0 });

const between = '_';

/**
 * The lineage of a session that begins with a project's base: it has the base's salt and so shares its KV, until a repair moves it to a salt of
 * its own. The base and its other sessions stay where they are then.
 */
export const lineageOn = (base: Lineage): Lineage => ({
  id: `${familyOf(base.id)}${between}${randomId()}` as LineageId,
  salt: saltOf(base),
  generation: 0,
});

/** Lineages that may share KV blocks have the same family: that of a base and of the sessions on it, else the lineage alone. */
export const familyOf = (lineage: LineageId): LineageId => lineage.split(between)[0] as LineageId;

/** The salt that requests of this lineage carry: a request under the next generation cannot reach KV of the one before. */
export const saltOf = ({ id, salt, generation }: Lineage): string => {
  if (generation === 0) return salt;
  // Several sessions on one base have its salt. Each moves alone, so the next one has to be of this lineage only.
  const own = id.split(between)[1];
  return own === undefined ? `${salt}-${generation}` : `${salt}-${own}-${generation}`;
};

export interface LineageStore {
  create(lineage: Lineage): Promise<void>;
  /** @throws CwmError Corrupted when it does not exist: a session or window without its lineage is damaged. */
  get(id: LineageId): Promise<Lineage>;
  /** Advances to the next generation, unless another call already did. @returns the current lineage. */
  advance(id: LineageId, fromGeneration: number): Promise<Lineage>;
  /** Notes that KV of a file comes into the present generation; durable before it comes. @returns the current lineage. */
  markImported(id: LineageId): Promise<Lineage>;
}
