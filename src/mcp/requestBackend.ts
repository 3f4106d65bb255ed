import type { ServerContext } from '@modelcontextprotocol/server';
import type { AgentBackend } from '../agent/agentTool.ts';
import type { RouteInput, RouteName } from '../protocol/api.ts';
import type { McpParts } from './mcpParts.ts';

/**
 * The backend for one request of the client: its cancellation aborts the call, and the call's steps are its progress, where the client
 * asked for that.
 */
export function requestBackend({ mcpReq }: ServerContext, { backend, engine }: McpParts): AgentBackend {
  const { _meta: meta } = mcpReq;
  const token = meta?.progressToken;
  let steps = 0;
  const onProgress = (message: string): void => {
    if (token === undefined) return;
    const params = { progressToken: token, progress: ++steps, message };
    // A client that has gone hears no progress; the call's abort ends the work.
    mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
  return {
    call: (name, input) =>
      backend.call(name, withEngine(name, input, engine), {
        signal: mcpReq.signal,
        ...(token !== undefined && { onProgress }),
      }),
  };
}

const takeEngine: ReadonlySet<RouteName> = new Set(['freeze', 'thaw', 'createSession']);

const withEngine = <Name extends RouteName>(
  name: Name,
  input: RouteInput<Name>,
  engine: string | undefined,
): RouteInput<Name> => (engine !== undefined && takeEngine.has(name) ? { ...input, engine } : input);
