import { CwmError } from '../../protocol/errors.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Format, Written } from '../formats/format.ts';
import type { Asked } from '../formats/item.ts';
import { objectOf, parsed } from '../formats/json.ts';
import { readBody } from '../passing/readBody.ts';
import { clientOf, conversationName, type HeaderOf } from '../recognition/clientIds.ts';
import { projectOf } from '../recognition/project.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { importanceOf, type Importance } from './importance.ts';
import { namedBy, previousTurn } from './previousTurn.ts';

/** A request that was read, before anything is asked for it. */
export interface ReadRequest {
  readonly written: Written;
  readonly asked: Asked;
  readonly client: string;
  readonly project: ProjectUri | null;
  /** By which the client names the conversation; null: it does not. */
  readonly key: string | null;
  readonly importance: Importance;
  /** Why nothing of it is recorded; null: it may be. */
  readonly whyNot: string | null;
  /** The same, or why it is recorded with a later answer of its conversation. */
  readonly whyLater: string | null;
  /** Null: it is not recorded. */
  readonly recognise: () => Recognised | null;
}

export async function readRequest(
  format: Format,
  gateway: GatewayContext,
  request: GatewayRequest,
): Promise<ReadRequest> {
  const { recogniser, clock, outside, onFailure } = gateway;
  const { req, address, client: known } = request;
  const text = (await readBody(req)).toString('utf8');
  const written = objectOf(parsed(text));
  const header: HeaderOf = (name) => headerOf(req.headers[name]);
  const client = known?.name ?? clientOf(header);
  const body = written && ((await format.resolved?.(written, namedBy(gateway, format, client))) ?? written);
  const asked = body && format.read(body);
  if (!body || !asked)
    throw new CwmError('InvalidParameter', 'The body of the request is no JSON object with a list of messages.');
  const previous = await previousTurn(gateway, format, format.previousOf?.(body) ?? null, client);
  const says = projectOf(address.project, header, asked);
  const named = says && (await outside.projectAt(says.project, says.isExplicit, request.signal));
  const project = previous?.said?.conversation.project ?? named;
  if (named !== null) await outside.requireOwn(named, project, request.signal);
  const conversation = conversationName(header, body, client, project);
  const asker = { client, project, ...conversation };
  const whyNot = isOff(header('x-cwm-record'))
    ? 'The request says that its conversation is not recorded.'
    : known?.records === false
      ? 'The client is not recorded.'
      : (await outside.isRecorded(project))
        ? null
        : 'The project is not recorded.';
  const recognise = (): Recognised | null => {
    if (whyNot !== null) return null;
    const nowMs = clock.elapsedMs();
    try {
      // A session may turn out to be gone once room for it is made; then what was said goes on as another one.
      const said = previous?.said;
      if (said && recogniser.ofSession(said.conversation.session)) return recogniser.goOn(said, asked, asker, nowMs);
      const items = [...(previous?.before.items() ?? []), ...asked.items];
      return recogniser.recognise({ ...asked, items }, asker, nowMs);
    } catch (error) {
      onFailure(error, 'a conversation of a client could not be recognised');
      return null;
    }
  };
  return {
    written: { text, body, hasNames: body !== written, before: previous?.before ?? null },
    asked,
    client,
    project,
    key: conversation.isOfCache ? null : conversation.key,
    importance: importanceOf(header),
    whyNot,
    whyLater: whyNot ?? gateway.whyTooMany(client),
    recognise,
  };
}

const isOff = (said: string | null): boolean => /^(no|off|false|0)$/i.test(said ?? '');

const headerOf = (value: string | string[] | undefined): string | null =>
  value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
