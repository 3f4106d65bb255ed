import type { MainJobResult } from './mainJob.ts';

/** The result of the main job as a small table for people. */
export function jobTable(result: MainJobResult): string {
  const rows: [string, string][] = [
    ['context', `${count(result.tokens)} tokens, in blocks of ${count(result.blockTokens)}`],
    ['prefill on a warm engine', seconds(result.prefillMs)],
    ['frozen', `${megabytes(result.kvBytes)} of KV in ${seconds(result.freezeMs)}`],
    ['then', 'backend and engine killed with SIGKILL, started anew'],
    ['thawed', `in ${seconds(result.thawMs)}${speedup(result)}`],
    [
      'tokens reused',
      `${count(result.cachedTokens)} of ${count(result.tokens)}; ${count(result.floorTokens)} is the most possible`,
    ],
    ['next tokens', `${result.identicalNextTokens} of ${result.comparedTokens} are those of an uninterrupted run`],
    ['control: another salt', `${count(result.controlCachedTokens)} tokens reused`],
    ['verdict', `${result.verdict ?? '?'}${result.tier ? `, from ${result.tier}` : ''}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

const count = (value: number | null): string => (value === null ? 'not observed' : value.toLocaleString('en-US'));

const seconds = (ms: number | null): string =>
  ms === null ? 'not observed' : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

const megabytes = (bytes: number | null): string =>
  bytes === null ? 'an unknown amount' : `${(bytes / 1e6).toFixed(1)} MB`;

const speedup = ({ speedup: factor }: MainJobResult): string =>
  factor === null ? '' : `: ${Math.round(factor).toLocaleString('en-US')} times faster than computing it again`;
