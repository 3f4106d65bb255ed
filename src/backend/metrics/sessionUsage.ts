import type { AskedRequest } from '../../core/answers/requests.ts';
import { dayOf, lineOf, type UsageLine } from './usageLedger.ts';

/** A group of a session's requests. */
export interface RequestGroup {
  readonly name: string;
  readonly title?: string;
  readonly lines: readonly UsageLine[];
}

export interface SessionUsage {
  /** Of each request once, although branches share some. */
  readonly lines: readonly UsageLine[];
  readonly groups: readonly RequestGroup[];
}

/** What stands for the turn of an answer that no message of the user came before. */
const noTurn = '';

/** A session's requests by branch or by turn. Messages do not tell which client asked. */
export function sessionUsage(
  session: string,
  requests: readonly AskedRequest[],
  by: 'branch' | 'turn',
  isMeant: (line: UsageLine) => boolean,
): SessionUsage {
  const groups = new Map<string, { title?: string; lines: UsageLine[] }>();
  const lines: UsageLine[] = [];
  for (const { taken, at, branches, turn } of requests) {
    const line = lineOf(dayOf(new Date(at)), session, '', taken);
    if (!isMeant(line)) continue;
    lines.push(line);
    for (const name of by === 'branch' ? branches : [turn?.id ?? noTurn]) {
      const group = groups.get(name) ?? { ...(by === 'turn' && { title: turn?.title ?? '' }), lines: [] };
      group.lines.push(line);
      groups.set(name, group);
    }
  }
  return { lines, groups: Array.from(groups, ([name, group]) => ({ name, ...group })) };
}
