import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { parseWindowName } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** Neither the KV budget nor a prune takes anything of a pinned window. @throws CwmError InvalidWindowName, WindowNotFound. */
export async function pinWindow(
  { store, space }: CoreContext,
  input: ParsedInput<'pinWindow'>,
): Promise<RouteOutput<'pinWindow'>> {
  const name = parseWindowName(input.window);
  // Under the lock: an operation that is choosing what to delete must see the new value.
  await space.lock.run(() => store.windows.setPinned(name, input.pinned));
  return { window: name, pinned: input.pinned };
}
