import type { RouteInput, RouteOutput, VerifyStep } from '../protocol/api.ts';
import { toCwmError } from '../protocol/errors.ts';
import { parseWindowName, type LineageId, type WindowName } from '../protocol/ids.ts';
import { checkBlocks } from './blocks.ts';
import type { CoreContext } from './context.ts';
import { saltOf } from './lineage.ts';
import { requireWindow } from './windows.ts';

/**
 * Reads everything and believes no stat field: the records of the store, then every KV block that can be seen. Changes
 * nothing. Blocks that are gone are no problem, since KV is perishable; blocks that are not what was frozen are.
 *
 * @throws CwmError CWM-1002, 2002.
 */
export async function verify(
  core: CoreContext,
  input: RouteInput<'verify'>,
  signal: AbortSignal,
): Promise<RouteOutput<'verify'>> {
  const names = input.window === undefined ? await allWindows(core) : [parseWindowName(input.window)];
  if (input.window !== undefined) await requireWindow(core, parseWindowName(input.window));
  const steps = [...(await core.store.verify(signal)), await verifyBlocks(core, names, input.engine, signal)];
  return { steps, healthy: steps.every((step) => step.problems.length === 0) };
}

async function allWindows(core: CoreContext): Promise<WindowName[]> {
  const names: WindowName[] = [];
  for (;;) {
    const page = await core.store.listWindows({ sortBy: 'name', order: 'asc', limit: 100, offset: names.length });
    names.push(...page.items.map((window) => window.name as WindowName));
    if (names.length >= page.total || page.items.length === 0) return names;
  }
}

async function verifyBlocks(
  core: CoreContext,
  names: readonly WindowName[],
  engineSpec: string | undefined,
  signal: AbortSignal,
): Promise<VerifyStep> {
  const problems: string[] = [];
  let checked = 0;
  for (const name of names) {
    const manifest = await requireWindow(core, name);
    const kv = await core.store.loadWindowKv(name);
    if (kv.blocks.length === 0) continue;
    const { salt } = await core.store.getLineage(manifest.lineage as LineageId);
    const ids = await core.store.loadWindowTokens(name);
    const engine = core.engines.get(engineSpec ?? manifest.engine);
    try {
      const context = { ids, salt: saltOf({ salt, generation: kv.saltGeneration }), handle: kv.handle };
      const location = await engine.locate(context, signal);
      if (!location.reachable) continue;
      const check = await checkBlocks(
        engine,
        location.blocks,
        kv.blocks,
        { readAll: true, checksumsOfOthers: (hashes) => core.store.checksumsOfOthers(hashes, name) },
        signal,
      );
      checked += check.hashed;
      if (check.damaged.length > 0) {
        problems.push(
          `Window "${name}": ${check.damaged.length} of ${kv.blocks.length} KV blocks are not what was frozen.`,
        );
      }
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toCwmError(error);
      problems.push(`Window "${name}": its KV blocks could not be checked. ${message} (${code})`);
    }
  }
  return { step: 'KV blocks match their checksums', checked, problems };
}
