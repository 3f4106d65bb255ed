import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import { parsePage } from '../../protocol/paging.ts';
import type { AskedRequest } from '../../core/answers/requests.ts';
import { costOf, type Prices } from './prices.ts';
import { type RequestGroup, sessionUsage } from './sessionUsage.ts';
import { counts, type UsageLine } from './usageLedger.ts';

type TokenUsage = RouteOutput<'tokenUsage'>;
type Sums = TokenUsage['total'];

interface Known {
  readonly lines: readonly UsageLine[];
  readonly prices: Prices;
  readonly pricesFile: string;
  /** Null: there is no such session any more. */
  readonly titleOf: (session: string) => Promise<string | null>;
  /** @throws CwmError SessionNotFound, Corrupted. */
  readonly requestsOf: (session: SessionId) => Promise<readonly AskedRequest[]>;
}

const defaultLimit = 50;

/**
 * Tokens and costs in groups: days with the latest first, all else with the most tokens first. Branches and turns are of one session, and
 * come from its messages: the others are sums over all that was ever asked, deleted messages and sessions included.
 *
 * @throws CwmError InvalidParameter for a day that is none, or for branches or turns without a session; InvalidSessionId; SessionNotFound,
 *   Corrupted for those of a session.
 */
export async function tokenUsage(
  { lines, prices, pricesFile, titleOf, requestsOf }: Known,
  { by = 'model', from, to, session, ...page }: ParsedInput<'tokenUsage'>,
): Promise<TokenUsage> {
  const { limit, offset } = parsePage(page, defaultLimit);
  const id = session === undefined ? undefined : parseSessionId(session);
  const [first, last] = [parseDay('from', from), parseDay('to', to)];
  const isMeant = (line: UsageLine): boolean =>
    (first === undefined || line.day >= first) &&
    (last === undefined || line.day <= last) &&
    (session === undefined || line.session === session);
  let meant: readonly UsageLine[];
  let groups: readonly RequestGroup[];
  if (by === 'branch' || by === 'turn') {
    if (id === undefined) throw new CwmError('InvalidParameter', `Usage by ${by} needs a session: name one.`);
    ({ lines: meant, groups } = sessionUsage(id, await requestsOf(id), by, isMeant));
  } else {
    meant = lines.filter(isMeant);
    groups = Array.from(
      Map.groupBy(meant, (line) => line[by]),
      ([name, ofGroup]) => ({ name, lines: ofGroup }),
    );
  }
  const all = groups.map(({ lines: ofGroup, ...group }) => ({ ...group, ...sumsOf(ofGroup, prices) }));
  const tokens = (sums: Sums): number => (sums.promptTokens ?? 0) + (sums.outputTokens ?? 0);
  all.sort((a, b) => (by === 'day' ? (a.name < b.name ? 1 : -1) : tokens(b) - tokens(a)));
  const shown = all.slice(offset, offset + limit);
  const items =
    by === 'session'
      ? await Promise.all(shown.map(async (each) => ({ ...each, title: await titleOf(each.name) })))
      : shown;
  const models = new Set(meant.map(({ model }) => model));
  return {
    by,
    currency: prices.currency,
    total: sumsOf(meant, prices),
    items,
    count: all.length,
    hasMore: offset + items.length < all.length,
    firstDay: meant.map(({ day }) => day).sort()[0] ?? null,
    unpriced: [...models].filter((model) => !prices.ofModel.has(model)).sort(),
    pricesFile,
    notes: [...prices.notes],
  };
}

function sumsOf(lines: readonly UsageLine[], prices: Prices): Sums {
  const sum = Object.fromEntries(
    counts.map((name) => [name, lines.reduce((total, line) => total + line[name], 0)]),
  ) as Record<(typeof counts)[number], number>;
  const { requests, uncounted } = sum;
  const untoldTokens = sum.promptTokens - sum.cachedTokens - sum.computedTokens;
  // No request said it: then nothing is known, and 0 would be a claim.
  const isTold = (tokens: number): boolean => tokens > 0 || uncounted < requests || requests === 0;
  const isReuseTold = sum.promptTokens > untoldTokens || requests === 0;
  const costs = lines.map((line) => costOf(prices, line));
  return {
    requests,
    uncounted,
    promptTokens: isTold(sum.promptTokens) ? sum.promptTokens : null,
    cachedTokens: isReuseTold ? sum.cachedTokens : null,
    computedTokens: isReuseTold ? sum.computedTokens : null,
    untoldTokens,
    outputTokens: isTold(sum.outputTokens) ? sum.outputTokens : null,
    cost: costs.reduce((total, cost) => (total === null || cost === null ? null : total + cost), 0),
  };
}

/** A day of the calendar, like `2026-03-09`. */
function parseDay(name: string, day: string | undefined): string | undefined {
  if (day === undefined) return undefined;
  const date = new Date(`${day}T00:00:00Z`);
  if (/^\d{4}-\d\d-\d\d$/.test(day) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)) return day;
  throw new CwmError('InvalidParameter', `"${name}" must be a day, like 2026-03-09.`);
}
