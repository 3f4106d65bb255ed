import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import type { CoreContext } from '../context.ts';

export async function listTrash({ store }: CoreContext): Promise<RouteOutput<'listTrash'>> {
  return { items: [...(await store.listTrash())] };
}

/** @throws CwmError PathNotFound, WindowExists or SessionExists (its name is taken by now), SessionNotFound (the session of a window is gone). */
export async function restoreFromTrash(
  { store, space, changes }: CoreContext,
  input: ParsedInput<'restoreFromTrash'>,
): Promise<RouteOutput<'restoreFromTrash'>> {
  const item = await space.lock.run(() => store.restore(input.item));
  if (item.kind === 'window') changes.emit({ type: 'window', window: item.name });
  else changes.emit({ type: 'session', session: item.name });
  return item;
}

/** Removes for good what is past its grace time, or with `all` everything. */
export async function emptyTrash(
  { store }: CoreContext,
  input: ParsedInput<'emptyTrash'>,
): Promise<RouteOutput<'emptyTrash'>> {
  const items = [...(await store.emptyTrash(input.all ? 'all' : 'expired'))];
  return { items, bytesFreed: items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}
