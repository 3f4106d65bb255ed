import { AsyncLocalStorage } from 'node:async_hooks';

const requestKey = new AsyncLocalStorage<string>();

/** Runs a request's work with the API key that its client gave for the model server; the key is kept no longer than that. */
export const withEngineKey = <T>(key: string | undefined, work: () => Promise<T>): Promise<T> =>
  key === undefined || key === '' ? work() : requestKey.run(key, work);

/** The key of the current request, else the backend's own from `CWM_API_KEY`. */
export const currentEngineKey = (): string | undefined =>
  requestKey.getStore() ?? (process.env['CWM_API_KEY'] || undefined);
