/** Waits that many milliseconds. @throws the signal's reason when it is aborted first. */
export type Sleep = (delayMs: number, signal: AbortSignal) => Promise<void>;

export const systemSleep: Sleep = (delayMs, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(handle);
      reject(signal.reason as Error);
    };
    const handle = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal.addEventListener('abort', onAbort, { once: true });
  });
