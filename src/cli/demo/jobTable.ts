import { formatBytes, formatCount, formatDuration } from '../../base/format.ts';
import { formatFacts } from '../terminal/layout.ts';
import type { MainJobResult } from './mainJob.ts';

/** The result of the main job as a small table for people. */
export const jobTable = (result: MainJobResult): string =>
  formatFacts([
    ['context', `${count(result.tokens)} tokens, in blocks of ${count(result.blockTokens)}`],
    ['prefill on a warm server', duration(result.prefillMs)],
    [
      'frozen',
      `${result.kvBytes === null ? unseen : formatBytes(result.kvBytes)} of KV in ${duration(result.freezeMs)}`,
    ],
    ['then', 'backend and model server killed with SIGKILL, then restarted'],
    ['thawed', `in ${duration(result.thawMs)}${speedup(result)}`],
    [
      'tokens reused',
      `${count(result.cachedTokens)} of ${count(result.tokens)}; ${count(result.floorTokens)} is the maximum`,
    ],
    ['next tokens', `${result.identicalNextTokens} of ${result.comparedTokens} match an uninterrupted run`],
    ...answered(result),
    ['control: another salt', `${count(result.controlCachedTokens)} tokens reused`],
    ['verdict', `${result.verdict ?? unseen}${result.tier ? `, from ${result.tier}` : ''}`],
  ]);

function answered({ question, answer, answerWithout }: MainJobResult): [string, string][] {
  if (answer === null || inOneLine(answer) === '') return [];
  return [
    ['asked', quoted(question)],
    ['its answer', quoted(answer)],
    ...(answerWithout === null ? [] : [['without the context', quoted(answerWithout)] as [string, string]]),
  ];
}

const inOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

function quoted(text: string): string {
  const line = inOneLine(text);
  return `"${line.length > longestAnswer ? `${line.slice(0, longestAnswer)}…` : line}"`;
}

const longestAnswer = 120;
const unseen = 'not observed';

const count = (value: number | null): string => (value === null ? unseen : formatCount(value));

const duration = (ms: number | null): string => (ms === null ? unseen : formatDuration(ms));

const speedup = ({ speedup: factor }: MainJobResult): string =>
  factor === null ? '' : `: ${formatCount(Math.round(factor))} times faster than computing it again`;
