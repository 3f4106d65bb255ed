import { fileURLToPath } from 'node:url';

/** The processes of this product; each is a file of its own in a checkout and in the bundle. */
export type EntryPoint = 'backend' | 'embedded' | 'cli' | 'mcp';

/**
 * The file that starts another process of this product: `src/<name>/main.ts` when the caller runs from a checkout, or
 * `<name>.js` beside the caller when it is bundled.
 *
 * @param callerUrl `import.meta.url` of a module directly in one of the folders of `src/`, or of a bundle.
 */
export function entryPointPath(name: EntryPoint, callerUrl: string): string {
  const relative = callerUrl.endsWith('.ts') ? `../${name}/main.ts` : `./${name}.js`;
  return fileURLToPath(new URL(relative, callerUrl));
}
