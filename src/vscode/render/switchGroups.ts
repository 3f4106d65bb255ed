import type { Session } from '../../protocol/schemas/session.ts';

/** A session that nobody changed for this long is stale. */
const staleAfterMs = 30 * 24 * 60 * 60_000;

export type SwitchGroup = 'This folder' | 'Other folders' | 'Stale';

/** The rows of the switcher: those of this folder, those of others, and those unused for thirty days; each in the order that it had. */
export function switchGroups(
  sessions: readonly Session[],
  project: string | null,
  now: Date,
): { readonly group: SwitchGroup; readonly sessions: readonly Session[] }[] {
  const of = (session: Session): SwitchGroup => {
    if (now.getTime() - Date.parse(session.updatedAt) > staleAfterMs) return 'Stale';
    return project !== null && session.project === project ? 'This folder' : 'Other folders';
  };
  const groups: readonly SwitchGroup[] = ['This folder', 'Other folders', 'Stale'];
  return groups
    .map((group) => ({ group, sessions: sessions.filter((session) => of(session) === group) }))
    .filter((each) => each.sessions.length > 0);
}
