import { formatTokens } from '../../base/format.ts';
import { readFileSync } from 'node:fs';
import { isRunning } from '../../base/isRunning.ts';
import { isEmbedded } from '../../protocol/engineSpec.ts';
import { setTimeout as delay } from 'node:timers/promises';
import type { BackendClient } from '../../client/backendClient.ts';
import { projectUriOfFolder } from '../../client/projectUri.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';

export interface MainJobOptions {
  /** Absolute paths of files and folders that become the context. */
  readonly paths: readonly string[];
  readonly cwd: string;
  /** At least this many tokens of them. */
  readonly tokens: number;
  /** How many next tokens are compared with the uninterrupted run. */
  readonly comparedTokens: number;
  /** `embedded`, or `embedded:FILE`: the demo never kills a server of the user. */
  readonly engine: string;
  /** The message that follows the context. Default: where to begin with a project. */
  readonly question?: string | undefined;
  readonly onStep: (step: string) => void;
}

/** What the main job measured. Times are in milliseconds. */
export interface MainJobResult {
  readonly tokens: number;
  readonly blockTokens: number | null;
  /** Prefill of the same context on the same warm engine, without its KV: under another salt. */
  readonly prefillMs: number | null;
  readonly freezeMs: number;
  readonly kvBytes: number | null;
  /** The whole thaw, from the call to the receipt. */
  readonly thawMs: number;
  readonly cachedTokens: number | null;
  readonly floorTokens: number | null;
  /** Negative control: what the engine reused under another salt. */
  readonly controlCachedTokens: number | null;
  readonly verdict: Receipt['verdict'];
  readonly tier: Receipt['tier'];
  readonly identicalNextTokens: number;
  readonly comparedTokens: number;
  readonly speedup: number | null;
  readonly question: string;
  /** What the model said after the thaw; null for the generated model, whose text is noise. */
  readonly answer: string | null;
  /** What it says to the same question without the context. */
  readonly answerWithout: string | null;
}

const window = 'demo';
const usualQuestion = 'Where would you begin to read this project?';
/** Files are added whole, so the sum needs some slack to reach the wanted size. */
const slackTokens = 640;

/**
 * Carries out the promise of this product. Real files are computed, frozen, and used for an uninterrupted run. Backend and engine are
 * killed. The window is thawed in new processes, measured and continued. The control shows that another salt reuses nothing.
 *
 * @throws CwmError InvalidParameter when the files have too few tokens, and those of the operations.
 */
export async function runMainJob(
  client: BackendClient,
  options: MainJobOptions,
  signal: AbortSignal,
): Promise<MainJobResult> {
  const { onStep } = options;
  const call = client.call.bind(client);
  const files = { paths: [...options.paths], cwd: options.cwd, maxTokens: options.tokens + slackTokens };

  onStep('Starting the model server and computing the context');
  const project = await projectUriOfFolder(options.cwd);
  const { engine } = options;
  if (!isEmbedded(engine)) {
    throw new CwmError(
      'InvalidParameter',
      `The demo kills its model server, so it runs only on the embedded one, not on ${engine}.`,
    );
  }
  await call('createSession', { id: 'demo', title: 'Demo', project, engine }, { signal });
  const primed = await call('prime', { session: 'demo', ...files }, { signal });
  if (primed.promptTokens < options.tokens) {
    throw new CwmError(
      'InvalidParameter',
      `The files have only ${primed.promptTokens} tokens; ${options.tokens} are needed.`,
    );
  }

  onStep(`Freezing ${formatTokens(primed.promptTokens)}`);
  const frozen = await call('freeze', { session: 'demo', window, checkpoint: true }, { signal });
  onStep('Continuing without interruption, for comparison');
  const { question = usualQuestion } = options;
  const turn = { text: question, maxTokens: options.comparedTokens };
  const uninterrupted = await call('send', { session: 'demo', ...turn }, { signal });

  onStep('Killing backend and model server, and restarting them');
  await killProcesses(client, signal);
  await call('createSession', { id: 'warm-up', engine }, { signal });
  // The generated model takes its time for tokens that nobody can read.
  const warmUp = engine === 'embedded' ? { text: 'Hello', maxTokens: 1 } : turn;
  const without = await call('send', { session: 'warm-up', ...warmUp }, { signal });

  onStep('Thawing');
  const thawed = await call('thaw', { window }, { signal });
  const continued = await call('send', { session: thawed.session, ...turn }, { signal });

  onStep('Computing the same context under another salt, as the control');
  await call('createSession', { id: 'control', engine }, { signal });
  const control = await call('prime', { session: 'control', ...files }, { signal });
  for (const session of ['warm-up', 'control']) await call('deleteSession', { session }, { signal });

  const identical = uninterrupted.outputIds.filter((id, index) => id === continued.outputIds[index]).length;
  return {
    tokens: thawed.tokens,
    blockTokens: thawed.blockTokens,
    prefillMs: control.timeToFirstTokenMs,
    freezeMs: frozen.ms,
    kvBytes: frozen.kvBytes,
    thawMs: thawed.ms,
    cachedTokens: thawed.cachedTokens,
    floorTokens: thawed.floorTokens,
    controlCachedTokens: control.cachedTokens,
    verdict: thawed.verdict,
    tier: thawed.tier,
    identicalNextTokens: identical,
    comparedTokens: uninterrupted.outputIds.length,
    speedup: control.timeToFirstTokenMs === null ? null : control.timeToFirstTokenMs / thawed.ms,
    question,
    answer: engine === 'embedded' ? null : continued.text,
    answerWithout: engine === 'embedded' ? null : without.text,
  };
}

/** `kill -9` of the engine and then of the backend, so that neither can tidy up. */
async function killProcesses(client: BackendClient, signal: AbortSignal): Promise<void> {
  const health = await client.call('health', {}, { signal });
  const pids = [...health.engines.flatMap((engine) => engine.pid ?? []), health.pid];
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  while (pids.some((pid) => isRunning(pid, readFileSync))) await delay(10, undefined, { signal });
}

/** Whether the job showed what it promises. The speed-up is a figure, not a condition: machines differ. */
export const keptItsPromise = (result: MainJobResult): boolean =>
  result.verdict === 'proven' &&
  result.cachedTokens !== null &&
  result.floorTokens !== null &&
  result.cachedTokens >= result.floorTokens &&
  result.controlCachedTokens === 0 &&
  result.identicalNextTokens === result.comparedTokens;
