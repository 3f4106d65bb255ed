import type { State } from '../state.ts';
import { problemText } from '../../words/failure.ts';
import { notRecorded } from '../../words/session.ts';

/**
 * The line above the tree: which part is down; null when all parts work. A message would hide the welcome text, which an empty tree
 * shows instead when the backend is down, with links.
 */
export function viewMessage({ connection, engine, sessions, filter }: State): string | null {
  const hasRows = sessions.kind === 'loaded' && sessions.items.length > 0;
  if (connection.kind === 'starting') return 'Starting the backend…';
  if (connection.kind === 'failed') {
    return hasRows ? `${problemText(connection.error)} The list below may be out of date.` : null;
  }
  if (filter !== '' && sessions.kind === 'loaded' && !hasRows) return `No session has "${filter}" in its title or id.`;
  if (engine.kind !== 'down') return null;
  const { problem } = engine.status;
  return problem === null ? 'The model server cannot be reached.' : problemText(problem);
}

/** Beside the title: which sessions the tree shows, and whether their project is recorded, where it has no row of its own. */
export const viewDescription = ({
  scope,
  filter,
  isRecorded,
}: Pick<State, 'scope' | 'filter' | 'isRecorded'>): string =>
  [
    ...(scope === 'all' ? ['all folders'] : isRecorded ? [] : [notRecorded]),
    ...(filter === '' ? [] : [`"${filter}"`]),
  ].join(' · ');
