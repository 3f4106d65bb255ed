import { formatCount, formatTokens } from '../../base/format.ts';
import type { RouteOutput } from '../../protocol/api.ts';

/** What the next prompt has of a session with virtual memory, in one line. */
export function memorySplit({
  segments,
  inPrompt,
  messages,
  used,
  limit,
}: Pick<RouteOutput<'memoryState'>, 'segments' | 'inPrompt' | 'messages' | 'used' | 'limit'>): string {
  const summaries = segments.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
  const size =
    used === null
      ? ''
      : ` in ${limit === null ? formatTokens(used) : `${formatCount(used)} of ${formatTokens(limit)}`}`;
  const left =
    segments.length === 0
      ? ''
      : `; ${formatCount(messages - inPrompt)} left, ${formatCount(segments.length)} ${segments.length === 1 ? 'summary' : 'summaries'} of ${formatTokens(summaries)} in their place`;
  return `Memory: ${formatCount(inPrompt)} of ${formatCount(messages)} messages whole${size}${left}.`;
}
