import { fileURLToPath } from 'node:url';

/** The processes of this product; each is a file of its own in a checkout and in the bundle. */
export type EntryPoint = 'backend' | 'embedded' | 'cli' | 'mcp';

/**
 * The file that starts another process of this product: `src/<name>/main.ts` when the caller runs from a checkout, or
 * `<name>.js` beside the caller when it is bundled.
 *
 * @param callerUrl `import.meta.url` of any module below `src/`, or of a bundle.
 */
export function entryPointPath(name: EntryPoint, callerUrl: string): string {
  if (!callerUrl.endsWith('.ts')) return fileURLToPath(new URL(`./${name}.js`, callerUrl));
  const sources = callerUrl.slice(0, callerUrl.lastIndexOf('/src/') + '/src/'.length);
  return fileURLToPath(new URL(`${name}/main.ts`, sources));
}
