import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import type { VerifyStep } from '../../protocol/schemas/health.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { parseWindowName, type WindowName } from '../../protocol/ids.ts';
import { formatBytes } from '../../base/format.ts';
import type { WindowManifest } from '../../protocol/schemas/window.ts';
import { checkBlocks } from '../evidence/blocks.ts';
import type { OnChecked } from '../ports/check.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { familyOf, saltOf } from '../ports/lineages.ts';
import { replaceLost } from './replaceLost.ts';
import { requireWindow } from './windows.ts';

/**
 * Reads everything and trusts no stat field: the records of the store, then every KV block that can be read. Missing blocks are no
 * problem, because KV is perishable; blocks that differ from the frozen ones are. Only `repair` changes anything: it sets damaged
 * records aside, rebuilds records that follow from others, deletes damaged KV so that it is computed again, and verifies again.
 *
 * @throws CwmError InvalidWindowName, WindowNotFound.
 */
export async function verify(
  core: CoreContext,
  input: RouteInput<'verify'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<RouteOutput<'verify'>> {
  const named = input.window === undefined ? null : parseWindowName(input.window);
  if (named) await requireWindow(core, named);
  const onChecked: OnChecked = (step, done, of) => progress(`${step}: ${done} of ${of}`);
  const look = async (deletes: boolean): Promise<{ steps: VerifyStep[]; repairs: string[] }> => {
    const records = await core.store.check.verify(signal, onChecked);
    const names = named ? [named] : await core.store.windows.names();
    const { step, repairs } = await verifyBlocks(core, names, { engine: input.engine, deletes, onChecked }, signal);
    return { steps: [...records, step], repairs };
  };
  const healthy = (steps: readonly VerifyStep[]): boolean => steps.every((step) => step.problems.length === 0);
  const found = await look(false);
  if (!input.repair || healthy(found.steps)) return { ...found, healthy: healthy(found.steps) };
  const repairs = await core.store.check.repair(input.engine ?? core.engines.defaultSpec, signal, onChecked);
  repairs.push(...(await replaceLost(core, signal)), ...(await look(true)).repairs);
  const { steps } = await look(false);
  return { steps, healthy: healthy(steps), repairs };
}

const blocksStep = 'KV blocks match their checksums';

interface BlockVerification {
  readonly engine: string | undefined;
  /** Whether damaged blocks are deleted. */
  readonly deletes: boolean;
  readonly onChecked: OnChecked;
}

async function verifyBlocks(
  core: CoreContext,
  names: readonly WindowName[],
  options: BlockVerification,
  signal: AbortSignal,
): Promise<{ step: VerifyStep; repairs: string[] }> {
  const problems: string[] = [];
  const repairs: string[] = [];
  let checked = 0;
  for (const [at, name] of names.entries()) {
    options.onChecked(blocksStep, at, names.length);
    try {
      const manifest = await requireWindow(core, name);
      // A thaw that recomputes blocks changes first the files and then the record.
      const found = await core.kvRecords.run(
        familyOf(manifest.lineage),
        () => verifyBlocksOf(core, manifest, options, signal),
        signal,
      );
      checked += found.checked;
      problems.push(...found.problems);
      repairs.push(...found.repairs);
    } catch (error) {
      signal.throwIfAborted();
      if (await isGone(core, name)) continue;
      const { code, message } = toCwmError(error);
      problems.push(`Window "${name}": its KV blocks could not be verified. ${message} (${code})`);
    }
  }
  return { step: { step: blocksStep, checked, problems }, repairs };
}

/** Whether another client has deleted it since it was listed. */
const isGone = (core: CoreContext, name: WindowName): Promise<boolean> =>
  core.store.windows.get(name).then(
    (manifest) => manifest === null,
    () => false,
  );

async function verifyBlocksOf(
  core: CoreContext,
  { name, lineage, engine: recordedEngine }: WindowManifest,
  { engine: engineSpec, deletes }: BlockVerification,
  signal: AbortSignal,
): Promise<{ checked: number; problems: string[]; repairs: string[] }> {
  const nothing = { checked: 0, problems: [], repairs: [] };
  const window = name;
  const kv = await core.store.windows.loadKv(window);
  if (kv.blocks.length === 0) return nothing;
  const of = await core.store.lineages.get(lineage);
  const ids = await core.store.windows.loadTokens(window);
  const engine = core.engines.get(engineSpec ?? recordedEngine);
  const context = { ids, salt: saltOf({ ...of, generation: kv.saltGeneration }), handle: kv.handle };
  const location = await engine.locate(context, signal);
  if (!location.reachable) return nothing;
  const { hashed: checked, damaged } = await checkBlocks(
    engine,
    location.blocks,
    kv.blocks,
    { readAll: true, checksumsOfOthers: (hashes) => core.store.blocks.checksumsOfOthers(hashes, window) },
    signal,
  );
  if (damaged.length === 0) return { ...nothing, checked };
  const problems = [
    `Window "${name}": ${damaged.length} of ${kv.blocks.length} KV blocks differ from the frozen ones.`,
  ];
  if (!deletes) return { checked, problems, repairs: [] };
  const freed = await engine.forget({ hashes: damaged, handle: null }, signal);
  const repair = `Window "${name}": damaged KV was deleted (${formatBytes(freed)}); the next thaw computes it again.`;
  return { checked, problems, repairs: [repair] };
}
