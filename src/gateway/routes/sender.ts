import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../targets.ts';
import type { Besides, Layout, Written } from '../formats/format.ts';
import { objectOf, parsed, type JsonObject } from '../formats/json.ts';
import { upstreamHeaders } from '../passing/headers.ts';
import { hasFirstSystem, heal, noteSystem, type Healed } from '../passing/heal.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { noteRequest } from './receipt.ts';
import type { Way } from './askServer.ts';

interface Sending {
  readonly request: GatewayRequest;
  readonly written: Written;
  readonly recognised: Recognised | null;
  readonly target: Target;
  readonly client: string;
}

/** Sends one request, perhaps in one form after another. */
export function sender(gateway: GatewayContext, { request, written, recognised, target, client }: Sending) {
  const { targets, upstream, clock } = gateway;
  const { req, address, signal } = request;
  let isNoted = false;
  return async ({ wire, body }: Way) => {
    const says = wire.keepsBytes && !written.before && !written.hasNames ? written.body : null;
    const healed = await healedBody(gateway, wire.layout, body, recognised, says);
    const healing = healed.isPinned && recognised?.kind === 'turn' ? { ...recognised, prefixBreak: null } : recognised;
    if (!isNoted) noteRequest(gateway, client, healing);
    isNoted = true;
    const sentMs = clock.elapsedMs();
    const [path] = address.path.split('?');
    const reply = await upstream
      .send(
        target.address,
        {
          method: 'POST',
          path: path === wire.path ? address.path : wire.path,
          headers: upstreamHeaders(req.headers, target.address.token),
          body: healed.sent,
        },
        signal,
      )
      .catch((error: unknown) => {
        targets.doubt(target.spec);
        throw error;
      });
    return { reply, wire, healed, healing, sentMs };
  };
}

/** Nothing about the spelling of a request stands in its way. */
async function healedBody(
  { healing, spellings, outside, onFailure }: GatewayContext,
  layout: Layout,
  sent: string,
  recognised: Recognised | null,
  says: JsonObject | null,
): Promise<Healed> {
  const as = { sent, parts: 0, isPinned: false };
  if (recognised?.kind !== 'turn' || !(healing.heals || healing.pins)) return as;
  const { conversation, known } = recognised;
  try {
    // Of an earlier process.
    if (healing.pins && known > 0 && !hasFirstSystem(spellings, layout, conversation)) {
      const text = await outside.systemPromptOf(conversation.session);
      if (text !== null) noteSystem(spellings, layout, conversation, text);
    }
    const body = says ?? objectOf(parsed(sent)) ?? {};
    return heal({ sent, body, layout }, recognised, spellings, healing);
  } catch (error) {
    onFailure(error, 'the first spelling of a prompt could not be found');
    return as;
  }
}

export function besidesOf(
  { description: { kind } }: Target,
  salt: string,
  reusesNothing: boolean,
  slot: number | null,
): Besides {
  const isVllm = kind === 'vllm' || kind === 'embedded';
  const dialect = isVllm ? 'vllm' : kind === 'llama-server' ? kind : null;
  return { dialect, salt: isVllm ? salt : null, reusesNothing, slot };
}
