import type { Command } from 'commander';
import { formatCount, formatDuration, formatTokens } from '../../base/format.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import type { Perform } from '../action.ts';
import { amount, wholeNumber } from '../arguments.ts';
import { withCommonOptions, withModelOption } from '../run.ts';

interface SendOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
}

export function registerSend(program: Command, perform: Perform): void {
  withModelOption(withCommonOptions(program.command('send')))
    .description('send a message and print the answer')
    .argument('<session>', "the session's id")
    .argument('<text>', 'the message; "-" reads it from stdin')
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber(1))
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

/** Beside the answer, on stderr: a pipe gets only the answer. */
function sendEvidence({ promptTokens, cachedTokens, timeToFirstTokenMs, ms, prefixBreak, notes }: SendResult): string {
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} reused`;
  const first = timeToFirstTokenMs === null ? '' : `, first token after ${formatDuration(timeToFirstTokenMs)}`;
  const line = `${formatTokens(promptTokens)}${reused}${first}, ${formatDuration(ms)} in all`;
  const broken = prefixBreak && `prefix break at token ${formatCount(prefixBreak.atToken)}: ${prefixBreak.likelyCause}`;
  return [line, ...(broken === null ? [] : [broken]), ...notes].map((said) => `[${said}]`).join('\n');
}
