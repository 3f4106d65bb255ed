// Writes a version's section of CHANGELOG.md to a file: `node scripts/releaseNotes.ts v0.1.0 FILE`. Fails for a version that is not
// package.json's, or that the changelog does not have.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sectionOf } from './changelogSection.ts';
import { root } from './vitestRun.ts';

const [tag = '', file = ''] = process.argv.slice(2);
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };
if (tag !== `v${version}`) {
  console.error(`The tag ${tag} is not the version of package.json, ${version}.`);
  process.exit(1);
}
const section = sectionOf(read('CHANGELOG.md'), version);
if (section === null) {
  console.error(`CHANGELOG.md has no section ## [${version}].`);
  process.exit(1);
}
writeFileSync(path.resolve(file), section);
