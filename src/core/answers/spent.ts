import type { SessionId } from '../../protocol/ids.ts';
import type { EngineDescription, Generation, Spent } from '../ports/engine.ts';

interface Spender {
  readonly session: { readonly id: SessionId };
  readonly description: Pick<EngineDescription, 'model'>;
}

export const spentOn = (turn: Spender, { reuse, promptIds, outputIds, outputTokens }: Generation): Spent =>
  spent(turn, {
    promptTokens: reuse.promptTokens || promptIds.length || null,
    cachedTokens: reuse.cachedTokens,
    outputTokens: outputTokensOf({ outputIds, outputTokens }),
  });

/** Of an answer that was cut: nobody says what was reused. @param ids null where the server does not tell them. */
export const spentOnCut = (
  turn: Spender,
  ids: { readonly prompt: readonly number[]; readonly output: readonly number[] } | null,
): Spent =>
  spent(turn, {
    promptTokens: ids?.prompt.length ?? null,
    cachedTokens: null,
    outputTokens: ids?.output.length ?? null,
  });

/** Null: it is not known. */
export const outputTokensOf = ({ outputIds, outputTokens }: Pick<Generation, 'outputIds' | 'outputTokens'>) =>
  outputTokens ?? (outputIds.length || null);

const spent = ({ session, description }: Spender, tokens: Omit<Spent, 'session' | 'model'>): Spent => ({
  session: session.id,
  model: description.model.id,
  ...tokens,
});
