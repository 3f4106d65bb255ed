import { objectOf, textOf, type JsonObject } from './json.ts';

/** Why an answer failed. */
export interface AnswerError {
  readonly message: string;
  /** As OpenAI has them, or the server's own. */
  readonly type: string;
  /** The server's own, often a status of HTTP. */
  readonly code: string | number | null;
}

/** What an event or a body says of a failure; null for what says none. */
export function answerErrorOf(said: JsonObject | null): AnswerError | null {
  const given = said?.['object'] === 'error' ? said : (said?.['error'] ?? null);
  if (given === null) return null;
  const error = objectOf(given) ?? {};
  const code = error['code'];
  return {
    message: textOf(error['message']) || textOf(given) || 'The model server failed.',
    type: textOf(error['type']) || 'api_error',
    code: typeof code === 'number' || typeof code === 'string' ? code : null,
  };
}

/** The server ended a stream, and said nothing that an answer has. */
export const saidNothing: AnswerError = { message: 'The model server sent no answer.', type: 'api_error', code: null };

/** The server closed a stream that had not come to its end. */
export const endedEarly: AnswerError = {
  message: 'The model server ended its answer too early.',
  type: 'api_error',
  code: null,
};
