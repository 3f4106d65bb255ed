import { AsyncLocalStorage } from 'node:async_hooks';

const requestClient = new AsyncLocalStorage<string>();

/** What the backend does by itself. */
const ownName = 'backend';
const anonymous = 'unnamed';

/** Runs a request's work, which {@link currentClient} then knows the client of. */
export const withClient = <T>(client: string, work: () => Promise<T>): Promise<T> => requestClient.run(client, work);

/** Who the current request is from, by its own account. */
export const currentClient = (): string => requestClient.getStore() ?? ownName;

/** A client's name as it may stand in a log: its kind, and a number or the like that tells two of a kind apart. */
export const clientName = (header: string | undefined): string =>
  header !== undefined && namePattern.test(header) && kindOf(header) !== ownName ? header : anonymous;

/** `cli` of `cli.4711`. */
export const kindOf = (client: string): string => client.split('.')[0] ?? '';

const namePattern = /^[a-z][a-z-]{0,15}(?:\.[A-Za-z0-9-]{1,40})?$/;
