import { routes, type RouteInput, type RouteName, type RouteOutput } from '../protocol/api.ts';
import { CwmError, type ErrorReport } from '../protocol/errors.ts';
import type { BackendAnswer, BackendRequest } from './transport.ts';

/** What a route's input looks like on the wire: path parameters, then the query or a JSON body. Fields that are undefined are left out. */
export function toRequest<Name extends RouteName>(name: Name, input: RouteInput<Name>): BackendRequest {
  const { method, path } = routes[name];
  const rest: Record<string, unknown> = { ...input };
  const filled = path.replaceAll(/:(\w+)/g, (_, parameter: string) => {
    const value = rest[parameter];
    delete rest[parameter];
    return encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value));
  });
  if (method === 'POST' || method === 'PUT') return { method, path: filled, body: JSON.stringify(rest) };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(rest)) {
    if (value !== undefined) query.set(key, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return { method, path: query.size === 0 ? filled : `${filled}?${query.toString()}` };
}

/**
 * The route's output. The backend checked it before it sent it.
 *
 * @throws CwmError what the backend reported; Internal when its answer is not what the route promises.
 */
export function fromAnswer<Name extends RouteName>(name: Name, answer: BackendAnswer): RouteOutput<Name> {
  // 204: the route has nothing to say.
  const body = answer.status === 204 ? {} : parsed(name, answer);
  if (answer.status >= 400) throw CwmError.fromReport(toReport(name, body));
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw unexpected(name, 'it is not an object');
  return body as RouteOutput<Name>;
}

function parsed(name: RouteName, { status, body }: BackendAnswer): unknown {
  return routes[name].answersText !== undefined && status < 400 ? { text: body } : parseJson(name, body);
}

function parseJson(name: RouteName, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unexpected(name, 'it is not JSON', error);
  }
}

function toReport(name: RouteName, body: unknown): ErrorReport {
  const report = (body as { error?: ErrorReport } | null)?.error;
  if (typeof report?.code === 'string' && typeof report.message === 'string') return report;
  throw unexpected(name, 'it is an error without a report');
}

const unexpected = (name: RouteName, why: string, cause?: unknown): CwmError =>
  new CwmError('Internal', `The backend's answer to "${name}" cannot be used: ${why}.`, { cause });
