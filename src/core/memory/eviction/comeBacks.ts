import type { MemoryTurn, Mutation, Segment } from '../../../protocol/memory/records.ts';
import { parsePageId } from '../page.ts';

/** Answers that are looked back at (S1-44). */
const lookBack = 20;
/** A page that comes back within so many answers should not have left. */
const soon = 3;
/** Answers for which a page that came back is protected. */
const protectedFor = 2;

/** A page that came back. Answers are counted from 0. */
interface ComeBack {
  readonly page: string;
  readonly answer: number;
  /** Answers since it had left; null: nobody recorded that. */
  readonly away: number | null;
}

/** A page that the model or the user asked for, and none that came by itself. */
export const isAskedFor = ({ what, reason }: Pick<Mutation, 'what' | 'reason'>): boolean =>
  what === 'fault_in' && reason !== 'tool_prereq' && reason !== 'speculative';

interface Log {
  readonly turns: readonly MemoryTurn[];
  readonly mutations: readonly Mutation[];
  segment(id: string): Segment | null;
}

/** The pages that came back, oldest first. @param from the first answer that is looked at; default 0. */
function comeBacksOf(log: Log, from = 0): ComeBack[] {
  const { turns, mutations } = log;
  return mutations.filter(isAskedFor).flatMap(({ page, sequence }) => {
    const answer = turns.findLastIndex((turn) => turn.sequence <= sequence) + 1;
    if (answer < from) return [];
    const own = parsePageId(page)?.sequence ?? Infinity;
    const left = turns.findIndex(({ segments }) => (log.segment(segments.at(-1) ?? '')?.lastSequence ?? 0) >= own);
    return [{ page, answer, away: left === -1 || left > answer ? null : answer - left }];
  });
}

const isSoon = ({ away }: ComeBack): boolean => away !== null && away <= soon;

/** Share of the pages that came back which had left shortly before, 0 to 1. */
export function thrashIndex(log: Log): number {
  const all = comeBacksOf(log);
  return all.length === 0 ? 0 : all.filter(isSoon).length / all.length;
}

/** What is known of pages that left too early. */
export interface Thrashing {
  /** They came back lately. */
  readonly protected: ReadonlySet<string>;
  /** 0 to 1. */
  readonly of: (page: string) => number;
}

export function thrashingOf(log: Log): Thrashing {
  const now = log.turns.length;
  const late = comeBacksOf(log, now - lookBack);
  const counts = new Map<string, number>();
  for (const each of late.filter(isSoon)) counts.set(each.page, (counts.get(each.page) ?? 0) + 1);
  return {
    protected: new Set(
      late.filter((each) => now - each.answer <= (isSoon(each) ? soon : protectedFor)).map(({ page }) => page),
    ),
    of: (page) => Math.min(1, (counts.get(page) ?? 0) / 2),
  };
}
