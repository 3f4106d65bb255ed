import type { BreakCause } from '../clients/figures.ts';

export interface PrefixBreak {
  readonly cause: BreakCause;
  /** In words. */
  readonly what: string;
}

/** What a prompt begins with. */
interface Beginning {
  /** Null where it is not in memory any more. */
  readonly system: string | null;
  readonly systemKey: string;
  readonly toolsKey: string;
}

/** What of a request is not what the conversation's last one had, where a prompt can be reused only up to it; null: nothing is. */
export function breakOf(
  before: Beginning | null,
  now: Beginning & { readonly system: string },
  isBranch: boolean,
): PrefixBreak | null {
  if (before && before.systemKey !== now.systemKey) {
    const where = before.system === null ? '' : ` at ${difference(before.system, now.system)}`;
    return { cause: 'system', what: `the system prompt changed${where}` };
  }
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
