import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { formatBytes, formatTokens } from '../../base/format.ts';
import { TriedEmbedder } from '../../core/memory/search/triedEmbedder.ts';
import { systemClock } from '../../base/clock.ts';
import type { EngineRegistry } from '../../core/ports/engineRegistry.ts';
import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import type { EngineStatus, Finding } from '../../protocol/schemas/health.ts';
import { type CwmError, toCwmError } from '../../protocol/errors.ts';
import { productVersion } from '../../protocol/version.ts';
import { networkFileSystem, networkWarning } from './networkFileSystem.ts';

const scarceBytes = 1e9;
const fullBytes = 50e6;
/** A window takes about ten files, and a turn two. */
const scarceFiles = 1000;
const maxNamedProblems = 3;

export interface DoctorParts {
  readonly storage: string;
  readonly engines: EngineRegistry;
  /** Problems that the store found and could work around. */
  readonly problems: () => readonly { readonly path: string; readonly what: string }[];
  /** Why the store can only be read; null when it can be changed. */
  readonly limitation: CwmError | null;
  /** The server that embeds texts, as it was named; null: none was. */
  readonly embeddings: string | null;
}

/**
 * Checks everything an operation needs, most basic first. It asks the engine, and starts it if it is the embedded one. It tries out
 * what the engine can do, once for each server.
 */
export async function examine(
  parts: DoctorParts,
  spec: string | undefined,
  signal: AbortSignal,
): Promise<RouteOutput<'doctor'>> {
  const status = await parts.engines.status(spec ?? parts.engines.defaultSpec, signal);
  const probed = status.reachable ? await probe(parts.engines, status.spec, signal) : null;
  const capabilities = probed !== null && 'items' in probed ? probed : null;
  const engine = { ...status, blockTokens: status.blockTokens ?? capabilities?.blockTokens ?? null };
  const findings = [
    backendFinding(),
    await spaceFinding(parts.storage),
    ...networkFindings(await networkFileSystem(parts.storage)),
    ...limitationFindings(parts.limitation),
    recordsFinding(parts.problems()),
    processorFinding(),
    ...engineFindings(engine),
    ...(probed !== null && 'state' in probed ? [probed] : []),
    ...(await embeddingsFindings(parts, status.spec, signal)),
  ];
  return { engine, findings, capabilities };
}

/** A server may go away between two questions. */
async function probe(engines: EngineRegistry, spec: string, signal: AbortSignal): Promise<Capabilities | Finding> {
  try {
    return await engines.get(spec).probe(signal);
  } catch (cause) {
    signal.throwIfAborted();
    const { message, code, hint } = toCwmError(cause);
    return finding('capabilities', 'failed', `${message} (${code})`, hint);
  }
}

/** Of a server that somebody named. Its model is tried. */
async function embeddingsFindings(
  { engines, embeddings }: DoctorParts,
  spec: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  const name = 'embeddings';
  const without = 'Until then, what left a prompt is found by its words alone.';
  try {
    const embedder = embeddings === null ? null : engines.embedder?.(spec);
    if (!embedder) return [];
    const tried = new TriedEmbedder(embedder, systemClock);
    const found = await tried.ready(signal);
    if (found) return [finding(name, 'ok', `${embeddings} embeds with ${found.model.name}`)];
    return [finding(name, 'warning', tried.problem ?? '', `Correct --embeddings-server. ${without}`)];
  } catch (cause) {
    signal.throwIfAborted();
    const { message, code, hint } = toCwmError(cause);
    return [finding(name, 'warning', `${message} (${code})`, `${hint} ${without}`)];
  }
}

const finding = (name: string, state: Finding['state'], detail: string, remedy = ''): Finding => ({
  name,
  state,
  detail,
  remedy,
});

const backendFinding = (): Finding =>
  finding('backend', 'ok', `version ${productVersion} on Node.js ${process.versions.node}, process ${process.pid}`);

async function spaceFinding(storage: string): Promise<Finding> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(storage);
    const freeBytes = bavail * bsize;
    const detail = `${storage} has ${formatBytes(freeBytes)} free`;
    const remedy = 'Free some disk space, or move the storage directory.';
    if (freeBytes < fullBytes) return finding('storage', 'failed', detail, remedy);
    // A file system without a fixed number of inodes reports 0 in all.
    if (files > 0 && ffree < scarceFiles) {
      return finding(
        'storage',
        ffree === 0 ? 'failed' : 'warning',
        `${detail} and room for ${ffree} more files`,
        remedy,
      );
    }
    return freeBytes < scarceBytes ? finding('storage', 'warning', detail, remedy) : finding('storage', 'ok', detail);
  } catch {
    return finding('storage', 'unknown', `the free space of ${storage} is not known`);
  }
}

const networkFindings = (kind: string | null): Finding[] =>
  kind === null
    ? []
    : [finding('storage', 'warning', networkWarning(kind), 'Keep the storage directory on a disk of this machine.')];

const limitationFindings = (limitation: CwmError | null): Finding[] =>
  limitation === null ? [] : [finding('changes', 'failed', limitation.message, limitation.hint)];

function recordsFinding(problems: ReturnType<DoctorParts['problems']>): Finding {
  if (problems.length === 0) return finding('records', 'ok', 'all that was read so far is as it was written');
  const named = problems.slice(0, maxNamedProblems).map(({ path, what }) => `${path} (${what})`);
  const more = problems.length > named.length ? ` and ${problems.length - named.length} more` : '';
  return finding(
    'records',
    'warning',
    `${problems.length} damaged: ${named.join(', ')}${more}`,
    'Run verify to see all of it. Damaged files were set aside, not deleted.',
  );
}

function processorFinding(): Finding {
  const cores = availableParallelism();
  if (cores > 1) return finding('processor', 'ok', `${cores} cores for this process`);
  return finding('processor', 'warning', 'one core only: prefill and everything else share it');
}

function engineFindings(engine: EngineStatus): Finding[] {
  const { spec, reachable, problem, kind, version, model, maxModelLen, blockTokens, notices } = engine;
  if (!reachable) {
    const detail = problem === null ? `${spec} does not answer` : `${problem.message} (${problem.code})`;
    return [finding('engine', 'failed', detail, problem?.hint ?? '')];
  }
  return [
    finding('engine', 'ok', `${spec} is ${kind ?? 'a model server'} ${version ?? ''}`.trimEnd()),
    finding(
      'model',
      'ok',
      `${model ?? 'unknown'}${maxModelLen === null ? '' : `, up to ${formatTokens(maxModelLen)}`}`,
    ),
    blockTokens === null
      ? finding('KV blocks', 'unknown', 'the engine does not tell their size, so no thaw can be proven')
      : finding(
          'KV blocks',
          'ok',
          blockTokens === 1
            ? 'none: the model server counts reuse in tokens'
            : `${blockTokens} tokens each: the grain of reuse`,
        ),
    ...notices.map((notice) => finding('notice', 'warning', notice)),
  ];
}
