import { absolutePath } from '../client/absolutePath.ts';

const filePrefix = 'embedded:';

/** An engine as the command line names it. A model's path becomes absolute, because the backend runs in another directory. */
export function absoluteEngine(spec: string, cwd: string): string {
  return spec.startsWith(filePrefix) ? filePrefix + absolutePath(spec.slice(filePrefix.length), cwd) : spec;
}
