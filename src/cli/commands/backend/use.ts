import type { Command } from 'commander';
import type { Discovery } from '../../../protocol/schemas/discovery.ts';
import { firstReceipt } from '../../../client/firstReceipt.ts';
import { CwmError, toCwmError, type ErrorReport } from '../../../protocol/errors.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import { engineOptions, nothingFound } from '../../../words/discovery.ts';
import type { Perform } from '../../action.ts';
import { engineOf } from '../../engineSpec.ts';
import { receiptWords } from '../../../words/receipt.ts';
import { withCommonOptions, type Run } from '../../run.ts';

export function registerUse(program: Command, perform: Perform): void {
  withCommonOptions(program.command('use'))
    .description('find model servers and model files on this machine; choose the one of new sessions')
    .argument('[choice]', 'a number of the list, a URL, "embedded" or "embedded:FILE.gguf"; without it, the list')
    .action((choice: string | undefined, common: object) =>
      perform(common, async (run) => {
        if (choice === undefined) run.print(await found(run), listText);
        else await use(run, await specOf(run, choice));
      }),
    );
}

function found(run: Run): Promise<Discovery> {
  const baseUrl = run.terminal.env['OPENAI_BASE_URL'];
  return run.call('discover', baseUrl === undefined ? {} : { baseUrl }, 'Looking for model servers and files');
}

/** @throws CwmError InvalidParameter for a number that the list does not have. */
async function specOf(run: Run, choice: string): Promise<string> {
  if (!/^\d+$/.test(choice)) return engineOf(choice, undefined, run.terminal.cwd) ?? choice;
  const chosen = engineOptions(await found(run))[Number(choice) - 1];
  if (chosen) return chosen.spec;
  throw new CwmError('InvalidParameter', `The list has no number ${choice}.`, {
    hint: 'Run "cwm use" to see the list.',
  });
}

interface Used {
  readonly engine: string;
  /** Null where the server could not be tried. */
  readonly receipt: Receipt | null;
  readonly problem: ErrorReport | null;
}

/** The choice holds also when the server cannot be tried now: it may only not have been started. */
async function use(run: Run, spec: string): Promise<void> {
  const { engine } = await run.call('useEngine', { engine: spec });
  const tried: Omit<Used, 'engine'> = await firstReceipt(
    (name, input) => run.call(name, input, 'Trying the model server'),
    engine,
  ).then(
    (receipt) => ({ receipt, problem: null }),
    (error: unknown) => ({ receipt: null, problem: toCwmError(error).report() }),
  );
  run.print<Used>({ engine, ...tried }, usedText);
}

function usedText({ engine, receipt, problem }: Used): string {
  const chosen = `New sessions use ${engine}.`;
  if (receipt) {
    const { sentences, notes } = receiptWords(receipt);
    return [chosen, '', 'Its first receipt:', ...sentences, ...notes.map((note) => `  · ${note}`)].join('\n');
  }
  return problem ? `${chosen}\n\nIt could not be tried: ${problem.message} ${problem.hint}` : chosen;
}

function listText(discovery: Discovery): string {
  const choices = engineOptions(discovery);
  const nothing = nothingFound(discovery);
  const rows = choices.map(({ label, description, detail }, index) => {
    const number = String(index + 1).padStart(String(choices.length).length);
    return `${number}  ${label}  (${description})\n${' '.repeat(number.length + 2)}${detail}`;
  });
  return [
    ...(nothing === null ? [] : [nothing, '']),
    ...rows,
    '',
    `New sessions use ${discovery.defaultEngine}. "cwm use NUMBER", "cwm use URL" or "cwm use embedded:FILE.gguf" changes that.`,
  ].join('\n');
}
