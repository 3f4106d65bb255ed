import type { RouteName } from '../../protocol/api.ts';
import { shapes } from '../../protocol/routes/shapes.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Dispatch } from './dispatch.ts';

/**
 * Answers what a route promises of an operation's result, and nothing else of it. Clients have no schemas and rely on this check.
 *
 * @throws CwmError Internal that names the invalid field, and what the operation throws.
 */
export function checkedDispatch(dispatch: Dispatch): Dispatch {
  return async (request, signal, reporter) => checked(request.route, await dispatch(request, signal, reporter));
}

function checked(name: RouteName, result: unknown): unknown {
  const parsed = shapes[name].output.safeParse(result);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
  throw new CwmError('Internal', `The answer to "${name}" cannot be sent: its "${field}" is invalid.`);
}
