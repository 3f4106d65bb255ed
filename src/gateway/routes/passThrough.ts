import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../targets.ts';
import { objectOf, parsed } from '../formats/json.ts';
import { withFields } from '../formats/spans.ts';
import { answerHeaders, upstreamHeaders } from '../passing/headers.ts';
import { readBody } from '../passing/readBody.ts';
import { relayBody } from '../passing/relay.ts';
import { makeRoom } from './room.ts';
import { hasOneSlot } from './takeSlot.ts';

/** Passes a request on that is no part of a conversation. On a server with one place it takes that, like a conversation. */
export async function passThrough(gateway: GatewayContext, request: GatewayRequest): Promise<void> {
  const { targets, outside, recorder } = gateway;
  const body = request.req.method === 'POST' ? await readBody(request.req) : null;
  const target = await targets.for(request);
  if (body === null || !hasOneSlot(target)) return await send(gateway, target, request, body);
  const lineage = await outside.lineages.of(null, null, (error) => recorder.failed(error, null));
  const room = await makeRoom(gateway, target, null, outside.saltOf(lineage), request.signal);
  try {
    const isForeign = room.isForeign && outside.lineages.isolation !== 'off';
    await send(gateway, target, request, isForeign ? withoutReuse(body) : body);
  } finally {
    room.leave();
  }
}

/** What the server has in memory may be another project's. */
function withoutReuse(body: Buffer): Buffer {
  const text = body.toString('utf8');
  const given = objectOf(parsed(text));
  return given && given['cache_prompt'] === undefined ? Buffer.from(withFields(text, { cache_prompt: false })) : body;
}

async function send(
  { upstream }: GatewayContext,
  target: Target,
  { req, res, address, signal }: GatewayRequest,
  body: Buffer | null,
): Promise<void> {
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
