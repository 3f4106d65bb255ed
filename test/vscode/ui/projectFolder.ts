import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** A small project to give to the model: some thousand tokens of text that no two runs of the model see differently. */
export function writeProject(folder: string): void {
  mkdirSync(path.join(folder, 'src'), { recursive: true });
  writeFileSync(path.join(folder, 'README.md'), '# Orchard\n\nCounts apples and pears.\n');
  writeFileSync(path.join(folder, '.gitignore'), 'secret.txt\n');
  writeFileSync(path.join(folder, 'secret.txt'), 'not for the model\n');
  // VS Code's own `search.exclude` names it.
  mkdirSync(path.join(folder, 'node_modules'));
  writeFileSync(path.join(folder, 'node_modules', 'peel.js'), 'export const peel = 0;\n');
  for (const fruit of ['apple', 'pear', 'plum']) {
    const lines = Array.from(
      { length: 25 },
      (_, row) =>
        `export const ${fruit}InRow${row} = { row: ${row}, count: ${(row * 37) % 11}, ripe: ${row % 3 === 0} };`,
    );
    writeFileSync(path.join(folder, 'src', `${fruit}.ts`), `${lines.join('\n')}\n`);
  }
}
