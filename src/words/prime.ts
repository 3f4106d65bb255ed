import { formatBytes, formatCount, formatDuration, formatTokens } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { PrimeResult } from '../protocol/schemas/turn.ts';
import { formatStamp, plural } from './amounts.ts';

/** Which files are new in the context, and what reading them cost. */
export function primedSentence({ files, promptTokens, cachedTokens, ms }: PrimeResult): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} of them reused`;
  return `Added ${plural(files.length, 'file')} (${formatBytes(bytes)}) to the context: ${formatTokens(promptTokens)}${reused}, in ${formatDuration(ms)}.`;
}

/** Null when nothing was left out. */
export const leftOutSentence = ({ skipped }: PrimeResult): string | null =>
  skipped.length === 0 ? null : `${plural(skipped.length, 'file was', 'files were')} left out.`;

type BaseAnswer = RouteOutput<'projectBase'>;

/** What to do next, in the client's own words. */
interface BaseOffers {
  readonly make: string;
  readonly renew: string;
}

const onCommandLine: BaseOffers = {
  make: '"cwm base make" makes one of its files.',
  renew: '"cwm base renew" makes it again from the first difference on.',
};

/** A project's base, and what changed since it was made. @param offers default: the commands of the command line. */
export function baseSentences(
  { project, base, changes, sessions }: BaseAnswer,
  offers: BaseOffers = onCommandLine,
): string[] {
  if (!base) return [`${project} has no base. ${offers.make}`];
  return [
    `The base has ${formatTokens(base.tokens)}: ${plural(base.files.length, 'file')}, read by ${base.model} on ${base.engine} at ${formatStamp(base.madeAt)}.`,
    sessions === 0 ? 'No session began with it yet.' : `${plural(sessions, 'session')} began with it.`,
    ...changesSentences(base.tokens, changes, offers.renew),
  ];
}

function changesSentences(tokens: number, changes: BaseAnswer['changes'], renew: string): string[] {
  if (!changes) return ['Its files cannot be read now.'];
  const { changed, added, removed, systemChanged, toolsChanged = false, sharedTokens } = changes;
  const parts = [
    changed.length > 0 ? `${plural(changed.length, 'file')} changed` : null,
    added.length > 0 ? `${plural(added.length, 'file')} came` : null,
    removed.length > 0 ? `${plural(removed.length, 'file')} went` : null,
    systemChanged ? 'the system prompt or a rule changed' : null,
    toolsChanged ? 'the tools of new sessions changed' : null,
  ].filter((part) => part !== null);
  if (parts.length === 0) return ['No file changed since.'];
  const shared =
    sharedTokens === null ? '' : `; ${formatCount(sharedTokens)} of ${formatCount(tokens)} tokens still shared`;
  const named = [...changed, ...added, ...removed];
  const more = named.length - mostNamedFiles;
  return [
    `${parts.join(', ')}${shared}. ${renew}`,
    ...named.slice(0, mostNamedFiles).map((path) => `  ${path}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

const mostNamedFiles = 10;

/** A session that was moved to its project's renewed base. */
export const movedToBaseSentence = ({ title, activeBranch }: RouteOutput<'moveToBase'>): string =>
  `"${title}" is on its project's base now, on the branch "${activeBranch}". Its branch before is as it was.`;

/** What making it came to. */
export function baseMadeSentences({
  base,
  skipped,
  promptTokens,
  cachedTokens,
  timeToFirstTokenMs,
  notes,
}: RouteOutput<'makeProjectBase'>): string[] {
  const time = timeToFirstTokenMs === null ? '' : ` in ${formatDuration(timeToFirstTokenMs)}`;
  const reused = cachedTokens ? `, of which ${formatCount(cachedTokens)} were reused` : '';
  return [
    `New sessions of this project begin with ${plural(base.files.length, 'file')}: ${formatTokens(promptTokens)}${reused}${time}.`,
    ...skipped.slice(0, mostNamedFiles).map(({ path, why }) => `  ${path}: ${why}`),
    ...(skipped.length > mostNamedFiles ? [`  and ${skipped.length - mostNamedFiles} more`] : []),
    ...notes.map((note) => `  · ${note}`),
  ];
}
