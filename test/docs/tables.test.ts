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

  test('README names every command of the command line, and none that is not there', async () => {
    const readme = read('README.md');
    const shown = Array.from(readme.matchAll(/cwm -- (\w+)/g), ([, name = '']) => name);
    const sentence = /^.* are the other commands/m.exec(readme)?.[0] ?? '';
    const others = Array.from(sentence.matchAll(/`(\w+)`/g), ([, name = '']) => name);
    const named = new Set([...shown, ...others]);
    expect([...named].sort()).toEqual((await commandsInHelp()).sort());
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

async function commandsInHelp(): Promise<string[]> {
  const terminal = new FakeTerminal();
  await runCommandLine(['help'], terminal);
  const list = terminal.stdout.split('Commands:')[1] ?? '';
  return Array.from(list.matchAll(/^ {2}(\w+)/gm), ([, name]) => name ?? '').filter((name) => name !== 'help');
}
