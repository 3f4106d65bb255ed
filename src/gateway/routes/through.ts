import type { GatewayContext, GatewayRequest } from '../context.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody } from '../passing/relay.ts';

/** Passes a request on that is no part of a conversation. */
export async function passThrough(
  { targets, upstream }: GatewayContext,
  { req, res, address, signal }: GatewayRequest,
): Promise<void> {
  const body = req.method === 'POST' ? await readBody(req) : null;
  const target = await targets.of(targets.defaultSpec, signal);
  const answer = await upstream.send(
    target.address,
    {
      method: req.method === 'POST' ? 'POST' : 'GET',
      path: address.path,
      headers: upstreamHeaders(req.headers, target.address.token),
      body,
    },
    signal,
  );
  res.writeHead(answer.statusCode, answerHeaders(answer.headers));
  await relayBody(answer.body, res);
  res.end();
}
