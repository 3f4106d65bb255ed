import { ApiError, errorBody, toApiError } from './apiError.ts';
import { usageOf, type AnswerPart, type AnswerShape } from './answerShape.ts';
import type { TextPiece } from './generateText.ts';
import { namedIds, type TokenTexts } from './logprobs.ts';

export interface GeneratedAnswer {
  readonly shape: AnswerShape;
  readonly promptTokens: number;
  readonly pieces: AsyncGenerator<TextPiece, void, void>;
  /** Null when no log-probabilities were asked for. */
  readonly tokenTexts: ((ids: readonly number[]) => Promise<TokenTexts>) | null;
}

/** Collects a whole answer. */
export async function wholeAnswer(answer: GeneratedAnswer): Promise<object> {
  const pieces: TextPiece[] = [];
  for await (const piece of answer.pieces) pieces.push(piece);
  const part = await partOf(answer, pieces, 0, true);
  return answer.shape.whole(part, usageOf(answer.promptTokens, pieces.length, pieces.at(-1)?.cachedTokens ?? 0));
}

/**
 * A stream of server-sent events: one chunk for each token, the usage with no choices where the client asked for it, `[DONE]`. A failure
 * after the stream began is one more event. A client that does not read delays no other request.
 *
 * @param stop ends the generation when the client goes away.
 */
export function streamAnswer(
  answer: GeneratedAnswer,
  includeUsage: boolean,
  stop: AbortController,
  log: (error: unknown) => void,
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (event: object | string): void => {
        if (stop.signal.aborted) return;
        const data = typeof event === 'string' ? event : JSON.stringify(event);
        controller.enqueue(encoder.encode(`data: ${data}\n\n`));
      };
      try {
        for await (const event of eventsOf(answer, includeUsage)) send(event);
      } catch (error) {
        if (!(error instanceof ApiError) && !stop.signal.aborted) log(error);
        send(errorBody(toApiError(error)));
      }
      send('[DONE]');
      if (!stop.signal.aborted) controller.close();
    },
    cancel() {
      stop.abort();
    },
  });
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
  });
}

async function* eventsOf(answer: GeneratedAnswer, includeUsage: boolean): AsyncGenerator<object, void, void> {
  let tokens = 0;
  let textOffset = 0;
  let cachedTokens = 0;
  for await (const piece of answer.pieces) {
    yield answer.shape.chunk(await partOf(answer, [piece], textOffset, tokens === 0));
    tokens++;
    textOffset += piece.text.length;
    cachedTokens = piece.cachedTokens;
  }
  if (includeUsage) yield answer.shape.usageChunk(usageOf(answer.promptTokens, tokens, cachedTokens));
}

async function partOf(
  answer: GeneratedAnswer,
  pieces: readonly TextPiece[],
  textOffset: number,
  isFirst: boolean,
): Promise<AnswerPart> {
  return { pieces, texts: answer.tokenTexts && (await answer.tokenTexts(namedIds(pieces))), textOffset, isFirst };
}
