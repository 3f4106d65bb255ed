import { answerPage } from '../../gateway/page.ts';
import { createApp, type AppParts } from './app.ts';
import { admitToGateway, admitToPage, gatewayDoor, type GatewayHandler } from './gatewayAdmission.ts';
import { httpClientKind } from '../requestScope.ts';
import { admit } from './admission.ts';
import { parseHttpAddress } from './httpAddress.ts';
import { McpListener } from './mcpListener.ts';
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
  const mcp = new McpListener(parts, times?.bodyMs);
  const ended = gateway?.onClientEnded((client) => mcp.end(client));
  const before =
    gateway &&
    gatewayDoor({
      gateway: {
        handle: (req, res, asked, client) =>
          asked.path.split('?', 1)[0] === '/mcp'
            ? mcp.handle(req, res, client, client === null ? 'all' : gateway.toolsOf(client))
            : gateway.handle(req, res, asked, client),
      },
      parts,
      clientKind: httpClientKind,
      admit: (headers, { token: inPath }) => {
        admitToPage(headers, bound);
        return admitToGateway(headers, inPath, { token, clientOf: (each) => gateway.clientOf(each) });
      },
      page: (headers, res) => {
        admitToPage(headers, bound);
        answerPage(res);
      },
    });
  const listener = await listenHttp((request) => app.fetch(request), wanted, times, before);
  bound = listener.address;
  return {
    ...listener,
    close: async (graceMs) => {
      ended?.dispose();
      await mcp.close();
      await listener.close(graceMs);
    },
  };
}
