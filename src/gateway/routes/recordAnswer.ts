import type { Lineage } from '../../core/ports/lineages.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { CutReason, TokensTaken } from '../../protocol/schemas/session.ts';
import type { GatewayContext } from '../context.ts';
import type { Target, Targets } from '../targets.ts';
import { endedEarly, saidNothing } from '../formats/answerError.ts';
import { chatPath } from '../formats/chat/chatFormat.ts';
import type { Wire } from '../formats/format.ts';
import { chatMessageOf, type Answer, type Asked, type Item } from '../formats/item.ts';
import { listOf, objectOf, parsed } from '../formats/json.ts';
import { noteAnswer, systemSent } from '../passing/heal.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import type { Recording } from '../recording/recorder.ts';
import { reuseOf } from '../recording/reuseOf.ts';
import { computedAgain } from './receipt.ts';
import type { Room } from './room.ts';

/** How long a record waits for the token ids of its answer, in milliseconds. */
const mostMs = 30_000;

/** A request as the gateway understands it. */
export interface Understood {
  /** In which the model server was asked. */
  readonly wire: Wire;
  /** What the model server was asked. */
  readonly sent: string;
  /** It has the conversation's first system prompt in the place of the client's. */
  readonly isPinned: boolean;
  /** The client may name the answer in its next request. */
  readonly isContinued: boolean;
  readonly hasInstructions: boolean;
  readonly asked: Asked;
  readonly target: Target;
  readonly lineage: Lineage;
  readonly recognised: Recognised | null;
  /** Only the server's memory has it, in a place that is known. */
  readonly isVolatile: boolean;
  /** What was computed before it to bring the conversation back; null: nothing. */
  readonly computed: Room['computed'];
  /** Why it is stored with a later answer; null: it is stored now. */
  readonly whyLater: string | null;
  /** Of the user's last message, as the client says; null: it says nothing. */
  readonly importance: number | null;
  /** Of the message that the answer becomes. */
  readonly answerId: MessageId;
  readonly sentMs: number;
  readonly client: string;
}

/** Records what came of a request. Never throws. */
export function recordAnswer(
  gateway: GatewayContext,
  understood: Understood,
  said: Answer,
  how: { readonly hasLeft: boolean; readonly firstMs: number | null },
): void {
  const { answerId, sent, isContinued, hasInstructions, client, wire } = understood;
  const { item, own } = said;
  try {
    if (isContinued && said.isWhole) {
      const names = { client, serverId: own?.id ?? null, output: own?.output ?? null };
      gateway.recentAnswers.put(answerId, { wire, sent, hasInstructions, item, ...names });
    }
    recordTurn(gateway, understood, said, how);
  } catch (error) {
    gateway.onFailure(error, 'an answer could not be recorded');
  }
}

function recordTurn(
  { outside, recogniser, recorder, targets, figures, spellings }: GatewayContext,
  {
    wire,
    sent,
    isPinned,
    client,
    recognised,
    whyLater,
    isVolatile,
    computed,
    importance,
    asked,
    target,
    lineage,
    answerId,
    sentMs,
  }: Understood,
  said: Answer,
  { hasLeft, firstMs }: { readonly hasLeft: boolean; readonly firstMs: number | null },
): void {
  const { item } = said;
  if (computed) figures.computedAgain(client, computed.tokens, computed.ms);
  // A server that says that its answer has ended has answered, even with nothing: the conversation goes on from there.
  const isSilent = said.finishReason === null && item.text === '' && !item.calls && !item.reasoning && !item.others;
  const isCut = !said.isWhole && !hasLeft;
  const error = said.error ?? (isSilent ? saidNothing : isCut ? endedEarly : null);
  if (error === null) figures.answered(client, said.usage);
  else if (!hasLeft) figures.failed(client, error);
  if (recognised?.kind !== 'turn' || isSilent) return;
  const { conversation, last } = recognised;
  const answer = recogniser.conversations.add(conversation, last, item, true, {
    id: answerId,
    serverId: said.own?.id ?? null,
  });
  noteAnswer(spellings, wire.layout, answer, item);
  if (said.usage) {
    const again = computedAgain(recognised, said.usage);
    const perToken =
      firstMs === null ? 0 : (firstMs - sentMs) / Math.max(1, said.usage.promptTokens - (said.usage.cachedTokens ?? 0));
    figures.computedAgain(client, again, again * perToken);
    conversation.lastTokens = said.usage.promptTokens + said.usage.outputTokens;
  }
  const isLlama = target.description.kind === 'llama-server';
  const recording: Recording = {
    answer,
    importance,
    cut: cutOf(said, hasLeft),
    system: systemSent(spellings, wire.layout, conversation, asked.system, isPinned),
    engine: target.spec,
    description: target.description,
    lineage,
    isVolatile,
    answeredMs: outside.elapsedMs(),
    taken: takenBy(said, target, asked),
    reuse: reuseOf(said, firstMs === null ? null : firstMs - sentMs),
    ids: isLlama && wire.path === chatPath && !said.ids ? askedIds(targets, target, sent, item) : toldIds(said),
  };
  if (whyLater === null) recorder.record(recording);
  else recorder.keepBack(recording, whyLater);
}

const takenBy = ({ usage, model }: Answer, { description }: Target, asked: Asked): TokensTaken => ({
  model: description.model.id || (model ?? asked.model ?? ''),
  promptTokens: usage?.promptTokens ?? null,
  cachedTokens: usage?.cachedTokens ?? null,
  outputTokens: usage?.outputTokens ?? null,
});

/** What waits for its record must not hold the request, which may be megabytes: a closure holds all that its function has. */
const toldIds =
  ({ ids }: Answer): Recording['ids'] =>
  () =>
    Promise.resolve(ids);

const askedIds =
  (targets: Targets, { spec }: Target, sent: string, item: Item): Recording['ids'] =>
  async () => {
    const { messages, ...fields } = objectOf(parsed(sent)) ?? {};
    const chat = { messages: listOf(messages), answer: chatMessageOf(item), fields };
    const prompt = await targets.nextChatIds(spec, chat, AbortSignal.timeout(mostMs)).catch(() => null);
    return prompt && { prompt, output: [] };
  };

function cutOf({ isWhole, finishReason }: Answer, hasLeft: boolean): CutReason | null {
  if (isWhole) return finishReason === 'length' ? 'limit' : null;
  return hasLeft ? 'stopped' : 'failed';
}
