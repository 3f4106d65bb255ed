import type { State } from '../state.ts';
import { problemText } from './problem.ts';

/**
 * The line above the tree: what is down; null when there is nothing to say. An empty tree whose backend is down has a welcome text
 * with links instead, which VS Code hides behind a message.
 */
export function viewMessage({ connection, engine, sessions }: State): string | null {
  const hasRows = sessions.kind === 'loaded' && sessions.items.length > 0;
  if (connection.kind === 'starting') return 'Starting the backend…';
  if (connection.kind === 'failed') {
    return hasRows ? `${problemText(connection.error)} What is shown is from before.` : null;
  }
  if (engine.kind !== 'down') return null;
  const { problem } = engine.status;
  return problem === null ? 'The engine cannot be reached.' : problemText(problem);
}
