import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createUnzip } from 'node:zlib';
import type { Dispatcher } from 'undici';

/**
 * The body of an answer without its compression, which some proxies add although nobody asked for it. A coding that is not known here is
 * left as it is. A body that is no such compression ends the stream with an error.
 */
export function contentOf({
  headers,
  body,
}: Pick<Dispatcher.ResponseData, 'headers' | 'body'>): Dispatcher.ResponseData['body'] | Readable {
  const coding = String(headers['content-encoding'] ?? '')
    .trim()
    .toLowerCase();
  if (!/^(x-)?gzip$|^deflate$|^br$/.test(coding)) return body;
  const decoder = coding === 'br' ? createBrotliDecompress() : createUnzip();
  // The reader of the decoded body hears of its errors.
  return pipeline(body, decoder, () => undefined);
}

export const contentTypeOf = ({ headers }: Pick<Dispatcher.ResponseData, 'headers'>): string | null =>
  typeof headers['content-type'] === 'string' ? headers['content-type'] : null;
