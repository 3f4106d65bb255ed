import type { IncomingMessage, ServerResponse } from 'node:http';
import { pathToFileURL } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Disposable } from '../../base/disposable.ts';
import { entryPointPath } from '../../base/entryPoint.ts';
import { randomId } from '../../base/hash.ts';
import { silent } from '../../core/ports/reporter.ts';
import { answerFailure } from '../../gateway/passing/failures.ts';
import type { RouteName } from '../../protocol/api.ts';
import { toCwmError, type ErrorReport } from '../../protocol/errors.ts';
import type { ToolRight } from '../../protocol/routes/gateway.ts';
import type { Signal } from '../../protocol/signals.ts';
import type { AppParts } from './app.ts';
import { checkedInput, readBoundedText } from './routeInput.ts';

type McpParts = Pick<AppParts, 'dispatch' | 'bus' | 'folders' | 'onRefused' | 'operationsEnded'>;

/** How the server calls the backend; a failure is a report, since the bundle has a class of its own for errors. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: string) => void) | undefined;
}

interface McpOverHttp {
  fetch(request: Request, owner: string | null, tools: ToolRight): Promise<Response>;
  endOwner(owner: string): Promise<void>;
  close(): Promise<void>;
}

/** What the bundle of the MCP server exports. It is loaded with the first request, so that a backend without such clients starts without it. */
interface McpModule {
  readonly McpOverHttp: new (inner: {
    readonly call: (
      client: { readonly name: string; readonly rateOwner: string },
      route: RouteName,
      input: object,
      options: CallOptions,
    ) => Promise<{ readonly result: unknown } | { readonly error: ErrorReport }>;
    readonly onSignal: (client: string, listener: (signal: Signal) => void) => Disposable;
  }) => McpOverHttp;
}

/** Programs that speak the Model Context Protocol, at one path of the TCP listener. What they call goes the way of all other calls. */
export class McpListener {
  readonly #parts: McpParts;
  readonly #bodyMs: number | undefined;
  /** Answers that have not ended, of clients with a token of their own. */
  readonly #answering = new Map<ServerResponse, string>();
  #server: Promise<McpOverHttp> | null = null;

  constructor(parts: McpParts, bodyMs?: number) {
    this.#parts = parts;
    this.#bodyMs = bodyMs;
  }

  /**
   * Answers a request that may come in. Never rejects.
   *
   * @param client whose token it has; null: it has the token of the file.
   * @param tools which tools that client may call.
   */
  async handle(req: IncomingMessage, res: ServerResponse, client: string | null, tools: ToolRight): Promise<void> {
    if (client !== null) {
      this.#answering.set(res, client);
      res.once('close', () => this.#answering.delete(res));
    }
    try {
      const server = await (this.#server ??= this.#load());
      const answer = async (request: Request): Promise<Response> =>
        await server.fetch(await withWholeBody(request, this.#bodyMs), client, tools);
      const fail = (error: unknown): Response => {
        answerFailure(res, error, 'json-rpc');
        return RESPONSE_ALREADY_SENT;
      };
      await getRequestListener(answer, { overrideGlobalObjects: false, errorHandler: fail })(req, res);
    } catch (error) {
      answerFailure(res, error, 'json-rpc');
    }
  }

  /** Ends what a client has open: it may not go on with a token, or with tools, that it had. What it called is aborted. */
  end(client: string): void {
    for (const [res, whose] of this.#answering) if (whose === client) res.destroy();
    void this.#server?.then((server) => server.endOwner(client)).catch(() => undefined);
  }

  async close(): Promise<void> {
    await (await this.#server?.catch(() => null))?.close();
  }

  async #load(): Promise<McpOverHttp> {
    const { McpOverHttp } = (await import(pathToFileURL(entryPointPath('mcp', import.meta.url)).href)) as McpModule;
    return new McpOverHttp({
      call: (...call) => this.#call(...call),
      onSignal: (client, listener) => this.#listen(client, listener),
    });
  }

  async #call(
    { name: client, rateOwner }: { readonly name: string; readonly rateOwner: string },
    route: RouteName,
    given: object,
    { signal, onProgress }: CallOptions,
  ): Promise<{ readonly result: unknown } | { readonly error: ErrorReport }> {
    const { dispatch, onRefused, operationsEnded } = this.#parts;
    let input: unknown = null;
    try {
      input = checkedInput(route, given);
      const until = signal ? AbortSignal.any([signal, operationsEnded]) : operationsEnded;
      const reporter = onProgress ? { ...silent, progress: onProgress } : silent;
      return { result: await dispatch({ route, input, client, rateOwner, operationId: randomId() }, until, reporter) };
    } catch (thrown) {
      const error = toCwmError(thrown);
      onRefused({ route, input, error, client });
      return { error: error.report() };
    }
  }

  #listen(client: string, listener: (signal: Signal) => void): Disposable {
    const { bus, folders } = this.#parts;
    let at = bus.head;
    const added = bus.onAdded(() => {
      for (const signal of bus.after(at)) {
        at = signal.sequence;
        listener(signal);
      }
    });
    const live = folders.listen(client);
    return {
      dispose: () => {
        added.dispose();
        live.dispose();
      },
    };
  }
}

/** A slow sender holds nothing of the protocol, and the body has a limit. */
async function withWholeBody(request: Request, bodyMs: number | undefined): Promise<Request> {
  if (request.method !== 'POST') return request;
  const { method, headers, signal, url } = request;
  return new Request(url, { method, headers, signal, body: await readBoundedText(request, bodyMs) });
}
