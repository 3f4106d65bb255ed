import { mkdirSync } from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../../../test-results/vscode');

/** Where evidence of a failed run goes (ignored by git): `test-results/vscode/NAME`, with what a file name cannot hold replaced. */
export function artifactPath(name: string): string {
  mkdirSync(folder, { recursive: true });
  return path.join(folder, name.replaceAll(/[^\w.-]+/g, '-'));
}
