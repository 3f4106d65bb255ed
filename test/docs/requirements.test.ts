import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** Ids as the code cites them. `V8` is also the name of the JavaScript engine: V, D, N and W count only in the titles of tests. */
const idPattern = /\b(?:S[0-4]-\d{2}|EC-\d{3})\b/g;
const titlePattern = /\b(?:describe|test|it)(?:\.\w+(?:\([^)]*\))?)?\(\s*['"`]([^'"`]*)/g;
const titleIdPattern = /\b(?:S[0-4]-\d{2}|EC-\d{3}|[DNV]\d{1,2}|W\d-\d{1,2})\b/g;

const explained = new Set(
  Array.from(read('docs/requirements.md').matchAll(/^\| ([A-Z]+\d*(?:-\d+)?)\s*\|/gm), ([, id = '']) => id),
);

describe('requirement ids', () => {
  const files = globSync(['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'], { cwd: root });

  test('each id that code or a test cites is explained in docs/requirements.md', () => {
    const unexplained = files.flatMap((file) => {
      const text = read(file);
      const inTitles = Array.from(text.matchAll(titlePattern), ([, title = '']) => title).join('\n');
      const ids = new Set([...(text.match(idPattern) ?? []), ...(inTitles.match(titleIdPattern) ?? [])]);
      return [...ids].filter((id) => !explained.has(id)).map((id) => `${file}: ${id}`);
    });
    expect(files.length).toBeGreaterThan(100);
    expect(unexplained).toEqual([]);
  });

  test('each id is explained once', () => {
    const rows = Array.from(read('docs/requirements.md').matchAll(/^\| ([A-Z]+\d*(?:-\d+)?)\s*\|/gm), ([, id]) => id);
    expect(rows.length).toBe(explained.size);
  });
});
