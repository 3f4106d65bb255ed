import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { parseWindowName } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** A pinned window's KV is never taken by the budget, nor is the window pruned. @throws CwmError InvalidWindowName, WindowNotFound. */
export async function pinWindow(
  { store, space, changes }: CoreContext,
  input: ParsedInput<'pinWindow'>,
): Promise<RouteOutput<'pinWindow'>> {
  const name = parseWindowName(input.window);
  // Alone: who is just choosing what may go must not do so by what was before.
  await space.lock.run(() => store.setPinned(name, input.pinned));
  changes.emit({ type: 'window', window: name });
  return { window: name, pinned: input.pinned };
}
