import type { AnswerBar, BarPart } from '../documents/memoryMessages.ts';
import { element } from './elements.ts';

/** Drawn in attributes: the page's rules allow no style that is written into an element. */
function svg(name: string, attributes: Readonly<Record<string, string>>, ...children: readonly Element[]): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const drawing = (kind: string, width: number, height: number, ...children: readonly Element[]): SVGElement =>
  svg(
    'svg',
    { class: kind, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    ...children,
  );

const box = (kind: string, x: number, y: number, width: number, height: number): SVGElement =>
  svg('rect', { class: `part ${kind}`, x: String(x), y: String(y), width: String(width), height: String(height) });

/** The prompt as one bar, and its pieces in words. */
export function promptBar(parts: readonly BarPart[]): Element[] {
  if (parts.length === 0) return [];
  const all = parts.reduce((sum, { tokens }) => sum + tokens, 0);
  let at = 0;
  const pieces = parts.map(({ kind, tokens }) => {
    const width = (1000 * tokens) / all;
    at += width;
    return box(kind, at - width, 0, width, 10);
  });
  const words = parts.map(({ kind, label }) =>
    element('li', {}, element('span', { class: `mark ${kind}`, 'aria-hidden': 'true' }), label),
  );
  return [drawing('bar', 1000, 10, ...pieces), element('ul', { class: 'legend' }, ...words)];
}

/** A column for each answer: reused below, computed again because of memory above, and what was new at the top. */
export function answerChart(answers: readonly AnswerBar[]): Element[] {
  const most = Math.max(0, ...answers.map(({ sent }) => sent));
  if (most === 0) return [];
  const columns = answers.flatMap(({ sent, reused, recomputed }, at) => {
    const high = (tokens: number): number => (100 * tokens) / most;
    const x = at * 10 + 1;
    return [
      box('fresh', x, 100 - high(sent), 8, high(sent - reused - recomputed)),
      box('again', x, 100 - high(reused + recomputed), 8, high(recomputed)),
      box('reused', x, 100 - high(reused), 8, high(reused)),
    ];
  });
  const legend = element(
    'ul',
    { class: 'legend', 'aria-hidden': 'true' },
    ...[
      ['reused', 'Reused'],
      ['again', 'Computed again because of memory'],
      ['fresh', 'Computed for the first time'],
    ].map(([kind = '', label = '']) => element('li', {}, element('span', { class: `mark ${kind}` }), label)),
  );
  return [drawing('columns', Math.max(answers.length, 20) * 10, 100, ...columns), legend];
}

/** The same numbers to be read. */
export const answerTable = (answers: readonly AnswerBar[]): HTMLElement =>
  element(
    'table',
    {},
    element('caption', {}, 'Tokens of the prompt of each answer'),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...['Answer', 'Sent', 'Reused', 'Computed again'].map((name) => element('th', { scope: 'col' }, name)),
      ),
    ),
    element(
      'tbody',
      {},
      ...answers.map(({ sequence, cells }) =>
        element(
          'tr',
          {},
          element('th', { scope: 'row' }, String(sequence)),
          ...cells.map((cell) => element('td', {}, cell)),
        ),
      ),
    ),
  );
