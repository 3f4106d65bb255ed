/**
 * The version of this product, equal to `package.json`'s. For people only: {@link apiVersions} decides which programs work together.
 */
export const productVersion = '0.1.0';

/** Which versions of the control API a backend answers: all from `oldest` to `current`. */
export interface ApiVersions {
  readonly current: number;
  readonly oldest: number;
}

/**
 * The control API of this program. Clients and backends of different releases meet on one store, so:
 *
 * - An addition that clients rely on (a route, a field of an answer) raises `current`. Clients ignore fields they do not know.
 * - The backend answers a client of an earlier version (`x-cwm-api`) in that version's form: a new word of an enumeration, for one, has
 *   to be translated.
 * - Only a change that cannot be translated raises `oldest`. Clients before it get a message that says what to update.
 */
export const apiVersions: ApiVersions = { current: 4, oldest: 3 };

/** The first version in which an answer that has nothing to say is 204; it was 200 with `{}` before. */
export const firstApiWithNoContent = 4;

/** Whether a client and a backend fit. */
export type Meeting = 'fits' | 'backend too old' | 'client too old';

/** @param backend undefined: one from before versions of the API were counted. */
export function meet(client: ApiVersions, backend: ApiVersions | undefined): Meeting {
  if (backend === undefined || backend.current < client.current) return 'backend too old';
  return client.current < backend.oldest ? 'client too old' : 'fits';
}
