import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

const filePrefix = 'embedded:';

/** The engine that the settings name, as the backend understands it: a model's path is absolute. */
export function engineSpec(): string {
  const spec = setting('cwm.engine');
  return spec.startsWith(filePrefix) ? filePrefix + userPath(spec.slice(filePrefix.length)) : spec;
}
