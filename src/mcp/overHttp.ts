import {
  CLIENT_INFO_META_KEY,
  createMcpHandler,
  isLegacyRequest,
  type AuthInfo,
  type McpHttpHandler,
} from '@modelcontextprotocol/server';
import { sha256Hex } from '../base/hash.ts';
import type { Disposable } from '../base/disposable.ts';
import type { ToolRight } from '../protocol/routes/gateway.ts';
import { backendOf, type InnerBackend, type InnerClient } from './agentCall.ts';
import { Handshakes } from './handshakes.ts';
import { makeServer, serverOf } from './makeServer.ts';
import type { McpParts } from './mcpParts.ts';
import { gatherChanges } from './tellChanges.ts';

/** The token of the file has no name. No client has this one: names of clients have no blanks. */
const ofFile = 'the file';

/**
 * Serves any number of clients over HTTP ("Streamable HTTP"), in both forms of the protocol. Each has a client context of its own in the
 * backend: a connection with a handshake is a client; where each request stands for itself, a client is its token and the name that it gives
 * itself.
 */
export class McpOverHttp {
  readonly #handshakes: Handshakes;
  readonly #single: McpHttpHandler;
  readonly #changes: Disposable;

  constructor(inner: InnerBackend) {
    const parts = (client: InnerClient, tools: ToolRight): McpParts => ({
      backend: backendOf(inner, client),
      engine: undefined,
      tools,
      // An agent over HTTP cannot force anything: only the command line that starts a server of its own allows that.
      allowForce: false,
    });
    this.#handshakes = new Handshakes(({ owner, id, body, tools }) =>
      makeServer(
        parts({ name: clientName(greeterOf(body), `${owner} ${id}`), rateOwner: rateOwner(owner) }, tools),
        false,
      ),
    );
    this.#single = createMcpHandler(
      ({ authInfo }) =>
        serverOf(
          parts(
            {
              name: authInfo?.clientId ?? clientName('', ofFile),
              rateOwner: authInfo?.token ?? rateOwner(ofFile),
            },
            authInfo?.scopes.includes('all') ? 'all' : 'read',
          ),
        ),
      {
        legacy: 'reject',
      },
    );
    const { notify } = this.#single;
    this.#changes = gatherChanges(backendOf(inner, { name: clientName('', ofFile), rateOwner: rateOwner(ofFile) }), {
      updated: (uri) => notify.resourceUpdated(uri),
      listChanged: () => notify.resourcesChanged(),
    });
  }

  /**
   * Answers one request, which was admitted.
   *
   * @param owner the client whose token it has; null: it has the token of the file.
   * @param tools which tools that client may call.
   */
  async fetch(request: Request, owner: string | null, tools: ToolRight): Promise<Response> {
    const whose = owner ?? ofFile;
    const body = request.method === 'POST' ? parsed(await request.clone().text()) : undefined;
    if (await isLegacyRequest(request, body))
      return await this.#handshakes.fetch(request, { owner: whose, body, tools });
    const name = selfNamed(body);
    // The package passes nothing else on; the token itself stays outside.
    const authInfo: AuthInfo = {
      token: rateOwner(whose),
      clientId: clientName(name, `${whose} ${name}`),
      scopes: [tools],
    };
    return await this.#single.fetch(request, { authInfo, parsedBody: body });
  }

  /** Ends the connections that a client began with a handshake. */
  async endOwner(owner: string): Promise<void> {
    await this.#handshakes.close(owner);
  }

  async close(): Promise<void> {
    this.#changes.dispose();
    await Promise.all([this.#handshakes.close(), this.#single.close()]);
  }
}

const rateOwner = (owner: string): string => `http.mcp-${sha256Hex(`owner ${owner}`).slice(0, 16)}`;

/** A name in the form that the backend's logs may show. @param which distinguishes clients that call themselves the same. */
function clientName(called: string, which: string): string {
  const shown = called.replaceAll(/[^A-Za-z0-9]+/g, '-').slice(0, 20);
  return `http.mcp-${shown === '' ? '' : `${shown}-`}${sha256Hex(which).slice(0, 8)}`;
}

const nameIn = (info: unknown): string => {
  const name = (info as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : '';
};

const greeterOf = (body: unknown): string =>
  nameIn((body as { params?: { clientInfo?: unknown } } | null | undefined)?.params?.clientInfo);

function selfNamed(body: unknown): string {
  const { _meta: meta } = (body as { params?: { _meta?: Record<string, unknown> } } | null | undefined)?.params ?? {};
  return nameIn(meta?.[CLIENT_INFO_META_KEY]);
}

/** Undefined for what is no JSON: the package says so to the client. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
