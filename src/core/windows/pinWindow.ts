import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { parseWindowName } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** A pinned window's KV is never taken by the budget, nor is the window pruned. @throws CwmError InvalidWindowName, WindowNotFound. */
export async function pinWindow(
  { store, space }: CoreContext,
  input: ParsedInput<'pinWindow'>,
): Promise<RouteOutput<'pinWindow'>> {
  const name = parseWindowName(input.window);
  // Under the lock: an operation that is choosing what to delete must not decide by the old value.
  await space.lock.run(() => store.setPinned(name, input.pinned));
  return { window: name, pinned: input.pinned };
}
