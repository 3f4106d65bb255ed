// Kills the backend again and again while several clients work with it, and checks after each kill that no acknowledged change is lost.
// When one is lost, it exits with 1 and names a folder with the evidence.
//
//   npm run soak                     for ten minutes
//   npm run soak -- --minutes 60
//   npm run soak -- --rounds 1000
//   npm run soak -- --files          with block files in sight, some of which are damaged between rounds
//   npm run soak -- --slots          on a real llama-server (npm run engines:install llama-server) with slot files in sight, damaged the same way
//   npm run soak -- --embedded       on the engine that the backend runs, whose files are damaged and whose process is killed, too
//   npm run soak -- --seed 7         the same choices again; when each kill hits depends on the machine
import { soak, SoakFailure, type SoakReport } from '../test/soak/soak.ts';
import type { KvPlace } from '../test/soak/modelServer.ts';
import { readArguments } from './readArguments.ts';

const { values } = readArguments(
  'Usage: npm run soak [-- --minutes N | --rounds N] [--seed N] [--files | --slots | --embedded]',
  {
    options: {
      minutes: { type: 'string' },
      rounds: { type: 'string' },
      seed: { type: 'string' },
      files: { type: 'boolean' },
      slots: { type: 'boolean' },
      embedded: { type: 'boolean' },
    },
  },
);
const number = (name: keyof typeof values, byDefault: number): number => {
  const value = Number(values[name] ?? byDefault);
  if (value >= 0) return value;
  console.error(`--${name} must be a number.`);
  process.exit(2);
};
const rounds = number('rounds', Number.POSITIVE_INFINITY);
const minutes = number('minutes', values.rounds === undefined ? 10 : Number.POSITIVE_INFINITY);
const seed = number('seed', Math.floor(Math.random() * 2 ** 32));

const kv: KvPlace = values.embedded
  ? 'embedded'
  : values.slots
    ? 'slots of a real server'
    : values.files
      ? 'files in sight'
      : 'memory';

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
console.log(`seed ${seed}`);
const started = performance.now();
try {
  const report = await soak({
    seed,
    rounds,
    timeMs: minutes * 60_000,
    kv,
    signal: interrupted.signal,
    onRound: ({ rounds, acknowledged }) => {
      if (rounds % 25 === 0) console.log(`${rounds} rounds, ${acknowledged} requests acknowledged`);
    },
  });
  console.log(inWords(report, (performance.now() - started) / 1000));
} catch (error) {
  if (!(error instanceof SoakFailure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function inWords(report: SoakReport, seconds: number): string {
  const { rounds, backendKills, startKills, clientKills, engineKills, acknowledged, refused, cutOff, byRoute } = report;
  const { thawVerdicts, freezeVerdicts, damagedFiles } = report;
  return [
    `${rounds} rounds in ${Math.round(seconds)} s: nothing that was acknowledged is lost.`,
    `kill -9: ${backendKills} of the backend (${startKills} of them while it started), ${clientKills} of a client${engineKills > 0 ? `, ${engineKills} of the engine alone` : ''}`,
    `requests: ${acknowledged} acknowledged, ${cutOff} cut off by a kill, ${refused} refused`,
    `acknowledged: ${counts(byRoute)}`,
    `verdicts of thaws: ${counts(thawVerdicts)}; of freezes: ${counts(freezeVerdicts)}; every proof was true`,
    ...(damagedFiles > 0 ? [`a bit flipped in ${damagedFiles} block files of windows`] : []),
  ].join('\n');
}

function counts(record: Readonly<Record<string, number>>): string {
  return Object.entries(record)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}
