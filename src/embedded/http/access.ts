import { createHash, timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';
import { ApiError } from './apiError.ts';

const loopback = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;

/**
 * Admits a request only when it addresses this machine by a loopback name, comes from no web page (a page can send requests
 * here, and a name that it controls can be made to lead here), and carries the token where there is one. `/health` needs no
 * token.
 */
export const onlyAllowed = (token: string | undefined) =>
  createMiddleware(async (context, next) => {
    if (!loopback.test(context.req.header('host') ?? '') || context.req.header('origin') !== undefined) {
      throw new ApiError(403, 'This server answers local programs only.');
    }
    if (token !== undefined && context.req.path !== '/health') {
      const given = /^Bearer (.+)$/i.exec(context.req.header('authorization') ?? '')?.[1] ?? '';
      if (!timingSafeEqual(digest(given), digest(token))) throw new ApiError(401, 'The API key is missing or wrong.');
    }
    await next();
  });

// Digests have one length, whatever was given.
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
