import type { IncomingHttpHeaders } from 'node:http';
import type { UpstreamAddress } from './upstream.ts';

/** Between two hops only, or about a body that is sent in another form. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'host',
  'expect',
]);

/** Secrets of the way to the gateway, and what only it reads. */
const own = new Set(['authorization', 'x-api-key', 'api-key', 'cookie', 'origin', 'referer', 'accept-encoding']);

/** llama-server goes on with an answer under this header when its client has left (llama.cpp#23226). */
const detaching = 'x-conversation-id';

/** What the model server gets of a client's headers, and its own key. */
export function upstreamHeaders(given: IncomingHttpHeaders, token: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || hopByHop.has(name) || own.has(name) || name === detaching) continue;
    if (name.startsWith('x-cwm-') || name.startsWith('sec-fetch-')) continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  headers['content-type'] ??= 'application/json';
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  return headers;
}

/** Of a request that the gateway makes on its own account. */
export const ownHeaders = ({ token }: Pick<UpstreamAddress, 'token'>): Record<string, string> => ({
  'content-type': 'application/json',
  ...(token !== undefined && { authorization: `Bearer ${token}` }),
});

/** What the client gets of the server's. */
export function answerHeaders(given: IncomingHttpHeaders): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !hopByHop.has(name)) headers[name] = value;
  }
  return headers;
}
