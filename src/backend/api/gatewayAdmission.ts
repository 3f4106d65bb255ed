import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Disposable } from '../../base/disposable.ts';
import { gatewayAddress, type GatewayAddress } from '../../gateway/address.ts';
import { answerFailure, errorFormOf } from '../../gateway/passing/failures.ts';
import { engineHeader, engineKeyForHeader, engineKeyHeader } from '../../protocol/backendRecord.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import type { ToolRight } from '../../protocol/routes/gateway.ts';
import { currentClient, withRequest } from '../requestScope.ts';
import { admitSender, checkToken, isSameSecret } from './admission.ts';
import type { AppParts } from './app.ts';
import type { HttpAddress } from './httpAddress.ts';
import type { Before } from './httpListener.ts';

/**
 * Refuses a request to the gateway that no client of the user's sent. Its token may stand in any of the places in which clients can put one:
 * as a bearer token, in a header of its own, or in the path.
 *
 * @returns the client whose token it is; null for the token of the file.
 * @throws CwmError TokenRequired.
 */
export function admitToGateway(
  headers: IncomingHttpHeaders,
  inPath: string | null,
  { token, clientOf }: { readonly token: string; readonly clientOf: (token: string) => string | null },
): string | null {
  const bearer = /^Bearer (\S+)$/i.exec(one(headers['authorization']) ?? '')?.[1];
  const given = [bearer, one(headers['x-api-key']), one(headers['api-key']), one(headers['x-cwm-token']), inPath];
  for (const each of given) {
    if (!each) continue;
    if (isSameSecret(each, token)) return null;
    const client = clientOf(each);
    if (client !== null) return client;
  }
  throw new CwmError('TokenRequired', 'The request does not carry a token of this gateway.', {
    hint: 'Give the client the token as its API key, or put it into the path: /t/TOKEN/v1.',
  });
}

/** Refuses what a page in a browser sends. @throws CwmError AccessDenied. */
export const admitToPage = (headers: IncomingHttpHeaders, address: HttpAddress): void =>
  admitSender((name) => one(headers[name]), address);

const one = (value: string | string[] | undefined): string | null =>
  (Array.isArray(value) ? value.join(', ') : value) ?? null;

/** Answers requests of other programs' clients. */
export interface GatewayHandler {
  /** `HOST:PORT` where its clients look for it; null: it has none. */
  readonly clientsAddress: string | null;
  /** Where its clients can reach it, on loopback. */
  listensAt(url: string): void;
  /** Who has this token; null: nobody. */
  clientOf(token: string): string | null;
  /** Which tools a client may call over MCP. */
  toolsOf(client: string): ToolRight;
  /** @param whyTooMany why a client's request is one too many to be recorded now; null: it is none. */
  limitBy?(whyTooMany: (client: string) => string | null): void;
  /** @param listener gets each client whose token or right to tools is not what it was. */
  onClientEnded(listener: (client: string) => void): Disposable;
  /** Answers a request that may come in. Never rejects. @param client null: it has a token that belongs to no client. */
  handle(req: IncomingMessage, res: ServerResponse, address: GatewayAddress, client: string | null): Promise<void>;
}

interface GatewayDoor {
  readonly gateway: Pick<GatewayHandler, 'handle'>;
  readonly parts: Pick<AppParts, 'idle' | 'onRefused'>;
  /** Of refused requests, for the audit log. */
  readonly clientKind: string;
  /** @returns the client that asks; null: none with a token of its own. @throws CwmError for a request that may not come in. */
  readonly admit: (headers: IncomingHttpHeaders, asked: GatewayAddress) => string | null;
  /** Answers `/` to people. Default: the listener has no page. */
  readonly page?: (headers: IncomingHttpHeaders, res: ServerResponse) => void;
}

/** The gateway's routes on a listener of the control API: every listener lets them in by its own rules, and one gateway answers all. */
export const gatewayDoor =
  ({ gateway, parts, clientKind, admit, page }: GatewayDoor): Before =>
  (req, res) => {
    const asked = gatewayAddress(req.url ?? '');
    const isPage = asked?.path === '/' && req.method === 'GET';
    if (!asked || (asked.path === '/' && !page)) return false;
    const user = parts.idle.enter();
    res.once('close', () => user.dispose());
    try {
      if (isPage) page?.(req.headers, res);
      else {
        const client = admit(req.headers, asked);
        void withRequest({ client: currentClient(), source: 'gateway' }, () => gateway.handle(req, res, asked, client));
      }
    } catch (error) {
      parts.onRefused({ route: null, input: null, error: toCwmError(error), client: clientKind });
      answerFailure(res, error, errorFormOf(asked.path));
    }
    return true;
  };

/**
 * The same on the socket of the control API: a client with its token may use the gateway, and needs no other one. As with every call
 * there, the API key of the model server may come with the request.
 */
export const socketDoor = (gateway: GatewayDoor['gateway'], parts: GatewayDoor['parts'], token: string): Before =>
  gatewayDoor({
    gateway: {
      handle: (req, res, asked, client) => {
        const engineKey = one(req.headers[engineKeyHeader]) ?? undefined;
        const engineKeyFor = one(req.headers[engineKeyForHeader]) ?? undefined;
        const named = one(req.headers[engineHeader]);
        const engine = named === null ? {} : { engine: decodeURIComponent(named) };
        return withRequest({ client: currentClient(), engineKey, engineKeyFor }, () =>
          gateway.handle(req, res, { ...asked, ...engine }, client),
        );
      },
    },
    parts,
    clientKind: 'gateway',
    admit({ authorization }) {
      checkToken(authorization, token);
      return null;
    },
  });
