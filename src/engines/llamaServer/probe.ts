import type { Capabilities, Capability } from '../../protocol/schemas/capabilities.ts';
import type { Link } from '../http/link.ts';
import { canaryFound, capability, tokenizerFound } from '../probe/capability.ts';
import { probeHealth } from '../probe/health.ts';
import { judgeReuse } from '../probe/judgeReuse.ts';
import {
  askStepByStep,
  failureOrThrow,
  idsOfLength,
  neverSentText,
  probeSize,
  type ProbeSize,
  type TinyAnswer,
} from '../probe/tinyRequests.ts';
import { answerIds } from './text/tokenizing.ts';
import { checkSlot, probeRequest, readCanary, weigh } from './completion.ts';
import type { ServerIdentity } from './serverIdentity.ts';
import { saveSlot } from './slots/slotActions.ts';
import type { FolderTrial, SlotFolder } from './slots/slotFolder.ts';
import { completionSchema, type Completion } from './wire.ts';

export interface ProbeParts {
  readonly link: Link;
  readonly server: ServerIdentity;
  /** The slot that computes the tiny requests; its content is lost. */
  readonly slot: number;
  readonly folder: SlotFolder;
  readonly elapsedMs: () => number;
}

const noSalts =
  'llama-server has no cache salts: conversations that begin alike may share KV in its memory; isolation is not promised. Slot files are separate.';
const noRestart = 'KV lasts only as long as llama-server keeps it in memory.';

/**
 * Finds out what a llama-server can do besides storing slots, with three requests of a few tokens. Whether a restored slot is reused depends on the
 * model and is left to the first thaw: a file that is refused may damage the slot.
 *
 * @throws CwmError Cancelled; every other failure makes a capability `unknown`.
 */
export async function probeLlamaServer(
  parts: ProbeParts,
  signal: AbortSignal,
): Promise<{ readonly capabilities: Capabilities; readonly isComplete: boolean }> {
  const { link, server, elapsedMs } = parts;
  const startedMs = elapsedMs();
  const toldBlockTokens = server.description.blockTokens;
  const size = probeSize(toldBlockTokens, server.description.model.maxModelLen);
  const [ready, { tokenizer, tried, last }] = await Promise.all([
    probeHealth(link, signal),
    tryOut(parts, size, signal),
  ]);
  const remedies = { reuse: '', told: 'Update llama-server, or connect to it directly.', isolation: '' };
  const judged = judgeReuse({
    tried,
    size,
    toldBlockTokens,
    mayLoseLast: true,
    saltReader: 'llama-server',
    sharedBecause: noSalts,
    mayBeSharedBecause: null,
    remedies,
  });
  const why = tried.failure?.message ?? 'It was not asked.';
  const items = [
    ready,
    ...judged.items,
    last ? answerIdsFound(last) : capability('token-ids', 'unknown', why),
    last ? canaryFound(() => readCanary(last, link.label), canaryWords, signal) : capability('canary', 'unknown', why),
    tokenizer,
    insightFound(server),
  ];
  const { requests, promptTokens } = tried;
  return {
    capabilities: {
      items,
      blockTokens: judged.blockTokens,
      cost: { requests, promptTokens, ms: elapsedMs() - startedMs },
    },
    isComplete: tried.failure === null && ready.state !== 'no',
  };
}

async function tryOut({ link, slot, elapsedMs }: ProbeParts, size: ProbeSize, signal: AbortSignal) {
  const text = neverSentText(size.promptTokens);
  const { tokenizer, ids: given } = await tokenizerFound(() => answerIds(link, text, signal, true), signal);
  const ids = idsOfLength(size.promptTokens, given);
  let last: Completion | null = null;
  const ask = async (isFresh: boolean, promptTokens: number): Promise<TinyAnswer> => {
    const use = { slot, reuse: !isFresh };
    const startedMs = elapsedMs();
    const request = probeRequest(ids.slice(0, promptTokens), use);
    const { value, triedBefore } = await link.json(request, completionSchema, signal);
    checkSlot(value.id_slot, use, link.label);
    last = value;
    const { cachedTokens } = weigh({
      sentTokens: promptTokens,
      timings: value.timings,
      triedBefore,
      timeToFirstTokenMs: elapsedMs() - startedMs,
      isFromFile: false,
    });
    return { sentTokens: promptTokens, told: cachedTokens, cached: cachedTokens };
  };
  const steps = ['fresh', 'repeated', 'shorter'] as const;
  const tried = await askStepByStep(steps, size, (step, tokens) => ask(step === 'fresh', tokens), signal);
  return { tokenizer, tried, last: last as Completion | null };
}

const answerIdsFound = ({ tokens }: Completion): Capability =>
  tokens && tokens.length > 0
    ? capability('token-ids', 'yes', 'Answers carry their ids; those of a prompt are made from its template.')
    : capability(
        'token-ids',
        'no',
        'Ids have to be worked out from the text, which may give others.',
        'Update llama-server.',
      );

const canaryWords = {
  yes: 'A changed content shows in them, though not every flipped bit.',
  no: 'Other content in a slot file is noticed only where the file can be checked.',
  remedy: '',
};

const insightFound = ({ showsSlots }: ServerIdentity): Capability =>
  showsSlots
    ? capability('insight', 'yes', '/slots shows which slots are in use, so that those of others are left alone.')
    : capability('insight', 'no', 'Whether others use its slots is not seen.', 'Start llama-server with --slots.');

/**
 * Finds out whether it stores slots, and whether the files are in sight. It computes nothing for that, and no slot changes.
 *
 * @throws CwmError Cancelled; every other failure makes a capability `unknown`.
 */
export async function findStorage(
  parts: Omit<ProbeParts, 'elapsedMs'>,
  signal: AbortSignal,
): Promise<{ readonly items: readonly Capability[]; readonly isComplete: boolean }> {
  const trial = await tryFolder(parts, signal);
  const items = [persistenceFound(parts.server, trial), await filesFound(parts, trial)];
  return { items, isComplete: trial === null || trial.kind === 'here' };
}

/**
 * Has the server save a slot, and looks for the file. Null where there is nowhere to look: such a file would stay.
 *
 * @throws CwmError Cancelled.
 */
async function tryFolder(
  { link, server, slot, folder }: Omit<ProbeParts, 'elapsedMs'>,
  signal: AbortSignal,
): Promise<FolderTrial | { readonly kind: 'no-answer'; readonly why: string } | null> {
  if (!server.savesSlots || !(await folder.canBeTried())) return null;
  try {
    return await folder.confirm((name) => saveSlot(link, slot, name, signal));
  } catch (error) {
    return { kind: 'no-answer', why: failureOrThrow(error, signal).message };
  }
}

type Trial = Awaited<ReturnType<typeof tryFolder>>;

/** Where a projector is the reason, the reason says what to do. */
const saveRemedy = (why: string): string =>
  why.includes('--mmproj')
    ? ''
    : 'Check that the folder of its --slot-save-path is there, that llama-server may write to it, and that its disk has room.';

function persistenceFound({ savesSlots }: ServerIdentity, trial: Trial): Capability {
  if (!savesSlots) return capability('persistence', 'no', noRestart, 'Start llama-server with --slot-save-path DIR.');
  if (trial?.kind === 'not-saved')
    return capability('persistence', 'no', `${trial.why} ${noRestart}`, saveRemedy(trial.why));
  if (trial?.kind === 'no-answer') return capability('persistence', 'unknown', trial.why);
  const found = 'Slots are saved as files; whether this model reuses one, the first freeze shows.';
  return capability('persistence', 'yes', found);
}

async function filesFound(
  { folder, server }: Pick<ProbeParts, 'folder' | 'server'>,
  trial: Trial,
): Promise<Capability> {
  if (trial?.kind === 'no-answer') return capability('block-files', 'unknown', trial.why);
  if (trial?.kind === 'not-saved') return capability('block-files', 'no', trial.why, saveRemedy(trial.why));
  if (trial?.kind === 'elsewhere')
    return capability(
      'block-files',
      'no',
      trial.why,
      "Look for that file: its folder is the one that belongs behind #slots= in the engine's URL. Then delete the file.",
    );
  const why = server.savesSlots ? await folder.whyUnreachable() : noRestart;
  if (why === null) {
    const where = folder.foundIn === null ? '' : ` Their folder was found in ${folder.foundIn}.`;
    return capability('block-files', 'yes', `Slot files are checked before they are restored.${where}`);
  }
  const remedy = "If its --slot-save-path is on this machine, add #slots=DIR to the engine's URL.";
  return capability('block-files', 'no', why, server.savesSlots ? remedy : '');
}
