import { absolutePath } from '../client/absolutePath.ts';

const filePrefix = 'embedded:';

/** An engine as it is given on the command line, with the model's path made absolute: the backend runs elsewhere. */
export function absoluteEngine(spec: string, cwd: string): string {
  return spec.startsWith(filePrefix) ? filePrefix + absolutePath(spec.slice(filePrefix.length), cwd) : spec;
}
