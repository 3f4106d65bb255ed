import { commonPrefixLength } from '../../base/tokenIds.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { ContextTokens, Message } from '../../protocol/schemas/session.ts';
import type { Engine, EngineDescription, ReasoningForm } from '../ports/engine.ts';
import { hasPictures } from './pictures.ts';
import { renderConversation, renderPrompt, systemKey } from './prompt.ts';
import { joinIds, renderBehind } from './seam.ts';
import { reasoningForm, spells } from './spelling.ts';

/** How a prompt is sent. */
export type PromptPlan =
  | {
      /** The engine renders the messages. */
      readonly kind: 'template';
      /** What that makes of them; null where it was not asked for, or could not be. */
      readonly rendered: readonly number[] | null;
      /** Why the prompt does not begin with the old ids, though it should, in plain words; null where it does, or need not. */
      readonly why: string | null;
    }
  | {
      readonly kind: 'ids';
      readonly promptIds: readonly number[];
      readonly rendered: readonly number[];
      readonly reasoning: ReasoningForm;
      /** Tokens that would be computed again if the template rendered the conversation. */
      readonly rerenderTokens: number;
      /** No other prompt will do. */
      readonly only?: true;
    };

export interface Planned {
  /** The system prompt of the next prompt; null: it has none. */
  readonly system: string | null;
  /** What the engine saw last, and the facts about it. */
  readonly ids: readonly number[];
  readonly tokens: ContextTokens;
  /** What the ids stand for, as the prompt has it. */
  readonly old: readonly Message[];
  /** How many messages of the conversation that is. Default: as many as `old` has. */
  readonly covered?: number;
  readonly added: readonly Message[];
  readonly addGenerationPrompt: boolean;
}

/**
 * Decides how the next prompt is sent so that it begins with the ids that the engine has KV for. As long as the template's rendering
 * does that by itself, the engine renders; where it would leave them (a date, dropped reasoning, another order), the prompt is the old
 * ids and what the template puts behind them. Nothing here costs an answer: what cannot be found out leaves it to the template.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function planPrompt(
  engine: Engine,
  description: Pick<EngineDescription, 'takesTokenIds'>,
  planned: Planned,
  signal: AbortSignal,
): Promise<PromptPlan> {
  const { system, ids, tokens, old, covered = old.length, added, addGenerationPrompt } = planned;
  if (ids.length === 0 || old.length === 0 || tokens.cut || hasPictures([...old, ...added]))
    return byTemplate(null, null);
  try {
    const before = renderConversation(system, old);
    const messages = [...before, ...renderPrompt(added)];
    const rendered = await engine.tokenize(messages, addGenerationPrompt, signal);
    const shared = commonPrefixLength(ids, rendered);
    if (shared === ids.length || !description.takesTokenIds) return byTemplate(rendered, null);
    if (tokens.system !== systemKey(system) || tokens.messageCount !== covered)
      return byTemplate(rendered, changedHistory);
    const conversation = { messages, oldCount: before.length, addGenerationPrompt };
    const behind = await renderBehind(engine, conversation, rendered, signal);
    if (!behind) return byTemplate(rendered, noSeam);
    const promptIds = joinIds(ids, behind);
    const text = await engine.detokenize(promptIds, signal);
    if (text !== null && !spells(text, messages)) return byTemplate(rendered, changedHistory);
    const wasToldApart = old.some(({ content }) => 'reasoning' in content && Boolean(content.reasoning));
    const reasoning = addGenerationPrompt ? reasoningForm(text, messages, wasToldApart) : 'text';
    if (reasoning === null) return byTemplate(rendered, unknownMarks);
    return { kind: 'ids', promptIds, rendered, reasoning, rerenderTokens: rendered.length - shared };
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return byTemplate(null, null);
  }
}

const byTemplate = (rendered: readonly number[] | null, why: string | null): PromptPlan => ({
  kind: 'template',
  rendered,
  why,
});

const again = 'so the chat template rendered the whole conversation again';
const changedHistory = `The stored token ids are not those of this conversation any more, ${again}.`;
const noSeam = `The chat template does not show where new messages begin, ${again}.`;
const unknownMarks = `The marks around this model's reasoning are not known, ${again}.`;

/** Said where the engine took the ids of a plan for wrong, and the template's rendering was sent instead. */
export const refusedIds = (reason: string): string =>
  `The model server did not take the stored token ids, ${again}. It said: ${reason}`;
