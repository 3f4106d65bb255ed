import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { routes } from '../../src/protocol/api.ts';
import { challengePath } from '../../src/protocol/backendRecord.ts';
import { eventsPath } from '../../src/protocol/signals.ts';
import { FakeTerminal } from '../cli/support/fakeTerminal.ts';

const read = (file: string): string => readFileSync(path.join(import.meta.dirname, '../..', file), 'utf8');

describe('documents name what there is', () => {
  test('docs/protocol.md has a row for every route, and none for a route that is not there', () => {
    const table = /^\| route .*\n\|[-| ]+\|\n((?:\|.*\n)+)/m.exec(read('docs/protocol.md'))?.[1] ?? '';
    const documented = table.split('\n').flatMap((row) => routesOf(row.split('|')[1] ?? ''));
    const there = Object.values(routes).map(({ method, path }) => `${method} ${path}`);
    expect(documented.sort()).toEqual([...there, `GET ${eventsPath}`, `GET ${challengePath}`].sort());
  });

  test('README names every command of the command line under the heading of its help, and none that is not there', async () => {
    const table = /^\| about .*\n\|[-| ]+\|\n((?:\|.*\n)+)/m.exec(read('README.md'))?.[1] ?? '';
    const documented = table.trim().split('\n');
    const named = documented.map((row) => {
      const [, about = '', commands = ''] = row.split('|');
      return [about.trim(), Array.from(commands.matchAll(/`(\w+)`/g), ([, name = '']) => name)];
    });
    expect(Object.fromEntries(named)).toEqual(await commandsInHelp());
  });
});

/** The first column of a row: `` `GET`, `POST /a/:b` · `…/c` ``. A verb alone shares the next path; `…/c` replaces the last part of the one before. */
function routesOf(cell: string): string[] {
  const found: string[] = [];
  let verbs: string[] = [];
  let [lastVerb, lastPath] = ['', ''];
  for (const [, code = ''] of cell.matchAll(/`([^`]+)`/g)) {
    const [verb = '', path] = code.startsWith('…')
      ? [lastVerb, lastPath.replace(/\/[^/]*$/, code.slice(1))]
      : code.split(' ');
    verbs.push(verb);
    if (path === undefined) continue;
    found.push(...verbs.map((each) => `${each} ${path}`));
    [verbs, lastVerb, lastPath] = [[], verb, path];
  }
  return found;
}

/** The commands below each heading of `cwm help`. */
async function commandsInHelp(): Promise<Record<string, string[]>> {
  const terminal = new FakeTerminal();
  await runCommandLine(['help'], terminal);
  const sections = Array.from(terminal.stdout.matchAll(/^(\w[\w ]*):\n((?: {2}.*\n?)+)/gm));
  const rows = sections.map(([, heading = '', list = '']): [string, string[]] => [
    heading.toLowerCase(),
    Array.from(list.matchAll(/^ {2}(\w+)/gm), ([, name = '']) => name),
  ]);
  return Object.fromEntries(rows.filter(([heading]) => heading !== 'options' && heading !== 'help'));
}
