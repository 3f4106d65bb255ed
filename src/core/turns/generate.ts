import { isCwmError, CwmError } from '../../protocol/errors.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { GenerateRequest, Generation, OnPiece } from '../ports/engine.ts';
import type { Reporter } from '../ports/reporter.ts';
import type { ContinueFrom } from '../../protocol/settings/sessionChoices.ts';
import { hasPictures, requireSight, saltWithPictures, withoutIds, withoutPieceIds } from '../prompt/pictures.ts';
import { askWithMemoryTools } from '../memory/tools.ts';
import { showContinued, showConversation, type Shown } from '../memory/show.ts';
import { planPrompt, refusedIds, type PromptPlan } from '../prompt/planPrompt.ts';
import { renderConversation } from '../prompt/prompt.ts';
import { systemPromptOf } from '../session.ts';
import { requireAnswer } from '../answers/answer.ts';
import { endCutTurn } from './cutAnswer.ts';
import { untilAnswered } from './retry.ts';
import { tokensTaken } from '../prompt/taken.ts';
import { movePhase, tokensBefore, type Turn } from './turn.ts';

export interface GenerateOptions extends Pick<
  GenerateRequest,
  'maxTokens' | 'temperature' | 'topP' | 'stop' | 'seed' | 'tools' | 'toolChoice' | 'addGenerationPrompt'
> {
  /** Hears the answer's pieces. Default: only its whole text is wanted. */
  readonly reporter?: Reporter | undefined;
  /** Default: as the core is set. */
  readonly continueFrom?: ContinueFrom | undefined;
}

/** An answer, and how its prompt was made. */
export interface Generated {
  readonly generation: Generation;
  /** Set where the prompt continued from the stored token ids and the chat template would not have. */
  readonly rerenderTokens?: number;
}

/** Asks the engine for the answer. A failure ends the turn: the session has what came of the answer, or else the draft. */
export async function generate(
  core: CoreContext,
  turn: Turn,
  added: readonly Message[],
  { reporter, continueFrom = core.continueFrom, ...options }: GenerateOptions,
  signal: AbortSignal,
): Promise<Generated> {
  try {
    const shown = await showConversation(
      core,
      turn,
      {
        added,
        maxTokens: options.maxTokens,
        tools: options.tools ?? [],
        addGenerationPrompt: options.addGenerationPrompt,
        progress: (step) => reporter?.progress(step),
      },
      signal,
    );
    turn.shown = shown;
    requireSight(turn.description, [...shown.messages, ...added]);
    // Only the template knows how tools are listed.
    const hasTools = options.tools !== undefined && options.tools.length > 0;
    const from = hasTools ? 'template' : continueFrom;
    const plan = await planTurn(core, turn, { shown, added }, { ...options, continueFrom: from }, signal);
    const asked = { ...options, maxTokens: shown.maxTokens, reporter };
    const conversation = [...shown.messages, ...added];
    const generated = await askWithMemoryTools(core, turn, options.tools, (tools) =>
      untilAnswered(core, turn, reporter, signal, () =>
        ask(core, turn, { conversation, plan }, { ...asked, ...(tools ? { tools } : withoutTools) }, signal),
      ),
    );
    const { generation } = generated;
    tookNow(core, turn, generation);
    if (options.addGenerationPrompt && !generation.toolCalls?.length) requireAnswer(generation, shown.maxTokens);
    movePhase(core, turn, 'streamed');
    core.prefill.observe(turn.engine.spec, generation.reuse);
    return generated;
  } catch (error) {
    throw await endCutTurn(core, turn, error);
  }
}

/** An answer that was cut, and the ids of the conversation up to its last token. */
interface CutAnswer {
  readonly message: Message;
  readonly ids: readonly number[];
}

/** Asks the engine to continue the answer. A failure ends the turn. */
export async function continueIds(
  core: CoreContext,
  turn: Turn,
  { message: cut, ids }: CutAnswer,
  { reporter, ...options }: Omit<GenerateOptions, 'continueFrom' | 'addGenerationPrompt'>,
  signal: AbortSignal,
): Promise<Generated> {
  try {
    if (!turn.description.takesTokenIds) {
      throw new CwmError(
        'EngineRejected',
        'The model server takes no token ids, so that it cannot continue an answer.',
        {
          hint: 'Send "Continue" for the rest.',
        },
      );
    }
    const continued = { tokens: cut.context ?? null, taken: ids.length, maxTokens: options.maxTokens };
    const shown = await showContinued(core, turn, continued);
    turn.shown = shown;
    const plan = {
      kind: 'ids',
      promptIds: ids,
      rendered: ids,
      // It was cut while it still thought.
      reasoning: 'reasoning' in cut.content && cut.content.text === '' ? 'open' : 'text',
      rerenderTokens: 0,
      only: true,
    } as const;
    const asked = { ...options, maxTokens: shown.maxTokens, reporter, addGenerationPrompt: true };
    const { generation } = await untilAnswered(core, turn, reporter, signal, () =>
      ask(core, turn, { conversation: [...shown.messages, cut], plan }, asked, signal),
    );
    tookNow(core, turn, generation);
    movePhase(core, turn, 'streamed');
    core.prefill.observe(turn.engine.spec, generation.reuse);
    return { generation };
  } catch (error) {
    throw await endCutTurn(core, turn, error);
  }
}

/** The engine has computed a request of the turn: it has this conversation in memory now. */
function tookNow(core: CoreContext, { session, description }: Turn, generation: Generation): void {
  core.holders.took(session.engine, session.id);
  core.took(session.id, tokensTaken(description, generation));
}

const withoutTools = { tools: [], toolChoice: undefined } as const;

const rendersAll: PromptPlan = { kind: 'template', rendered: null, why: null };

async function planTurn(
  core: CoreContext,
  { session, engine, description, messages }: Turn,
  { shown, added }: { readonly shown: Shown; readonly added: readonly Message[] },
  { continueFrom, addGenerationPrompt }: Pick<GenerateOptions, 'continueFrom' | 'addGenerationPrompt'>,
  signal: AbortSignal,
): Promise<PromptPlan> {
  const { tokens } = session;
  // The ids begin with what has just left the prompt.
  if (!tokens || shown.isChanged || continueFrom === 'template' || !description.takesTokenIds) return rendersAll;
  const ids = (await tokensBefore(core, session))?.toArray();
  return ids
    ? planPrompt(
        engine,
        description,
        {
          system: systemPromptOf(session),
          ids,
          tokens,
          old: shown.messages,
          covered: messages.length,
          added,
          addGenerationPrompt,
        },
        signal,
      )
    : rendersAll;
}

async function ask(
  core: CoreContext,
  turn: Turn,
  { conversation, plan }: { readonly conversation: readonly Message[]; readonly plan: PromptPlan },
  { reporter, ...options }: Omit<GenerateOptions, 'continueFrom'>,
  signal: AbortSignal,
): Promise<Generated> {
  let isHeard = false;
  const seesPictures = hasPictures(conversation);
  const hear: OnPiece = (given) => {
    const piece = seesPictures ? withoutPieceIds(given) : given;
    const chunks = turn.answer?.take(piece) ?? [];
    if (!piece.text && !piece.reasoning && !piece.toolCall) return;
    isHeard = true;
    for (const { part, text, sequence } of chunks) {
      reporter?.[part](text, sequence);
      if (part === 'text') tellDelta(core, turn, text, sequence);
    }
    if (turn.session.phase === 'AwaitingLLMResponse') movePhase(core, turn, 'stream');
  };
  const request = {
    messages: renderConversation(systemPromptOf(turn.session), conversation),
    salt: saltWithPictures(turn.salt, conversation),
    ...options,
    // What `untilAnswered` does: the user sees it wait.
    callerRetries: true,
  };
  const byTemplate = async (why: string | null): Promise<Generated> => {
    const answered = await turn.engine.generate(request, hear, signal);
    const generation = seesPictures ? withoutIds(answered) : answered;
    return { generation: why === null ? generation : { ...generation, notes: [why, ...(generation.notes ?? [])] } };
  };
  if (plan.kind === 'template') return byTemplate(plan.why);
  try {
    const { promptIds, reasoning, rerenderTokens } = plan;
    return {
      generation: await turn.engine.generate({ ...request, promptIds, reasoning }, hear, signal),
      rerenderTokens,
    };
  } catch (error) {
    // The ids may be too many only because of text that the template drops.
    if (isHeard || plan.only || !isCwmError(error, 'EngineRejected', 'ContextTooLong', 'NotAnEngine')) throw error;
    return byTemplate(refusedIds(error.message));
  }
}

function tellDelta(core: CoreContext, { session, answer }: Turn, delta: string, sequence: number): void {
  if (!answer) return;
  const data = { context_id: session.id, message_id: answer.begun.answer.id, delta, sequence };
  core.changes.tell?.({ name: 'ContentDelta', data });
}
