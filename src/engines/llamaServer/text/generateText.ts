import type { GenerateRequest, Generation, OnPiece } from '../../../core/ports/engine.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Link } from '../../http/link.ts';
import { idsAgree } from '../../idsAgree.ts';
import { TextCalls } from '../../toolCalls/textCalls.ts';
import { chatPromptIds, picturePrompt } from './chatPrompt.ts';
import { weigh } from '../completion.ts';
import type { HomeSlot } from '../slots/homeSlot.ts';
import type { Place } from '../slots/place.ts';
import { requireRoom, type SlotRequests } from '../slots/slotRequests.ts';
import type { PromptTokens } from './promptTokens.ts';
import { readText, streamRequest, type StreamedText } from './textStream.ts';
import { answerIds, textOfIds } from './tokenizing.ts';

interface Parts {
  readonly place: Place;
  readonly requests: SlotRequests;
  readonly home: HomeSlot;
  readonly prompts: PromptTokens;
  /** The monotonic clock, in milliseconds. */
  readonly elapsedMs: () => number;
}

/** One answer, in the client's slot. A prompt with pictures is sent as text and pictures, and its ids stay unknown. */
export async function generateText(
  { place, requests, home, prompts, elapsedMs }: Parts,
  request: GenerateRequest,
  onPiece: OnPiece,
  signal: AbortSignal,
): Promise<Generation> {
  const { link, server } = place;
  const { tools = [] } = request;
  const pictures = await picturePrompt(link, request, signal);
  const promptIds = pictures ? [] : (request.promptIds ?? (await chatPromptIds({ link, prompts }, request, signal)));
  if (!pictures) requireRoom(promptIds.length, server);
  const use = await requests.enter(place, request.salt, signal);
  onPiece({ promptIds });
  const found = tools.length === 0 ? null : new TextCalls(tools.map(({ name }) => name));
  const hear: OnPiece = (piece) => onPiece(found ? { ...piece, ...found.push(piece.text ?? '') } : piece);
  const answer = await readText(
    { link, request: streamRequest(pictures ?? promptIds, request, use), use, onPiece: hear, elapsedMs },
    signal,
  );
  if (found) onPiece(found.end());
  home.noLongerFromFile(place.slot);
  const { finishReason, timings, outputTokens } = answer;
  const said = found ? saidBesides(found) : { text: answer.text };
  const sentTokens = pictures ? (timings?.cache_n ?? 0) + (timings?.prompt_n ?? 0) : promptIds.length;
  const reuse = weigh({ ...answer, sentTokens, isFromFile: use.isFromFile });
  if (pictures)
    return { ...said, promptIds: [], outputIds: [], idsSource: 'tokenize', outputTokens, finishReason, reuse };
  const outputIds = await idsOfText(link, answer, signal);
  return {
    ...said,
    promptIds,
    outputIds: outputIds ?? (await retokenize(link, answer, signal)),
    idsSource: outputIds ? 'engine' : 'tokenize',
    outputTokens,
    finishReason,
    reuse,
  };
}

const saidBesides = ({ told, calls, reasoning }: TextCalls): Pick<Generation, 'text' | 'reasoning' | 'toolCalls'> => ({
  text: calls.length === 0 ? told : told.trimEnd(),
  reasoning,
  toolCalls: calls,
});

/** The ids that came with an answer; null where some are missing, or they are those of another text. */
async function idsOfText(link: Link, answer: StreamedText, signal: AbortSignal): Promise<readonly number[] | null> {
  const { outputIds } = answer;
  if (!outputIds) return null;
  try {
    return idsAgree(await textOfIds(link, outputIds, signal), answer) ? outputIds : null;
  } catch (error) {
    // The answer is complete, and a server that is lost after it must not cost it.
    if (signal.aborted || !isCwmError(error, 'EngineUnavailable')) throw error;
    return outputIds;
  }
}

/** What the server left out is worked out from the text; the id that ended the answer has none. */
async function retokenize(link: Link, { text, endId }: StreamedText, signal: AbortSignal): Promise<readonly number[]> {
  return [...(await answerIds(link, text, signal)), ...(endId === null ? [] : [endId])];
}
