// Measures the promised figures, as ratios within one run, and prints a table. Only a wrong result fails, never a time.
//
//   npm run bench                    everything
//   npm run bench -- MAIN N13        a choice
//   npm run bench -- THAW --whole    with the sizes that take long
//   npm run bench -- THAW --sizes "small=2048;big=4096,8192"            other sizes of the generated models
//   npm run bench -- RECALL --locomo PATH   how much of the evidence a search returns; LoCoMo is read there and copied nowhere
//   npm run bench -- MEMORY --chuk PYTHON   beside chuk-ai-session-manager, which that Python has
//   npm run bench -- --json FILE     also writes the results as JSON; `-` is stdout
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import type { Benchmark, Figure } from '../bench/benchmark.ts';
import { clientOverhead } from '../bench/clientOverhead.ts';
import { conversations } from '../bench/conversations.ts';
import { embeddedSpeed } from '../bench/embeddedSpeed.ts';
import { encryption } from '../bench/encryption.ts';
import { events } from '../bench/events.ts';
import { firstPiece } from '../bench/firstPiece.ts';
import { freezeAndThaw } from '../bench/freezeAndThaw.ts';
import { gateway } from '../bench/gateway/gateway.ts';
import { gatewaySlot } from '../bench/gateway/slot.ts';
import { recognition } from '../bench/gateway/recognition.ts';
import { limits } from '../bench/limits.ts';
import { longSession } from '../bench/longSession.ts';
import { memory } from '../bench/memory/memory.ts';
import { memoryTurn } from '../bench/memory/turn.ts';
import { pageSearch } from '../bench/memory/pages.ts';
import { counters } from '../bench/memory/counters.ts';
import { mainJob } from '../bench/mainJob.ts';
import { scale } from '../bench/scale.ts';
import { search } from '../bench/search.ts';
import { recall } from '../bench/recall.ts';
import { projectBase } from '../bench/projectBase.ts';
import { checkpoints } from '../bench/checkpoints.ts';
import { sharing } from '../bench/sharing.ts';
import { start } from '../bench/start/start.ts';
import { thaw } from '../bench/thaw/thaw.ts';
import { tree } from '../bench/tree.ts';
import { switching } from '../bench/switching.ts';
import { tracker } from '../bench/tracker.ts';
import { wire } from '../bench/wire.ts';
import { readArguments } from './readArguments.ts';

const benchmarks: readonly Benchmark[] = [
  mainJob,
  checkpoints,
  switching,
  sharing,
  tree,
  projectBase,
  freezeAndThaw,
  clientOverhead,
  wire,
  firstPiece,
  events,
  scale,
  search,
  recall,
  pageSearch,
  gateway,
  gatewaySlot,
  recognition,
  limits,
  conversations,
  longSession,
  memoryTurn,
  memory,
  counters,
  tracker,
  start,
  encryption,
  embeddedSpeed,
  thaw,
];
const { values, positionals } = readArguments(
  'Usage: npm run bench [-- [ID…] [--whole] [--sizes SIZES] [--locomo PATH] [--embeddings URL] [--chuk PYTHON] [--json FILE]]',
  {
    options: {
      json: { type: 'string' },
      sizes: { type: 'string' },
      whole: { type: 'boolean' },
      locomo: { type: 'string' },
      embeddings: { type: 'string' },
      chuk: { type: 'string' },
    },
    allowPositionals: true,
  },
);
const unknown = positionals.filter((id) => !benchmarks.some((benchmark) => benchmark.ids.includes(id)));
if (unknown.length > 0) {
  const known = benchmarks.flatMap((benchmark) => benchmark.ids).join(', ');
  console.error(`There is no benchmark ${unknown.join(', ')}; there are ${known}.`);
  process.exit(2);
}

const interrupted = new AbortController();
process.on('SIGINT', () => interrupted.abort());
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  load: loadavg()[0] ?? 0,
  node: process.version,
};
const results: Figure[] = [];
for (const benchmark of benchmarks) {
  if (positionals.length > 0 && !positionals.some((id) => benchmark.ids.includes(id))) continue;
  console.error(`${benchmark.ids.join(', ')} …`);
  try {
    results.push(
      ...(await benchmark.run(interrupted.signal, {
        whole: values.whole === true,
        ...(values.sizes !== undefined && { sizes: values.sizes }),
        ...(values.locomo !== undefined && { locomo: values.locomo }),
        ...(values.embeddings !== undefined && { embeddings: values.embeddings }),
        ...(values.chuk !== undefined && { chuk: values.chuk }),
      })),
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
const report = JSON.stringify({ machine, results }, null, 2);
if (values.json === '-') console.log(report);
else {
  if (values.json !== undefined) writeFileSync(values.json, `${report}\n`);
  console.log(
    `\n${machine.cores} cores, ${machine.cpu}, load ${machine.load.toFixed(1)} at the start${machine.load > machine.cores ? ': busy, do not trust the times' : ''}\n`,
  );
  console.log(table(results));
}

function table(figures: readonly Figure[]): string {
  const head = ['id', 'what', 'measured', 'baseline', 'ratio', 'wanted', 'met'];
  const rows = figures.map((figure) => [
    figure.id,
    figure.what,
    amountOf(figure.value, figure),
    figure.baseline ? `${amountOf(figure.baseline.value, figure)} (${figure.baseline.what})` : '',
    figure.ratio === null ? '' : `${figure.ratio.toFixed(1)} ×`,
    figure.wanted,
    figure.met ? 'yes' : 'no',
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .join('\n');
}

function amountOf(value: number, { unit }: Figure): string {
  const digits = unit === '%' ? 1 : value < 10 ? 2 : 0;
  return `${value.toLocaleString('en-US', { maximumFractionDigits: digits })} ${unit}`;
}
