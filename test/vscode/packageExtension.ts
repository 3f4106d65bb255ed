import { createVSIX } from '@vscode/vsce';
import path from 'node:path';

/** Packages what is in dist/ as users get it, so that what ships is what is tested. Returns the file. */
export async function packageExtension(folder: string): Promise<string> {
  const packagePath = path.join(folder, 'extension.vsix');
  await createVSIX({
    cwd: path.resolve(import.meta.dirname, '../..'),
    packagePath,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
  return packagePath;
}
