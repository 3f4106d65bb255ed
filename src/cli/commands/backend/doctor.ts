import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import { doctorWords, type FindingWords } from '../../../words/doctor.ts';
import type { Perform } from '../../action.ts';
import { exitCodes } from '../../failure.ts';
import { withCommonOptions, withModelOption } from '../../run.ts';

export function registerDoctor(program: Command, perform: Perform): void {
  withModelOption(withCommonOptions(program.command('doctor')))
    .description('check the installation, try what the model server can do, and say what to change')
    .action((common: object) =>
      perform(common, async (run) => {
        const result = await run.call('doctor', run.onEngine, 'Asking the model server');
        run.print(result, text);
        return result.findings.some(({ state }) => state === 'failed') ? exitCodes.failed : exitCodes.ok;
      }),
    );
}

function text(result: RouteOutput<'doctor'>): string {
  const { sentence, findings, capabilities } = doctorWords(result);
  const lines = findings.map((finding) => line(finding, `${finding.name}:`));
  if (capabilities === null) return [sentence, ...lines].join('\n');
  const width = Math.max(...capabilities.findings.map(({ name }) => name.length));
  const abilities = capabilities.findings.map((finding) => line(finding, `${finding.name.padEnd(width)} `));
  return [sentence, ...lines, '', capabilities.sentence, ...abilities].join('\n');
}

const line = ({ mark, found, remedy }: FindingWords, name: string): string =>
  `${mark} ${name} ${found}${remedy === '' ? '' : `\n    → ${remedy}`}`;
