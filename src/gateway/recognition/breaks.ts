import type { BreakCause } from '../clients/figures.ts';

export interface PrefixBreak {
  readonly cause: BreakCause;
  /** In words. */
  readonly what: string;
}

/** What of a request is not what the conversation's last one had, where a prompt can be reused only up to it; null: nothing is. */
export function breakOf(
  before: { readonly system: string; readonly toolsKey: string } | null,
  now: { readonly system: string; readonly toolsKey: string },
  isBranch: boolean,
): PrefixBreak | null {
  if (before && before.system !== now.system)
    return { cause: 'system', what: `the system prompt changed at ${difference(before.system, now.system)}` };
  if (before && before.toolsKey !== now.toolsKey) return { cause: 'tools', what: 'the tools changed' };
  return isBranch ? { cause: 'messages', what: 'an earlier message changed' } : null;
}

const shown = 40;

/** The line in which two texts part, as it is now. */
function difference(before: string, now: string): string {
  let at = 0;
  while (at < now.length && before[at] === now[at]) at++;
  const start = Math.max(now.lastIndexOf('\n', at - 1) + 1, at - shown);
  const end = now.indexOf('\n', at);
  return JSON.stringify(now.slice(start, Math.min(end === -1 ? now.length : end, at + shown)).trim() || 'its end');
}
