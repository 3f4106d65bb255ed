import { describe, expect, test } from 'vitest';
import ignore from 'ignore';
import { excludeRules } from '../../src/vscode/pick/excludeRules.ts';
import { pathChoices } from '../../src/vscode/pick/pathChoices.ts';

describe('choosing files', () => {
  test('offers the whole folder, every folder with what is in it, then every file', () => {
    const choices = pathChoices(['src/a/x.ts', 'README.md', 'src/b.ts']);
    expect(choices).toEqual([
      { path: '', kind: 'folder', fileCount: 3 },
      { path: 'src', kind: 'folder', fileCount: 2 },
      { path: 'src/a', kind: 'folder', fileCount: 1 },
      { path: 'README.md', kind: 'file', fileCount: 1 },
      { path: 'src/a/x.ts', kind: 'file', fileCount: 1 },
      { path: 'src/b.ts', kind: 'file', fileCount: 1 },
    ]);
    expect(pathChoices([])).toEqual([]);
  });

  test.each([
    ['**/*.log', ['a.log', 'deep/a.log'], ['a.logs']],
    ['*.log', ['a.log'], ['deep/a.log']],
    ['out/', ['out/x', 'out/deep/x'], ['deep/out/x', 'outer']],
    ['out/**', ['out/x'], ['deep/out/x']],
    ['**/node_modules', ['node_modules/x', 'deep/node_modules/y/x'], ['node_modules.md']],
    ['src/gen', ['src/gen/x'], ['deep/src/gen/x', 'src/generated']],
    ['**/*.{js,map}', ['a.js', 'deep/a.js.map'], ['a.json']],
    ['{a,b{1,2}}/x', ['a/x', 'b1/x', 'b2/x'], ['b/x', 'c/x']],
    ['!a', ['!a'], ['a', 'b']],
    ['#a', ['#a'], ['a']],
  ])('the glob %s of files.exclude leaves out the same files as a rule', (glob, left, stays) => {
    const rules = ignore().add(excludeRules({ [glob]: true }));
    expect(rules.filter([...left, ...stays])).toEqual(stays);
  });

  test('a glob that is switched off or depends on a sibling leaves nothing out, nor does a value of another type', () => {
    expect(excludeRules({ '**/*.js': { when: '$(basename).ts' }, '**/.git': true, '**/x': false })).toBe('**/.git');
    expect([undefined, null, 'x', 3].map(excludeRules)).toEqual(['', '', '', '']);
  });
});
