/** What a path of the gateway says, and who sent it. */
export interface GatewayAddress {
  /** Where a client can send no header. */
  readonly token: string | null;
  readonly project: string | null;
  /** From `/v1` on, `/mcp`, or `/` for the page. */
  readonly path: string;
  /** Model server that the request is for. Only a client of the user's own names one; default: that of new sessions. */
  readonly engine?: string;
}

/**
 * `/t/TOKEN` and `/p/PROJECT` may stand before `/v1/…`, in this order, and `/t/TOKEN` before `/mcp`.
 *
 * @returns null for a path that is not the gateway's.
 */
export function gatewayAddress(url: string): GatewayAddress | null {
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const found = /^(?:\/t\/([^/]+))?(?:\/p\/([^/]+))?(\/(?:v1(?:\/.*)?|mcp)?)?$/.exec(path);
  if (!found) return null;
  const [, token, project, rest = '/'] = found;
  try {
    return {
      token: token === undefined ? null : decodeURIComponent(token),
      project: project === undefined ? null : decodeURIComponent(project),
      path: mark === -1 ? rest : rest + url.slice(mark),
    };
  } catch {
    return null;
  }
}
