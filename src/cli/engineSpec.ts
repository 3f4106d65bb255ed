import { absolutePath } from '../client/absolutePath.ts';
import { withAbsoluteModel, withModel } from '../protocol/engineSpec.ts';
import { CwmError } from '../protocol/errors.ts';

/**
 * An engine as the command line names it: a model file's path becomes absolute, because the backend runs in another directory, and
 * `--model` becomes a part of the spec.
 *
 * @throws CwmError InvalidParameter for a model without a server that has several.
 */
export function engineOf(engine: string | undefined, model: string | undefined, cwd: string): string | undefined {
  const spec = engine === undefined ? undefined : withAbsoluteModel(engine, (path) => absolutePath(path, cwd));
  if (model === undefined) return spec;
  const chosen = spec === undefined ? null : withModel(spec, model);
  if (chosen !== null) return chosen;
  throw new CwmError('InvalidParameter', '--model chooses among the models of a server: name that as --engine URL.');
}
