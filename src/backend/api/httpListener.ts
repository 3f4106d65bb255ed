import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { CwmError, errors } from '../../protocol/errors.ts';
import { outsideRequests } from '../requestScope.ts';
import { hostInUrl, type HttpAddress } from './httpAddress.ts';

export interface HttpListener {
  /** With the port that the system chose. */
  readonly address: HttpAddress;
  /** `http://HOST:PORT` */
  readonly url: string;
  /** Takes no more connections, gives the open ones `graceMs` to end, then cuts them. */
  close(graceMs: number): Promise<void>;
}

export interface HttpTimes {
  /** For the lines and headers of a request. Default 10 s. */
  readonly headersMs?: number;
  /** How often Node looks for late ones. Default 1 s. */
  readonly checkMs?: number;
}

/** Answers a request before the API sees it. @returns false for one that is not for it. */
export type Before = (req: IncomingMessage, res: ServerResponse) => boolean;

/** @throws CwmError InvalidConfig when the address cannot be had. */
export async function listenHttp(
  fetch: (request: Request) => Response | Promise<Response>,
  wanted: HttpAddress,
  { headersMs = 10_000, checkMs = 1000 }: HttpTimes = {},
  before: Before = () => false,
): Promise<HttpListener> {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: answerMalformed });
  const server = createServer(
    {
      headersTimeout: headersMs,
      // The app limits the time of a body, where it can still answer in its own form.
      requestTimeout: 0,
      connectionsCheckingInterval: checkMs,
      maxHeaderSize: 16 * 1024,
    },
    (req, res) =>
      outsideRequests(() => {
        if (!before(req, res)) void listener(req, res);
      }),
  );
  server.on('clientError', answerUnreadable);
  server.maxConnections = 256;
  try {
    server.listen(wanted.port, wanted.host);
    await once(server, 'listening');
  } catch (error) {
    throw new CwmError('InvalidConfig', `The backend cannot listen on ${hostInUrl(wanted.host)}:${wanted.port}.`, {
      hint: 'Name another port with --http; 0 lets the system choose.',
      cause: error,
    });
  }
  const address = { host: wanted.host, port: (server.address() as AddressInfo).port };
  return {
    address,
    url: `http://${hostInUrl(address.host)}:${address.port}`,
    close: async (graceMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** A request that Node could not read reaches no route; its sender gets an error in the form of all others. */
function answerUnreadable(thrown: NodeJS.ErrnoException, socket: Socket): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const error = unreadable(thrown.code);
  const body = JSON.stringify({ error: error.report() });
  socket.end(
    [
      `HTTP/1.1 ${errors[error.name].status} ${error.name}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function unreadable(code: string | undefined): CwmError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new CwmError('RequestTimeout', 'The request came too slowly.');
  if (code === 'HPE_HEADER_OVERFLOW') return new CwmError('BodyTooLarge', 'The headers are larger than 16 KiB.');
  return new CwmError('InvalidParameter', 'The request is not HTTP/1.1.');
}

/** `Host` or the path make no URL: the library cannot give such a request to the app. */
function answerMalformed(): Response {
  const error = new CwmError('InvalidParameter', 'The host or the path of the request is malformed.');
  return Response.json({ error: error.report() }, { status: errors[error.name].status });
}
