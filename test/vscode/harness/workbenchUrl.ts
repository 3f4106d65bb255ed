export interface WorkbenchTarget {
  /** The folder or `.code-workspace` file to open, an absolute path. Without one: an empty window. */
  readonly folder?: string | undefined;
  /** Extensions to load from their source folder, absolute paths. */
  readonly extensionDevelopmentPaths?: readonly string[];
  /** A CommonJS file that exports `run()`, an absolute path: it is run in the extension host. */
  readonly extensionTestsPath?: string | undefined;
}

/**
 * The address at which a code-server opens `target`. Development extensions and suites travel in the `payload` parameter, which a
 * built VS Code reads only if its server runs with `--vscode-option enable-smoke-test-driver` (VS Code's own tests rely on it): see
 * `testDriver` in codeServer.ts.
 */
export function workbenchUrl(origin: string, target: WorkbenchTarget): string {
  const url = new URL(origin);
  const remote = (absolutePath: string): string =>
    `vscode-remote://${url.host}${absolutePath.split('/').map(encodeURIComponent).join('/')}`;
  const payload: [string, string][] = [['skipWelcome', 'true']];
  for (const extension of target.extensionDevelopmentPaths ?? [])
    payload.push(['extensionDevelopmentPath', remote(extension)]);
  if (target.extensionTestsPath !== undefined) payload.push(['extensionTestsPath', remote(target.extensionTestsPath)]);

  if (target.folder === undefined) url.searchParams.set('ew', 'true');
  else url.searchParams.set(target.folder.endsWith('.code-workspace') ? 'workspace' : 'folder', target.folder);
  url.searchParams.set('payload', JSON.stringify(payload));
  return url.href;
}
