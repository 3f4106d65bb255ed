import type { Command } from 'commander';
import type { RouteOutput } from '../../protocol/api.ts';
import type { Finding } from '../../protocol/schemas/health.ts';
import { capabilityTitles, type Capabilities, type Capability } from '../../protocol/schemas/capabilities.ts';
import type { Perform } from '../action.ts';
import { exitCodes } from '../failure.ts';
import { formatCount } from '../../base/format.ts';
import { plural } from '../terminal/layout.ts';
import { withCommonOptions } from '../run.ts';

export function registerChecks(program: Command, perform: Perform): void {
  withCommonOptions(program.command('doctor'))
    .description('look at everything that could stand in the way, try what the engine can do, and say what to change')
    .action((common: object) =>
      perform(common, async (run) => {
        const result = await run.call('doctor', run.onEngine, 'Asking the engine');
        run.print(result, doctorInWords);
        return result.findings.some(({ state }) => state === 'failed') ? exitCodes.failed : exitCodes.ok;
      }),
    );

  withCommonOptions(program.command('verify'))
    .description('check all records, and the KV blocks of one window or of all, against their checksums')
    .argument('[window]', "a window's name; all of them by default")
    .option('--repair', 'set damaged records aside, make anew what follows from others, delete damaged KV')
    .action((window: string | undefined, { repair, ...common }: { repair?: boolean }) =>
      perform(common, async (run) => {
        const result = await run.call('verify', { window, repair, ...run.onEngine }, 'Checking');
        run.print(result, verifyInWords);
        return result.healthy ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

const marks: Readonly<Record<Finding['state'], string>> = { ok: '✓', warning: '!', failed: '✗', unknown: '?' };

const answers: Readonly<Record<Capability['state'], string>> = { yes: '✓', no: '✗', unknown: '?' };

function doctorInWords({ findings, capabilities, engine }: RouteOutput<'doctor'>): string {
  const lacking = capabilities?.items.filter(({ state, remedy }) => state === 'no' && remedy !== '').length ?? 0;
  const failed = findings.filter(({ state }) => state === 'failed').length;
  const warnings = findings.filter(({ state }) => state === 'warning').length + lacking;
  const verdict =
    failed > 0
      ? `${plural(failed, 'thing does', 'things do')} not work.`
      : warnings > 0
        ? `It works; ${plural(warnings, 'thing')} could be better.`
        : 'Everything works.';
  const lines = findings.map(({ name, state, detail, remedy }) =>
    withRemedy(`${marks[state]} ${name}: ${detail}`, remedy),
  );
  const abilities = capabilities === null ? [] : ['', ...capabilitiesInWords(capabilities, engine.spec)];
  return [verdict, ...lines, ...abilities].join('\n');
}

function capabilitiesInWords({ items, cost }: Capabilities, spec: string): string[] {
  const width = Math.max(...items.map(({ name }) => capabilityTitles[name].length));
  const tried = `${plural(cost.requests, 'tiny request')} of ${plural(cost.promptTokens, 'token')} in all`;
  return [
    `What ${spec} can do, found with ${tried}:`,
    ...items.map(({ name, state, found, remedy }) =>
      withRemedy(`${answers[state]} ${capabilityTitles[name].padEnd(width)}  ${found}`, remedy),
    ),
  ];
}

const withRemedy = (line: string, remedy: string): string => (remedy === '' ? line : `${line}\n    → ${remedy}`);

function verifyInWords({ steps, healthy, repairs }: RouteOutput<'verify'>): string {
  const lines = steps.flatMap(({ step, checked, problems }) => [
    `${problems.length === 0 ? '✓' : '✗'} ${step}: ${formatCount(checked)} checked`,
    ...problems.map((problem) => `    ${problem}`),
  ]);
  const verdict = healthy ? 'Everything is as it was written.' : 'Something is damaged.';
  const done = repairs.length === 0 ? [] : ['Repaired:', ...repairs.map((repair) => `    ${repair}`)];
  return [verdict, ...lines, ...done].join('\n');
}
