import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { backendClient } from '../../client/connectBackend.ts';
import type { Perform } from '../action.ts';
import { wholeNumber } from '../arguments.ts';
import { jobTable } from '../demo/jobTable.ts';
import { keptItsPromise, runMainJob, type MainJobResult } from '../demo/mainJob.ts';
import { exitCodes } from '../failure.ts';
import { Progress } from '../terminal/progress.ts';
import { withCommonOptions, type CommonOptions, type Run } from '../run.ts';

const defaultTokens = 8192;
const comparedTokens = 32;

interface DemoOptions {
  readonly storage?: string;
  readonly tokens: number;
}

export function registerDemo(program: Command, perform: Perform): void {
  withCommonOptions(program.command('demo'))
    .description('freeze real files, kill everything, thaw, and measure what came back')
    .argument('[paths...]', 'files and folders to use as context', ['.'])
    .option('--tokens <n>', 'how much context', wholeNumber(64), defaultTokens)
    .action((paths: string[], { tokens, ...common }: DemoOptions) =>
      perform(common, async (run) => {
        // An option that the program takes too is the program's, wherever it stands on the line.
        const isChosen = (common.storage ?? program.opts<CommonOptions>().storage) !== undefined;
        const result = await demonstrate(run, !isChosen, paths, tokens);
        run.print(result, jobTable);
        return keptItsPromise(result) ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

/** Without a storage directory of its own choosing, the user's data is left alone: everything happens in a passing one. */
async function demonstrate(run: Run, isPassing: boolean, paths: string[], tokens: number): Promise<MainJobResult> {
  const storage = isPassing ? await mkdtemp(join(tmpdir(), 'cwm-demo-')) : run.storage;
  const client = backendClient({ storage, kind: 'cli', start: run.backendStart });
  const progress = run.terminal.isWatched && !run.json ? new Progress(run.terminal, 'Starting') : null;
  try {
    return await runMainJob(
      client,
      {
        paths,
        cwd: run.terminal.cwd,
        tokens,
        comparedTokens,
        engine: run.engine ?? 'embedded',
        onStep: (step) => (progress ? progress.show(step) : run.terminal.err(`${step} …\n`)),
      },
      run.terminal.interrupted,
    );
  } finally {
    progress?.dispose();
    if (isPassing) {
      await client.call('shutdown', {}).catch(() => undefined);
      client.dispose();
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    } else client.dispose();
  }
}
