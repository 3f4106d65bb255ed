import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { absolutePath } from '../../../client/absolutePath.ts';
import { backendClient } from '../../../client/connectBackend.ts';
import type { Perform } from '../../action.ts';
import { embeddedFlags } from '../../../protocol/settings/embeddedFlags.ts';
import { notEmpty, wholeNumber } from '../../arguments.ts';
import { jobTable } from '../../demo/jobTable.ts';
import { keptItsPromise, runMainJob, type MainJobResult } from '../../demo/mainJob.ts';
import { exitCodes } from '../../failure.ts';
import { ProgressLine } from '../../terminal/progress.ts';
import { withCommonOptions, type CommonOptions, type Run } from '../../run.ts';

const defaultTokens = 8192;
const comparedTokens = 32;

interface DemoOptions {
  readonly storage?: string;
  readonly tokens: number;
  readonly question?: string;
  readonly chatTemplate?: string;
}

export function registerDemo(program: Command, perform: Perform): void {
  withCommonOptions(program.command('demo'))
    .description('freeze real files, kill backend and model server, thaw, and measure what was reused')
    .argument('[paths...]', 'files and folders to use as context', ['.'])
    .option('--tokens <n>', 'size of the context, in tokens', wholeNumber(64), defaultTokens)
    .option('--question <text>', 'what to ask the model after the context', notEmpty)
    .option('--chat-template <name>', `embedded model server: ${embeddedFlags['chat-template']}`, notEmpty)
    .action((paths: string[], options: DemoOptions) =>
      perform(options, async (run) => {
        // Commander gives an option that the program also takes to the program, wherever it stands on the line.
        const isChosen = (options.storage ?? program.opts<CommonOptions>().storage) !== undefined;
        const result = await demonstrate(run, !isChosen, paths, options);
        run.print(result, jobTable);
        return keptItsPromise(result) ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

/** Uses a temporary storage directory unless the user names one, so that the demo leaves the user's data alone. */
async function demonstrate(
  run: Run,
  isTemporary: boolean,
  paths: string[],
  { tokens, question, chatTemplate }: DemoOptions,
): Promise<MainJobResult> {
  const storage = isTemporary ? await mkdtemp(join(tmpdir(), 'cwm-demo-')) : run.storage;
  // The backend works in another directory. A built-in template is a name, which has none of these signs.
  const isFile = chatTemplate !== undefined && /[/\\.]/.test(chatTemplate);
  const template = isFile ? absolutePath(chatTemplate, run.terminal.cwd) : chatTemplate;
  const args = template === undefined ? [] : ['--embedded-chat-template', template];
  const client = backendClient({ storage, kind: 'cli', start: { ...run.backendStart, args } });
  const progress = run.terminal.isWatched && !run.json ? new ProgressLine(run.terminal, 'Starting') : null;
  try {
    return await runMainJob(
      client,
      {
        paths,
        cwd: run.terminal.cwd,
        tokens,
        question,
        comparedTokens,
        engine: run.engine ?? 'embedded',
        onStep: (step) => (progress ? progress.show(step) : run.terminal.err(`${step} …\n`)),
      },
      run.terminal.interrupted,
    );
  } finally {
    progress?.dispose();
    if (isTemporary) {
      await client.call('shutdown', {}).catch(() => undefined);
      client.dispose();
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    } else client.dispose();
  }
}
