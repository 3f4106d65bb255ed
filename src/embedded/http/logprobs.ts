import type { TextPiece } from './generateText.ts';

/** Text of single tokens, by id. */
export type TokenTexts = ReadonlyMap<number, string>;

/** Every token that a piece's log-probabilities name. */
export const namedIds = (pieces: readonly TextPiece[]): number[] => [
  ...new Set(pieces.flatMap(({ id, top }) => [id, ...top.map((entry) => entry.id)])),
];

/** The form of `/v1/completions`: parallel lists. The generated token is among the alternatives even when it is not one of the best. */
export function completionLogprobs(pieces: readonly TextPiece[], texts: TokenTexts, firstOffset: number): object {
  let offset = firstOffset;
  const offsets = pieces.map(({ text }) => {
    const at = offset;
    offset += text.length;
    return at;
  });
  return {
    text_offset: offsets,
    tokens: pieces.map(({ id }) => texts.get(id) ?? ''),
    token_logprobs: pieces.map(({ logprob }) => logprob),
    top_logprobs: pieces.map(({ id, logprob, top }) =>
      Object.fromEntries(
        (top.some((entry) => entry.id === id) || logprob === null ? top : [{ id, logprob }, ...top]).map((entry) => [
          texts.get(entry.id) ?? '',
          entry.logprob,
        ]),
      ),
    ),
  };
}

/** The form of chats: one object for each token. */
export function chatLogprobs(pieces: readonly TextPiece[], texts: TokenTexts): object {
  const entry = (id: number, logprob: number | null): object => {
    const token = texts.get(id) ?? '';
    return { token, logprob, bytes: [...Buffer.from(token)] };
  };
  return {
    content: pieces.map(({ id, logprob, top }) => ({
      ...entry(id, logprob),
      top_logprobs: top.map((alternative) => entry(alternative.id, alternative.logprob)),
    })),
  };
}
