import type { RouteInput } from '../protocol/api.ts';
import { CwmError } from '../protocol/errors.ts';
import { parseDescription, parseTags, parseWindowName } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { CoreContext } from './context.ts';
import { reuseFields, uncheckedContent, withSummary } from './receipts.ts';

/**
 * A second window over the same content, under the same salt: it shares every block and copies none. No engine is asked.
 *
 * @throws CwmError CWM-1002, 1003, 2002 (no such window), 3003 (target taken), 4004 (the source's files are damaged).
 */
export async function clone(core: CoreContext, input: RouteInput<'clone'>, signal: AbortSignal): Promise<Receipt> {
  const started = core.clock.elapsedMs();
  const source = parseWindowName(input.window);
  const target = parseWindowName(input.target);
  const manifest = await core.store.getWindow(source);
  if (!manifest) throw new CwmError('CWM-2002', `There is no window "${source}".`);
  const description = parseDescription(input.description ?? manifest.description);
  const tags = parseTags(input.tags ?? manifest.tags);
  if (await core.store.getWindow(target)) throw new CwmError('CWM-3003', `A window named "${target}" exists already.`);
  const ids = await core.store.loadWindowTokens(source);
  const kv = await core.store.loadWindowKv(source);
  signal.throwIfAborted();

  const at = core.clock.now().toISOString();
  await core.store.createWindow(
    { ...manifest, name: target, description, tags, mode: 'clone', parentWindow: source, createdAt: at },
    ids,
    kv,
  );
  const receipt = withSummary({
    operation: 'clone',
    session: manifest.session,
    window: target,
    verdict: null,
    tier: null,
    tokens: ids.length,
    ...reuseFields(null, kv.blockTokens),
    content: uncheckedContent('A clone asks no engine.'),
    repair: 'none',
    kvBytes: kv.kvBytes,
    kvBytesWritten: 0,
    ms: core.clock.elapsedMs() - started,
    expectedPrefillMs: null,
    engine: null,
    notes: [],
    at,
  });
  await core.store.appendReceipt(target, receipt);
  core.changes.emit({ type: 'window', window: target });
  return receipt;
}
