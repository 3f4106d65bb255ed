import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';

const named = { title: z.string() };
const error = { message: z.string(), stack: z.string() };
const suiteEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('loading') }),
  z.object({ kind: z.literal('broken'), ...error }),
  z.object({ kind: z.literal('printed'), text: z.string() }),
  z.object({ kind: z.literal('started'), ...named }),
  z.object({ kind: z.literal('passed'), ...named, durationMs: z.number() }),
  z.object({ kind: z.literal('skipped'), ...named }),
  z.object({ kind: z.literal('failed'), ...named, ...error }),
  z.object({ kind: z.literal('ended') }),
]);

/** One line of the report that a suite writes while it runs. */
export type SuiteEvent = z.infer<typeof suiteEvent>;

export interface SuiteFailure {
  readonly title: string;
  readonly message: string;
  readonly stack: string;
}

export interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One per failed test or hook; `failed` counts these. */
  readonly failures: readonly SuiteFailure[];
}

/** What is in the report so far; nothing when the suite has not begun. A line cut off by a crash is left out. */
export function readEvents(reportPath: string): SuiteEvent[] {
  let text = '';
  try {
    text = readFileSync(reportPath, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => suiteEvent.parse(JSON.parse(line)));
}

/** Counts the events; `mapStack` turns places in the bundle into places in the sources. */
export function summarize(events: readonly SuiteEvent[], mapStack: (stack: string) => string): SuiteResult {
  const count = (kind: SuiteEvent['kind']): number => events.filter((event) => event.kind === kind).length;
  const failures = events
    .filter((event) => event.kind === 'failed')
    .map(({ title, message, stack }) => ({ title, message, stack: mapStack(stack) }));
  return { passed: count('passed'), failed: failures.length, skipped: count('skipped'), failures };
}

/** The line to print for an event, if it deserves one. */
export function eventLine(event: SuiteEvent): string | undefined {
  if (event.kind === 'passed') return `  ✓ ${event.title} (${Math.round(event.durationMs)} ms)`;
  if (event.kind === 'skipped') return `  - ${event.title}`;
  if (event.kind === 'failed') return `  ✗ ${event.title}\n      ${event.message.trim().replaceAll('\n', '\n      ')}`;
  if (event.kind === 'printed') return `  | ${event.text.replaceAll('\n', '\n  | ')}`;
  return undefined;
}
