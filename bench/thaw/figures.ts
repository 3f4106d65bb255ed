import { notMeasured, type Figure } from '../benchmark.ts';
import type { FreshStart } from './freshStart.ts';
import { turnTokens } from './measuredEngine.ts';
import { blockTokensOf, kvBytesPerToken, type BenchModel } from './models.ts';
import type { Measure, Series } from './series.ts';

export interface Prefill {
  readonly ms: number;
  /** From the first and the last batch. */
  readonly isEstimated: boolean;
}

/** From so many bytes on, what a thaw costs beside moving them is to be small. */
const largeKvBytes = 100e6;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;

/** The rows of one size. What was not measured has none, and cold says why. */
export function figuresOf(
  benchModel: BenchModel,
  size: number,
  kvBytes: number,
  series: Series,
  prefill: Prefill,
): Figure[] {
  const name = `${size} tokens, ${megabytes(kvBytes)}`;
  const { name: model } = benchModel;
  const large = kvBytes >= largeKvBytes;
  const row = (what: string, measure: Measure, against: string, baseline: Measure, most: number | null): Figure[] => {
    const [value, least] = [series.least(measure), series.least(baseline)];
    if (value === null || least === null) return [];
    const ratio = value / least;
    return [
      {
        id: 'THAW',
        what: `${what}, ${name}`,
        unit: 'ms',
        value,
        baseline: { what: against, value: least },
        ratio,
        wanted: most === null ? '' : `≤ ${most} times as long`,
        met: most === null || ratio <= most,
        runs: series.rounds(measure),
      },
    ];
  };
  const fast = model === 'big' && size === 4096 ? 40 : null;
  return [
    ...row('thaw, warm', 'warm.ours', 'raw load', 'warm.raw', large ? 4 : null),
    ...row('of it reading, checking and placing', 'warm.place', 'raw load', 'warm.raw', null),
    // Less than the tokens that are computed vary by.
    ...(large
      ? row('processor time of the thaw, warm', 'processor.ours', 'of the raw load', 'processor.raw', null)
      : []),
    ...(series.rounds('cold.ours') === 0 ? [notCold(name)] : []),
    ...row('thaw, cold', 'cold.ours', 'plain reading', 'plainRead', large ? 1.5 : null),
    ...row('thaw, cold', 'cold.ours', 'raw load, cold', 'cold.raw', null),
    ...row('thaw, warm', 'warm.ours', "llama-server's restore", 'slots.restore', null),
    ...row('freeze of everything', 'freeze.ours', 'raw save', 'freeze.raw', large ? 2 : null),
    ...(large
      ? row('processor time of the freeze', 'processor.freeze', 'of the raw save', 'processor.save', null)
      : []),
    ...row('SHA-256 of it, afterwards', 'freeze.sum', 'freeze', 'freeze.ours', null),
    ...row('freeze of everything, and fsync of each file', 'durable.ours', 'raw save and fsync', 'durable.raw', null),
    ...row('freeze of everything', 'freeze.ours', "llama-server's save", 'slots.save', null),
    ...row('thaw, warm, encrypted', 'warm.encrypted', 'in clear', 'warm.ours', null),
    ...row('thaw, cold, encrypted', 'cold.encrypted', 'in clear', 'cold.ours', null),
    ...row('freeze of everything, encrypted', 'freeze.encrypted', 'in clear', 'freeze.ours', null),
    ...row('the token that must be computed, and the request around it', 'tail', 'thaw, warm', 'warm.ours', null),
    ...row('the same without the file of the tail', 'tail.blocks', 'with it', 'tail', null),
    ...row('freeze of the tail alone', 'freeze.tail', 'raw save', 'freeze.raw', null),
    ...row(`freeze of one more turn of ${turnTokens} tokens`, 'freeze.turn', 'raw save', 'freeze.raw', null),
    ...written(benchModel, name, series),
    ...row(
      'thaw, warm, and the first token, without the file of the tail',
      'request.blocks',
      'with it',
      'request',
      null,
    ),
    ...againstPrefill(name, series, prefill, fast),
    ...memory('thaw', 'peak', name, kvBytes, series),
    ...memory('freeze', 'freeze.peak', name, kvBytes, series),
  ];
}

/** What freezing one more turn writes: its new blocks, and the tail, which is less than one. */
function written(model: BenchModel, name: string, series: Series): Figure[] {
  const [value, tail] = [series.most('bytes.turn'), series.most('bytes.tail')];
  if (value === null || tail === null) return [];
  const newBytes = kvBytesPerToken(model) * (turnTokens + blockTokensOf(model));
  return [
    {
      id: 'THAW',
      what: `KV written by freezing one more turn of ${turnTokens} tokens, ${name}`,
      unit: 'bytes',
      value,
      baseline: { what: 'of it the tail', value: tail },
      ratio: value / tail,
      wanted: 'no more than the tokens of the turn and one block',
      met: value <= newBytes + headsOf(value),
      runs: series.rounds('bytes.turn'),
    },
  ];
}

/** Heads of files are small beside their rows. */
const headsOf = (bytes: number): number => bytes / 100;

function againstPrefill(name: string, series: Series, prefill: Prefill, least: number | null): Figure[] {
  const value = series.least('request');
  if (value === null) return [];
  const ratio = prefill.ms / value;
  return [
    {
      id: 'THAW',
      what: `thaw, warm, and the first token, ${name}`,
      unit: 'ms',
      value,
      baseline: { what: prefill.isEstimated ? 'prefill, by its first and last batch' : 'prefill', value: prefill.ms },
      ratio,
      wanted: least === null ? '' : `at least ${least} times as fast`,
      met: least === null || ratio >= least,
      runs: series.rounds('request'),
    },
  ];
}

function memory(what: string, measure: Measure, name: string, kvBytes: number, series: Series): Figure[] {
  const value = series.most(measure);
  if (value === null) return [];
  return [
    {
      id: 'THAW',
      what: `most memory of a ${what} beyond the model, ${name}`,
      unit: 'bytes',
      value,
      baseline: { what: 'KV', value: kvBytes },
      ratio: value / kvBytes,
      wanted: '≤ 1.2 times the KV, or 256 MiB',
      met: value <= Math.max(1.2 * kvBytes, 256 << 20),
      runs: series.rounds(measure),
    },
  ];
}

/** Reading the files is to hide behind the start of the engine, as far as the disk allows. `tailMs` is the time of the computed tokens. */
export function startFigure(
  size: number,
  { readyMs, firstTokenMs, readMs, rounds }: FreshStart,
  tailMs: number,
): Figure {
  const value = firstTokenMs - tailMs;
  const baseline = readyMs + 1.5 * readMs;
  return {
    id: 'THAW',
    what: `start of an engine and thaw, cold, ${size} tokens, without ${tailMs.toFixed(0)} ms for the tokens that must be computed`,
    unit: 'ms',
    value,
    baseline: {
      what: `start of ${readyMs.toFixed(0)} ms + 1.5 × plain reading of ${readMs.toFixed(0)} ms`,
      value: baseline,
    },
    ratio: value / baseline,
    wanted: 'no longer',
    met: value <= baseline,
    runs: rounds,
  };
}

const notCold = (name: string): Figure =>
  notMeasured('THAW', `thaw, cold, ${name}: not measured, because this system does not drop its caches`, 'ms');
