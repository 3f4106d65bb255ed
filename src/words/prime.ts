import { formatBytes, formatCount, formatDuration, formatTokens } from '../base/format.ts';
import type { PrimeResult } from '../protocol/schemas/turn.ts';
import { plural } from './amounts.ts';

/** Which files are new in the context, and what reading them cost. */
export function primedSentence({ files, promptTokens, cachedTokens, ms }: PrimeResult): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} of them reused`;
  return `Added ${plural(files.length, 'file')} (${formatBytes(bytes)}) to the context: ${formatTokens(promptTokens)}${reused}, in ${formatDuration(ms)}.`;
}

/** Null when nothing was left out. */
export const leftOutSentence = ({ skipped }: PrimeResult): string | null =>
  skipped.length === 0 ? null : `${plural(skipped.length, 'file was', 'files were')} left out.`;
