import type { Command } from 'commander';
import { absolutePath } from '../../client/absolutePath.ts';
import type { PrimeResult, SendResult } from '../../protocol/schemas/turn.ts';
import type { Perform } from '../action.ts';
import { amount, wholeNumber } from '../arguments.ts';
import { formatBytes, formatCount, formatDuration } from '../../base/format.ts';
import { plural } from '../terminal/layout.ts';
import { withCommonOptions } from '../run.ts';

const maxNamedSkips = 10;

interface SendOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
}

export function registerConversation(program: Command, perform: Perform): void {
  withCommonOptions(program.command('prime'))
    .description('give a session files and folders as context, and let the model read them')
    .argument('<session>', 'its id')
    .argument('<path...>', 'files and folders; .gitignore is respected')
    .option('--max-tokens <n>', 'leave out what goes past this', wholeNumber(1))
    .action((session: string, paths: string[], { maxTokens, ...common }: { maxTokens?: number }) =>
      perform(common, async (run) => {
        const { cwd } = run.terminal;
        const absolute = paths.map((path) => absolutePath(path, cwd));
        const input = { session, paths: absolute, cwd, maxTokens, ...run.onEngine };
        run.print(await run.call('prime', input, 'Reading files'), primeInWords);
      }),
    );

  withCommonOptions(program.command('send'))
    .description('send a message and print the answer')
    .argument('<session>', "the session's id")
    .argument('<text>', 'the message; "-" reads it from stdin')
    .option('--max-tokens <n>', 'longest answer', wholeNumber(1))
    .option('--temperature <x>', '0 to 2; the default, 0, always takes the likeliest token', amount)
    .action((session: string, given: string, { maxTokens, temperature, ...common }: SendOptions) =>
      perform(common, async (run) => {
        const text = given === '-' ? await run.terminal.readStdin() : given;
        const result = await run.call(
          'send',
          { session, text, maxTokens, temperature, ...run.onEngine },
          'Waiting for the model',
        );
        run.print(result, (answer) => answer.text);
        if (!run.json) run.terminal.err(`${sendEvidence(result)}\n`);
      }),
    );
}

function primeInWords({ files, skipped, promptTokens, cachedTokens, ms }: PrimeResult): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} of them reused`;
  const lines = [
    `The model has read ${plural(files.length, 'file')} (${formatBytes(bytes)}): ${plural(promptTokens, 'token')}${reused}, in ${formatDuration(ms)}.`,
  ];
  if (skipped.length > 0) lines.push(`Left out ${plural(skipped.length, 'file')}:`);
  for (const { path, why } of skipped.slice(0, maxNamedSkips)) lines.push(`  ${path}: ${why}`);
  if (skipped.length > maxNamedSkips) lines.push(`  and ${formatCount(skipped.length - maxNamedSkips)} more`);
  return lines.join('\n');
}

/** Beside the answer, on stderr: whoever pipes the answer on wants only that. */
function sendEvidence({ promptTokens, cachedTokens, timeToFirstTokenMs, ms, prefixBreak, notes }: SendResult): string {
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} reused`;
  const first = timeToFirstTokenMs === null ? '' : `, first token after ${formatDuration(timeToFirstTokenMs)}`;
  const line = `${plural(promptTokens, 'token')}${reused}${first}, ${formatDuration(ms)} in all`;
  const broken = prefixBreak && `prefix break at token ${formatCount(prefixBreak.atToken)}: ${prefixBreak.likelyCause}`;
  return [line, ...(broken === null ? [] : [broken]), ...notes].map((said) => `[${said}]`).join('\n');
}
