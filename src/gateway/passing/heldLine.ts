import type { ServerResponse } from 'node:http';
import { writeSoon } from './relay.ts';

const firstMs = 1_000;
const everyMs = 2_000;

/**
 * Holds a client's connection open while something has to be done before its prompt is sent: comments, which every client skips. A short wait
 * sends nothing, so that an error can still have a status.
 *
 * @param headers of the answer; false for one that is not streamed, which has no comments.
 */
export async function heldLine<T>(
  res: ServerResponse,
  headers: false | Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  if (headers === false) return work();
  return beating(work, () => {
    if (res.destroyed) return;
    if (!res.headersSent)
      res.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    writeSoon(res, ": cwm brings the conversation's KV back\n\n");
  });
}

/** @param beat called after a second, and then every two seconds, until the work has ended. */
export async function beating<T>(work: () => Promise<T>, beat: () => void): Promise<T> {
  let timer: NodeJS.Timeout;
  const next = (): void => {
    beat();
    timer = setTimeout(next, everyMs);
  };
  timer = setTimeout(next, firstMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
