import type { BreakCause } from '../clients/figures.ts';
import type { Item } from '../formats/item.ts';
import type { KnownTool } from './canonical.ts';

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

/** A message that is not what stood in its place before. */
export interface ChangedMessage {
  /** From 0, in the list of the client's messages behind the system prompt. */
  readonly at: number;
  readonly item: Item;
}

/**
 * What of a request is not what the conversation's last one had, where a prompt can be reused only up to it; null: nothing is.
 *
 * @param toolsOf the tools that a key stands for; null where they are not in memory any more.
 * @param changed the first message that is another one; null: none is.
 */
export function breakOf(
  before: Beginning | null,
  now: Beginning & { readonly system: string },
  toolsOf: (key: string) => readonly KnownTool[] | null,
  changed: ChangedMessage | null,
): PrefixBreak | null {
  if (before && before.systemKey !== now.systemKey) {
    const where = before.system === null ? '' : ` at ${difference(before.system, now.system)}`;
    return { cause: 'system', what: `the system prompt changed${where}` };
  }
  if (before && before.toolsKey !== now.toolsKey) {
    const [old, given] = [toolsOf(before.toolsKey), toolsOf(now.toolsKey)];
    return { cause: 'tools', what: `the tools changed${old && given ? toolsDifference(old, given) : ''}` };
  }
  return changed && { cause: 'messages', what: `message ${changed.at + 1} changed (${messageName(changed.item)})` };
}

const shown = 40;

/** `user: "Another way"`. */
function messageName({ role, text, calls = [] }: Item): string {
  const said = text.trim().replaceAll(/\s+/g, ' ') || calls.map(({ name }) => name).join(', ');
  const start = Array.from(said.slice(0, 2 * shown))
    .slice(0, shown)
    .join('');
  return `${role}: ${JSON.stringify(start.trimEnd())}`;
}

/** The first tool that is another one, where a prompt lists them in this order. */
function toolsDifference(before: readonly KnownTool[], now: readonly KnownTool[]): string {
  const at = before.findIndex(({ key }, index) => now[index]?.key !== key);
  const [old, given] = at === -1 ? [undefined, now[before.length]] : [before[at], now[at]];
  const has = (list: readonly KnownTool[], tool: KnownTool): boolean => list.some(({ name }) => name === tool.name);
  if (given && !has(before, given)) return `: ${JSON.stringify(given.name)} is new`;
  if (old && !has(now, old)) return `: ${JSON.stringify(old.name)} is gone`;
  if (!given) return '';
  return old?.name === given.name ? ` at ${JSON.stringify(given.name)}` : `: ${JSON.stringify(given.name)} has moved`;
}

/** The line in which two texts part, as it is now. */
function difference(before: string, now: string): string {
  let at = 0;
  while (at < now.length && before[at] === now[at]) at++;
  const start = Math.max(now.lastIndexOf('\n', at - 1) + 1, at - shown);
  const end = now.indexOf('\n', at);
  return JSON.stringify(now.slice(start, Math.min(end === -1 ? now.length : end, at + shown)).trim() || 'its end');
}
