import type { Context } from 'hono';
// By itself: the index would bring fifty languages.
import english from 'zod/v4/locales/en.js';
import { routes, type RouteName } from '../../protocol/api.ts';
import { shapes } from '../../protocol/routes/shapes.ts';
import { CwmError } from '../../protocol/errors.ts';

const maxBodyBytes = 16 * 1024 * 1024;
const inEnglish = english().localeError;

/**
 * A route's input, checked: the query or the JSON body, and over it the path's parameters.
 *
 * @throws CwmError InvalidParameter that names the invalid field, BodyTooLarge for a body over 16 MiB, of which no more than that is
 *   read, RequestTimeout for one that did not come within `bodyMs`.
 */
export async function readRouteInput(c: Context, name: RouteName, bodyMs = 30_000): Promise<unknown> {
  const { method } = routes[name];
  const given = method === 'POST' || method === 'PUT' ? await readJsonObject(c, bodyMs) : c.req.query();
  return checkedInput(name, { ...given, ...c.req.param() });
}

/** @throws CwmError InvalidParameter that names the invalid field. */
export function checkedInput(name: RouteName, given: object): unknown {
  const parsed = shapes[name].input.safeParse(given, { error: inEnglish });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.map(String).join('.') ?? '';
  throw new CwmError('InvalidParameter', `"${field}" is invalid: ${issue?.message ?? 'it has the wrong form'}`, {
    context: { parameter: field },
  });
}

/** An empty body is an empty object. */
async function readJsonObject(c: Context, bodyMs: number): Promise<object> {
  const text = await readBoundedText(c.req.raw, bodyMs);
  if (text === '') return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new CwmError('InvalidParameter', 'The body of the request is not JSON.', { cause: error });
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw new CwmError('InvalidParameter', 'The body of the request is not a JSON object.');
}

/** @throws CwmError BodyTooLarge, RequestTimeout. */
export async function readBoundedText(request: Request, bodyMs = 30_000): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBodyBytes) throw bodyTooLarge();
  if (!request.body) return '';
  const reader = request.body.getReader();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(bodyMs)), bodyMs);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return Buffer.concat(chunks).toString('utf8');
      sizeBytes += value.byteLength;
      if (sizeBytes > maxBodyBytes) throw bodyTooLarge();
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

const bodyTooLarge = (): CwmError =>
  new CwmError('BodyTooLarge', `The request is larger than ${maxBodyBytes / 1024 / 1024} MiB.`, {
    context: { limitBytes: maxBodyBytes },
  });

const tooSlow = (bodyMs: number): CwmError =>
  new CwmError('RequestTimeout', `The body of the request did not come within ${bodyMs / 1000} s.`);
