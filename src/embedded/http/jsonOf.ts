import type { Context } from 'hono';
import { ApiError } from './apiError.ts';

/** The body. @throws ApiError 400. */
export async function jsonOf(context: Context): Promise<unknown> {
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, 'The request is not JSON.');
  }
}
