import type { TokensTaken } from '../../protocol/schemas/session.ts';
import type { EngineDescription, Generation } from '../ports/engine.ts';

type Described = Pick<EngineDescription, 'model'>;

export const tokensTaken = (
  { model }: Described,
  { reuse, promptIds, outputIds, outputTokens }: Omit<Generation, 'text'>,
): TokensTaken => ({
  model: model.id,
  promptTokens: reuse.promptTokens || promptIds.length || null,
  cachedTokens: reuse.cachedTokens,
  outputTokens: outputTokensOf({ outputIds, outputTokens }),
});

/** Of an answer that was cut: nobody says what was reused. @param ids null where the server does not tell them. */
export const takenByCut = (
  { model }: Described,
  ids: { readonly prompt: readonly number[]; readonly output: readonly number[] } | null,
): TokensTaken => ({
  model: model.id,
  promptTokens: ids?.prompt.length ?? null,
  cachedTokens: null,
  outputTokens: ids?.output.length ?? null,
});

/** Null: it is not known. */
export const outputTokensOf = ({ outputIds, outputTokens }: Pick<Generation, 'outputIds' | 'outputTokens'>) =>
  outputTokens ?? (outputIds.length || null);
