import type { State } from '../state.ts';

/** The line above the tree: what is down; null when there is nothing to say. */
export function viewMessage({ connection, engine, sessions }: State): string | null {
  const hasRows = sessions.kind === 'loaded' && sessions.items.length > 0;
  if (connection.kind === 'failed') {
    const { message, code, hint } = connection.error;
    return hasRows ? `${message} (${code}) ${hint} What is shown is from before.` : `${message} (${code}) ${hint}`;
  }
  if (connection.kind === 'starting') return 'Starting the backend…';
  if (engine.kind === 'down') {
    const { problem } = engine.status;
    return problem === null ? 'The engine cannot be reached.' : `${problem.message} (${problem.code}) ${problem.hint}`;
  }
  return null;
}
