import type { IncomingMessage, ServerResponse } from 'node:http';
import { gatewayAddress, type GatewayAddress } from '../../gateway/address.ts';
import { answerFailure, errorFormOf } from '../../gateway/passing/failures.ts';
import { answerPage } from '../../gateway/page.ts';
import { createApp, type AppParts } from './app.ts';
import { admitToGateway, admitToPage } from './gatewayAdmission.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { httpClientKind } from '../requestScope.ts';
import { admit } from './admission.ts';
import { parseHttpAddress } from './httpAddress.ts';
import { listenHttp, type HttpListener, type HttpTimes } from './httpListener.ts';
import { readHttpToken } from './httpToken.ts';

export interface HttpWish {
  /** `[HOST:]PORT` */
  readonly address: string;
  /** Whether other machines may reach it. */
  readonly remote: boolean;
  /** Absolute. */
  readonly tokenFile: string;
  readonly times?: HttpTimes & { readonly bodyMs?: number };
}

/** Answers requests of other programs' clients. */
export interface GatewayHandler {
  /** `HOST:PORT` where its clients look for it; null: it has none. */
  readonly clientsAddress: string | null;
  /** Where it can be reached. */
  listensAt(url: string): void;
  /** Who has this token; null: nobody. */
  clientOf(token: string): string | null;
  /** Answers a request that may come in. Never rejects. @param client null: it has the token of the file. */
  handle(req: IncomingMessage, res: ServerResponse, address: GatewayAddress, client: string | null): Promise<void>;
}

/**
 * Answers the same API on TCP, for programs that are no clients of this product. Each of them counts as one that acts without a person.
 *
 * @throws CwmError InvalidConfig for the token file or the address.
 */
export async function serveHttp(
  { address, remote, tokenFile, times }: HttpWish,
  parts: Omit<AppParts, 'admit' | 'identity'>,
  gateway?: GatewayHandler,
): Promise<HttpListener> {
  const wanted = parseHttpAddress(address, remote);
  const token = await readHttpToken(tokenFile);
  // The port is known only once it listens; until then nobody can ask.
  let bound = wanted;
  const app = createApp({
    ...parts,
    admit: (headers) => admit(headers, { address: bound, token }),
    clientKind: httpClientKind,
    bodyMs: times?.bodyMs,
  });
  const before = (req: IncomingMessage, res: ServerResponse): boolean => {
    const asked = gateway ? gatewayAddress(req.url ?? '') : null;
    if (!gateway || !asked) return false;
    const user = parts.idle.enter();
    res.once('close', () => user.dispose());
    try {
      admitToPage(req.headers, bound);
      if (asked.path === '/' && req.method === 'GET') answerPage(res);
      else {
        const client = admitToGateway(req.headers, asked.token, { token, clientOf: (each) => gateway.clientOf(each) });
        void gateway.handle(req, res, asked, client);
      }
    } catch (error) {
      parts.onRefused({ route: null, input: null, error: toCwmError(error), client: httpClientKind });
      answerFailure(res, error, errorFormOf(asked.path));
    }
    return true;
  };
  const listener = await listenHttp((request) => app.fetch(request), wanted, times, before);
  bound = listener.address;
  return listener;
}
