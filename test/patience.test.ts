import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const texts = new Map(
  readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== path.basename(import.meta.filename))
    .map((file) => [file, readFileSync(path.join(import.meta.dirname, file), 'utf8')]),
);
const filesWith = (pattern: RegExp): string[] =>
  [...texts].filter(([, text]) => pattern.test(text)).map(([file]) => file);

it('no test waits only one second, as vitest does by itself: `eventually` and `until` have a patience for busy machines', () => {
  expect(filesWith(/\bvi\.waitFor\(|\bvi\.waitUntil\(/)).toEqual([]);
  const configs = [...texts].filter(([file]) => path.basename(file) === 'vitest.config.ts');
  const root = readFileSync(path.join(import.meta.dirname, '..', 'vitest.config.ts'), 'utf8');
  for (const [file, text] of [...configs, ['vitest.config.ts', root] as const]) {
    expect(text, file).toMatch(/expect: \{ poll: \{ timeout: 60_000,/);
  }
});

it('properties try the same cases each time, except at night', () => {
  expect(filesWith(/from 'fast-check'/)).toEqual(['support/fc.ts']);
});
