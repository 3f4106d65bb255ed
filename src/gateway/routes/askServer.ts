import type { Dispatcher } from 'undici';
import { isCwmError } from '../../protocol/errors.ts';
import type { GatewayContext } from '../context.ts';
import { missingRoute, type Target } from '../targets.ts';
import type { Besides, Format, Wire, Written } from '../formats/format.ts';

/** A request in the form in which a model server is asked. */
export interface Way {
  readonly wire: Wire;
  readonly body: string;
}

/** A server of a kind that the gateway knows has the form, and does not understand a request in it. */
const refused: ReadonlySet<number> = new Set([400, 422]);

interface Asked {
  readonly target: Target;
  readonly written: Written;
  readonly besides: Besides;
  readonly signal: AbortSignal;
}

/**
 * Asks a server in the client's own form or in chat completions. A server that turns out not to understand the client's form is asked in chat
 * completions, where these can say it.
 *
 * @throws CwmError InvalidParameter for what no form of the server can say, and as `send`.
 */
export async function askServer<Reply extends { readonly reply: Dispatcher.ResponseData }>(
  format: Format,
  gateway: Pick<GatewayContext, 'targets'>,
  asked: Asked,
  send: (way: Way) => Promise<Reply>,
): Promise<Reply> {
  const { target, written, besides } = asked;
  const { chat } = format;
  const way = await wayOf(format, gateway, asked);
  const sent = await send(way);
  const { statusCode, body } = sent.reply;
  const isMissing = missingRoute.has(statusCode);
  const isRefused = isMissing || (refused.has(statusCode) && !tellsNoTokens(target));
  if (way.wire === chat || !isRefused) return sent;
  let inChat: string;
  try {
    inChat = chat.body(written, besides);
  } catch {
    return sent;
  }
  await body.dump();
  if (isMissing) gateway.targets.hasNoRoute(target, way.wire.path);
  return send({ wire: chat, body: inChat });
}

/**
 * Chat completions are the first choice where the server tells tokens in them only, and nothing of the request is lost there. Else the client's
 * own form is, where the server has it.
 */
async function wayOf(
  { chat, own }: Format,
  { targets }: Pick<GatewayContext, 'targets'>,
  { target, written, besides, signal }: Asked,
): Promise<Way> {
  const inChat = (): Way => ({ wire: chat, body: chat.body(written, besides) });
  if (!own) return inChat();
  const inOwn = (): Way => ({ wire: own, body: own.body(written, besides) });
  const hasOwn = (): Promise<boolean> => targets.hasRoute(target, own.path, signal);
  if (tellsNoTokens(target) || own.saysMore(written.body, besides.dialect))
    return (await hasOwn()) ? inOwn() : inChat();
  try {
    return inChat();
  } catch (error) {
    if (!isCwmError(error, 'InvalidParameter') || !(await hasOwn())) throw error;
    return inOwn();
  }
}

/** A server of no kind that the backend knows tells the ids of tokens in no form. */
const tellsNoTokens = ({ description }: Target): boolean => description.kind === 'openai';
