import { randomId } from '../../base/hash.ts';
import type { Lineage } from '../../core/ports/lineages.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessageId, ProjectUri } from '../../protocol/ids.ts';
import type { GatewayContext, GatewayRequest } from '../context.ts';
import type { Target } from '../targets.ts';
import { answerErrorOf, type AnswerError } from '../formats/answerError.ts';
import type { Format, StreamOptions } from '../formats/format.ts';
import { objectOf, parsed, textOf } from '../formats/json.ts';
import { answerWithMemory, hasMemory } from '../memory/memoryChat.ts';
import { errorOf } from '../passing/failures.ts';
import { answerHeaders } from '../passing/headers.ts';
import { heldLine } from '../passing/heldLine.ts';
import { brokenOff, relayBody, relayEvents } from '../passing/relay.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { recordAnswer, type Understood } from './recordAnswer.ts';
import { readRequest, type ReadRequest } from './readRequest.ts';
import { receiptHeaders, reusedBy, reuseHeaders, reuseLine, reuseUsage } from './receipt.ts';
import { makeRoom, type Room } from './room.ts';
import { hasOneSlot } from './takeSlot.ts';
import { besidesOf, sender } from './sender.ts';
import { askServer } from './askServer.ts';

/** The lineage whose salt the request carries: that of its conversation, which it has from its first request on. */
async function lineageOf(
  { outside, recorder }: GatewayContext,
  project: ProjectUri | null,
  recognised: Recognised | null,
): Promise<Lineage> {
  const conversation = recognised?.conversation ?? null;
  const onFailure = (error: unknown): void => recorder.failed(error, null);
  const lineage = await outside.lineages.of(project, conversation?.lineage ?? null, onFailure);
  if (conversation) conversation.lineage = lineage.id;
  return lineage;
}

/** Passes a request of a conversation on, and records it as a turn unless it is none. @param isAnswering called when the answer begins to stream. */
async function pass(
  format: Format,
  gateway: GatewayContext,
  request: GatewayRequest,
  isAnswering: () => void,
): Promise<void> {
  const { targets, recogniser, recorder, outside } = gateway;
  const { res, signal } = request;
  const given = await readRequest(format, gateway, request);
  if (hasMemory(given.asked)) {
    const { written, client, project, key, importance, whyNot } = given;
    return await answerWithMemory(format, gateway, {
      request,
      body: written.body,
      chat: format.chat.body(written),
      client,
      project,
      key,
      importance,
      whyNot,
      isAnswering,
    });
  }
  let target = await targets.for(request);
  const enter = async (): Promise<Passing> => {
    const recognised = given.recognise();
    try {
      const [lineage, whyLater] = await Promise.all([
        lineageOf(gateway, given.project, recognised),
        given.whyLater ?? whyNoSession(gateway, recognised),
      ]);
      const receipt = receiptOf(gateway, { ...given, whyLater }, recognised);
      const room = await heldLine(res, given.asked.streams && receipt, () =>
        makeRoom(gateway, target, recognised, outside.saltOf(lineage), signal),
      );
      return { recognised, lineage, whyLater, room };
    } catch (error) {
      recogniser.ended(recognised);
      throw error;
    }
  };
  let passing = await enter();
  const leave = (): void => {
    recogniser.ended(passing.recognised);
    passing.room.leave();
  };
  if (!passing.room.isThere && passing.recognised?.conversation) {
    leave();
    recogniser.forget(passing.recognised.conversation);
    recorder.forget(passing.recognised.conversation.session);
    passing = await enter();
  }
  if (passing.room.isNew) {
    // What it serves is recorded with the answer, and how many places it has decides what is looked after.
    const had = target;
    targets.doubt(had.spec);
    target = await targets.of(had.spec, signal).catch((error: unknown) => {
      leave();
      throw error;
    });
    if (hasOneSlot(target) !== hasOneSlot(had)) {
      leave();
      passing = await enter();
    }
  }
  try {
    await ask(format, gateway, { request, given, target, passing, isAnswering });
  } finally {
    leave();
  }
}

/** Why a conversation that begins with this request would become no session; null: nothing stands in its way, or it has begun. */
const whyNoSession = ({ outside }: GatewayContext, recognised: Recognised | null): Promise<string | null> | null =>
  recognised?.kind === 'turn' && recognised.known === 0 ? outside.whyNoRoom() : null;

function receiptOf(
  gateway: GatewayContext,
  { importance, whyLater }: Pick<ReadRequest, 'importance' | 'whyLater'>,
  recognised: Recognised | null,
) {
  const receipt = receiptHeaders(gateway, recognised, whyLater);
  return { ...receipt, ...importance.receipt(receipt['x-cwm-recorded'] === 'yes') };
}

interface Passing {
  readonly recognised: Recognised | null;
  readonly lineage: Lineage;
  /** Why it is not recorded, or only with a later answer; null: nothing says so. */
  readonly whyLater: string | null;
  readonly room: Room;
}

interface Asking {
  readonly request: GatewayRequest;
  readonly given: ReadRequest;
  readonly target: Target;
  readonly passing: Passing;
  readonly isAnswering: () => void;
}

/** Sends the prompt, and passes the answer back. */
async function ask(
  format: Format,
  gateway: GatewayContext,
  { request, given, target, passing, isAnswering }: Asking,
): Promise<void> {
  const { targets, clock, outside } = gateway;
  const { res, signal } = request;
  const { written, asked, client } = given;
  const { recognised, lineage, whyLater, room } = passing;
  const receipt = receiptOf(gateway, { ...given, whyLater }, recognised);
  const isForeign =
    room.isForeign && outside.lineages.isolation !== 'off' && !(recognised?.kind === 'turn' && recognised.known > 0);
  const besides = besidesOf(target, outside.saltOf(lineage), isForeign, room.slot);
  const sending = { request, written, recognised, target, client };
  const { reply, wire, healed, healing, sentMs } = await askServer(
    format,
    gateway,
    { target, written, besides, signal },
    sender(gateway, sending),
  );
  const understood: Understood = {
    wire,
    sent: healed.sent,
    isPinned: healed.isPinned,
    isContinued: format.previousOf !== undefined,
    hasInstructions: textOf(written.body['instructions']) !== '',
    asked,
    target,
    lineage,
    recognised: healing,
    whyLater: given.whyLater,
    isVolatile: room.isVolatile,
    computed: room.computed,
    importance: given.importance.value,
    client,
    answerId: randomId() as MessageId,
    sentMs,
  };
  const hasBegun = res.headersSent;
  const begin = (more: Readonly<Record<string, string>> = {}): void => {
    if (!hasBegun) res.writeHead(reply.statusCode, { ...answerHeaders(reply.headers), ...receipt, ...more });
  };
  if (reply.statusCode !== 200) {
    targets.doubt(target.spec);
    if (hasBegun) throw new Refused(await reply.body.text(), reply.statusCode);
    begin();
    const said = await relayBody(reply.body, res);
    gateway.figures.failed(client, new Refused(said, reply.statusCode).error);
    return void res.end();
  }
  const reused = reusedBy(healing, room, healed);
  const { answerId } = understood;
  const options: StreamOptions = {
    body: written.body,
    answerId,
    closing: reuseLine(reused),
    usage: reuseUsage(reused),
  };
  let firstMs: number | null = null;
  if (String(reply.headers['content-type'] ?? '').includes('text/event-stream')) {
    const stream = wire.stream(options);
    const onFirst = (): void => {
      if (firstMs !== null) return;
      firstMs = clock.elapsedMs();
      begin();
      isAnswering();
    };
    try {
      await relayEvents(reply.body, res, stream, onFirst);
    } catch (error) {
      // Before its first event, the failure can still have a status.
      if (!res.headersSent || signal.aborted) throw error;
      const { isWhole, error: isTold } = stream.answer;
      res.write(isWhole || isTold ? stream.end() : stream.fail(errorOf(error)));
    } finally {
      if (res.headersSent) recordAnswer(gateway, understood, stream.answer, { hasLeft: signal.aborted, firstMs });
    }
    return void res.end();
  }
  const whole = await reply.body.text().catch((error: unknown) => {
    throw signal.aborted ? error : brokenOff(error);
  });
  const { answer, passed } = wire.whole(whole, options);
  // Before the record, which changes what the conversation had.
  const found = reused(answer);
  recordAnswer(gateway, understood, answer, { hasLeft: signal.aborted, firstMs });
  // What is no answer of a model comes as the server wrote it, in any format.
  const shown = objectOf(parsed(whole)) ? passed : whole;
  if (shown === null || hasBegun) throw noAnswer(answer.error);
  begin(reuseHeaders(found));
  res.end(shown);
}

const noAnswer = (error: AnswerError | null): CwmError =>
  new CwmError('EngineRejected', error?.message ?? 'The model server sent no answer.');

/** The model server refused a request whose stream had begun here. */
class Refused extends Error {
  readonly error: AnswerError;

  constructor(said: string, status: number) {
    super('refused');
    const error = answerErrorOf(objectOf(parsed(said))) ?? { message: said.slice(0, 2000), type: 'api_error' };
    this.error = { ...error, code: status };
  }
}

/** What goes wrong before the answer, and behind the first comment, is an event in the client's format. */
export const converse =
  (format: Format) =>
  async (gateway: GatewayContext, request: GatewayRequest): Promise<void> => {
    const { res } = request;
    let isAnswering = false;
    try {
      await pass(format, gateway, request, () => void (isAnswering = true));
    } catch (thrown) {
      const error = thrown instanceof Refused ? thrown.error : errorOf(thrown);
      const isToTell = !isAnswering && !request.signal.aborted;
      if (isToTell && request.client) gateway.figures.failed(request.client.name, error);
      if (!res.headersSent || res.destroyed || isAnswering) throw thrown;
      res.end(format.chat.stream({ body: {}, answerId: randomId(), closing: () => null }).fail(error));
    }
  };
