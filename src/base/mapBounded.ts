/**
 * Maps with at most `limit` calls at once, results in order: thousands of files must not be open at the same time. The first failure
 * rejects the result and starts no more calls; calls in flight run to their end.
 *
 * @throws what `work` throws, and the signal's reason when it is aborted.
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = Array.from({ length: items.length });
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (!failed && next < items.length) {
      const index = next++;
      try {
        signal?.throwIfAborted();
        results[index] = await work(items[index] as T, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

/** Files that one operation reads at the same time: more do not help, since libuv has four threads for it. */
export const filesAtOnce = 16;
