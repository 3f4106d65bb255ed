import { randomUUID } from 'node:crypto';
import type { TextPiece } from './generateText.ts';
import { chatLogprobs, completionLogprobs, type TokenTexts } from './logprobs.ts';

/** The parts of an answer, whole or as one chunk of a stream. */
export interface AnswerPart {
  readonly pieces: readonly TextPiece[];
  readonly texts: TokenTexts | null;
  /** Characters of the answer before this part. */
  readonly textOffset: number;
  /** Only the first chunk of a stream says what the prompt was. */
  readonly isFirst: boolean;
}

/** `/v1/completions` and `/v1/chat/completions` differ in where they put the same things. */
export interface AnswerShape {
  whole(part: AnswerPart, usage: object): object;
  chunk(part: AnswerPart): object;
  usageChunk(usage: object): object;
}

export interface AnswerHead {
  readonly model: string;
  readonly promptIds: readonly number[];
  /** `return_token_ids`. */
  readonly returnsIds: boolean;
}

const textOf = (pieces: readonly TextPiece[]): string => pieces.map(({ text }) => text).join('');
const idsOf = (pieces: readonly TextPiece[]): number[] => pieces.map(({ id }) => id);
const seconds = (): number => Math.floor(Date.now() / 1000);

export const usageOf = (promptTokens: number, completionTokens: number, cachedTokens: number): object => ({
  prompt_tokens: promptTokens,
  total_tokens: promptTokens + completionTokens,
  completion_tokens: completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens },
});

export function completionShape({ model, promptIds, returnsIds }: AnswerHead): AnswerShape {
  const head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created: seconds(), model };
  const choice = ({ pieces, texts, textOffset, isFirst }: AnswerPart): object => ({
    index: 0,
    text: textOf(pieces),
    logprobs: texts && completionLogprobs(pieces, texts, textOffset),
    finish_reason: pieces.at(-1)?.finish?.reason ?? null,
    stop_reason: pieces.at(-1)?.finish?.stopReason ?? null,
    prompt_token_ids: returnsIds && isFirst ? promptIds : null,
    token_ids: returnsIds ? idsOf(pieces) : null,
  });
  return {
    whole: (part, usage) => ({ ...head, choices: [choice(part)], usage, kv_transfer_params: null }),
    chunk: (part) => ({ ...head, choices: [choice(part)] }),
    usageChunk: (usage) => ({ ...head, choices: [], usage }),
  };
}

export function chatShape({ model, promptIds, returnsIds }: AnswerHead): AnswerShape {
  const head = { id: `chatcmpl-${randomUUID()}`, created: seconds(), model };
  const choice = ({ pieces, texts }: AnswerPart): object => ({
    index: 0,
    logprobs: texts && chatLogprobs(pieces, texts),
    finish_reason: pieces.at(-1)?.finish?.reason ?? null,
    stop_reason: pieces.at(-1)?.finish?.stopReason ?? null,
    token_ids: returnsIds ? idsOf(pieces) : null,
  });
  return {
    whole: (part, usage) => ({
      ...head,
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant', content: textOf(part.pieces), tool_calls: [] }, ...choice(part) }],
      usage,
      prompt_token_ids: returnsIds ? promptIds : null,
      kv_transfer_params: null,
    }),
    chunk: (part) => ({
      ...head,
      object: 'chat.completion.chunk',
      choices: [
        { delta: { ...(part.isFirst ? { role: 'assistant' } : {}), content: textOf(part.pieces) }, ...choice(part) },
      ],
      ...(part.isFirst ? { prompt_token_ids: returnsIds ? promptIds : null } : {}),
    }),
    usageChunk: (usage) => ({ ...head, object: 'chat.completion.chunk', choices: [], usage }),
  };
}
