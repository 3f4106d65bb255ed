import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import path from 'node:path';
import { literalPattern } from './textMatch.ts';

/**
 * Replaces places in a bundle by the places they came from, in a stack trace. The extension host formats stacks itself, so Node's
 * own source map support never sees them. The bundle's map lies beside it as `BUNDLE.map`.
 */
export function mapStack(stack: string, bundlePath: string): string {
  const map = new SourceMap(JSON.parse(readFileSync(`${bundlePath}.map`, 'utf8')));
  const place = new RegExp(`[^\\s()]*${literalPattern(path.basename(bundlePath))}:(\\d+):(\\d+)`, 'g');
  return stack.replaceAll(place, (text, line: string, column: string) => {
    const origin = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in origin)) return text;
    const file = path.resolve(path.dirname(bundlePath), origin.originalSource);
    return `${path.relative(process.cwd(), file)}:${origin.originalLine + 1}:${origin.originalColumn + 1}`;
  });
}
