// `node test/vscode/packageExtension.ts FILE` packages into that file.
import { createVSIX } from '@vscode/vsce';
import path from 'node:path';

/**
 * Packages what is in dist/ as users get it, so that what ships is what is tested. Returns the file. `npm test` packages once for all of its
 * suites and names the file in CWM_TEST_VSIX.
 */
export async function packageExtension(folder: string): Promise<string> {
  const packaged = process.env['CWM_TEST_VSIX'];
  return packaged ?? packageInto(path.join(folder, 'extension.vsix'));
}

async function packageInto(packagePath: string): Promise<string> {
  await createVSIX({
    cwd: path.resolve(import.meta.dirname, '../..'),
    packagePath,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
  return packagePath;
}

const [, script, target] = process.argv;
if (script === import.meta.filename && target !== undefined) await packageInto(target);
