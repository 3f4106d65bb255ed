import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import type { CoreContext } from '../context.ts';

export async function listTrash({ store }: CoreContext): Promise<RouteOutput<'listTrash'>> {
  return { items: [...(await store.trash.list())] };
}

/** @throws CwmError PathNotFound, WindowExists or SessionExists (its name is taken by now), SessionNotFound (the session of a window is gone). */
export async function restoreFromTrash(
  { store, space }: CoreContext,
  input: ParsedInput<'restoreFromTrash'>,
): Promise<RouteOutput<'restoreFromTrash'>> {
  return space.lock.run(() => store.trash.restore(input.item));
}

/** Removes for good the items that are past their grace time, or with `all` every item. */
export async function emptyTrash(
  { store }: CoreContext,
  input: ParsedInput<'emptyTrash'>,
): Promise<RouteOutput<'emptyTrash'>> {
  const items = [...(await store.trash.empty(input.all ? 'all' : 'expired'))];
  return { items, bytesFreed: items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}
