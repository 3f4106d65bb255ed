import type { RouteInput } from '../../protocol/api.ts';
import type { PrimeResult } from '../../protocol/schemas/turn.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { ContextFile, Session } from '../../protocol/schemas/session.ts';
import type { ReadFiles } from '../ports/contextFiles.ts';
import type { Reporter } from '../ports/reporter.ts';
import type { CoreContext } from '../context.ts';
import type { Engine } from '../ports/engine.ts';
import { renderFile } from '../prompt/prompt.ts';
import { cutNotes } from '../prompt/cutPrompt.ts';
import { generate } from './generate.ts';
import { endTurn } from './endTurn.ts';
import { endFailedTurn, newMessage, type Turn } from './turn.ts';
import { beginTurn, withTurn } from './turns.ts';

/** Tokens that files leave free for the conversation after them. */
const reservedTokens = 1024;
/** Share of the model's context that files may take where virtual memory makes room for them. */
const shareWithMemory = 0.25;

/**
 * Adds files to a session's context, as they are now, and has the engine compute them, so that the first message finds them warm. The
 * result names the files that do not fit. After a failure the session is as before.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter (no files), SessionNotFound, PathNotFound (a path is not there), InvalidTransition, AlreadyFrozen, ModelMismatch, ContextTooLong, and the engine's.
 */
export async function prime(
  core: CoreContext,
  input: RouteInput<'prime'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<PrimeResult> {
  requirePaths(input);
  const given = { session: parseSessionId(input.session), engine: input.engine, maxTokens: input.maxTokens };
  const read = (signal: AbortSignal): Promise<ReadFiles> => readPaths(core, input, signal);
  return addFiles(core, { ...given, read }, signal, { progress });
}

/** @throws CwmError as {@link prime}, before anything is done. */
export async function checkPrime(
  core: CoreContext,
  { engine }: Session,
  input: RouteInput<'prime'>,
  signal: AbortSignal,
): Promise<void> {
  requirePaths(input);
  core.engines.get(input.engine ?? engine);
  requireFiles(await readPaths(core, input, signal));
}

function requirePaths({ paths }: RouteInput<'prime'>): void {
  if (paths.length === 0) throw new CwmError('InvalidParameter', 'No file or folder was given.');
}

const readPaths = (core: CoreContext, input: RouteInput<'prime'>, signal: AbortSignal): Promise<ReadFiles> =>
  core.files.read(input.paths, input.cwd ?? '/', input.exclude ?? [], signal);

function requireFiles({ files, skipped }: ReadFiles): void {
  if (files.length > 0) return;
  throw new CwmError('InvalidParameter', `There is no text file among the given paths${whyNone(skipped)}.`, {
    hint: 'Name text files, in UTF-8 or with the mark of another Unicode encoding.',
    context: { skipped },
  });
}

interface FilesToAdd {
  readonly session: SessionId;
  readonly engine: string | undefined;
  /** Of the files together. Default: what the model's context leaves. */
  readonly maxTokens: number | undefined;
  /** In the order of the prompt. */
  readonly read: (signal: AbortSignal) => Promise<ReadFiles>;
}

/** Adds files that somebody reads to a session's context, as {@link prime} does. */
export async function addFiles(
  core: CoreContext,
  input: FilesToAdd,
  signal: AbortSignal,
  { progress }: Pick<Reporter, 'progress'>,
): Promise<PrimeResult> {
  const started = core.clock.elapsedMs();
  const id = input.session;
  return withTurn(core, id, signal, async (session, signal) => {
    progress('Reading files');
    const read = await input.read(signal);
    requireFiles(read);
    const turn = await beginTurn(core, session, input.engine ?? session.engine, null, signal);
    progress('Counting tokens');
    const fitting = await takeWhatFits(turn, read.files, input.maxTokens, signal).catch(async (error: unknown) => {
      await endFailedTurn(core, turn, error);
      throw error;
    });
    const message = newMessage(core, turn.messages, 'user', { type: 'context', files: fitting.files });
    progress('Computing the context');
    const { generation } = await generate(
      core,
      turn,
      [message],
      { maxTokens: 1, temperature: 0, addGenerationPrompt: false },
      signal,
    );
    await endTurn(core, turn, { added: [message], generation }, signal);
    return {
      session: id,
      files: fitting.files.map((file) => ({ path: file.path, bytes: new TextEncoder().encode(file.text).length })),
      skipped: [
        ...read.skipped,
        ...fitting.left.map(({ path }) => ({ path, why: 'It does not fit into the rest of the context.' })),
      ],
      promptTokens: generation.promptIds.length || generation.reuse.promptTokens,
      cachedTokens: generation.reuse.cachedTokens,
      timeToFirstTokenMs: generation.reuse.timeToFirstTokenMs,
      ms: core.clock.elapsedMs() - started,
      notes: [...(fitting.isEstimate ? [estimateNote] : []), ...cutNotes(generation.cut), ...(generation.notes ?? [])],
    };
  });
}

const mostNamed = 3;

function whyNone(skipped: readonly { readonly path: string; readonly why: string }[]): string {
  const named = skipped.slice(0, mostNamed).map(({ path, why }) => `${path} (${why})`);
  const more = skipped.length - named.length;
  return named.length === 0 ? '' : `: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const estimateNote = 'The server does not count tokens, so the tokens of the files were estimated from their length.';

interface Fitting {
  readonly files: ContextFile[];
  readonly left: ContextFile[];
  /** The server does not count tokens. */
  readonly isEstimate: boolean;
}

/** Takes files in order while they fit. Behind a file that is too large, smaller ones may still fit. */
async function takeWhatFits(
  { session, engine, description }: Turn,
  candidates: readonly ContextFile[],
  maxTokens: number | undefined,
  signal: AbortSignal,
): Promise<Fitting> {
  const length = description.model.maxModelLen ?? Infinity;
  // With virtual memory, older messages make room.
  const room = session.settings?.memory?.enableVm
    ? Math.floor(length * shareWithMemory)
    : length - (session.tokens?.count ?? 0) - reservedTokens;
  let budget = Math.min(room, maxTokens ?? Infinity);
  const files: ContextFile[] = [];
  const left: ContextFile[] = [];
  let isEstimate = false;
  for (const file of candidates) {
    const counted: number | null =
      budget === Infinity || isEstimate ? null : await countTokens(engine, file, budget, signal);
    isEstimate ||= counted === null && budget !== Infinity;
    const tokens = isEstimate ? estimateTokens(file) : (counted ?? 0);
    if (tokens > budget) left.push(file);
    else {
      budget -= tokens;
      files.push(file);
    }
  }
  if (files.length > 0) return { files, left, isEstimate };
  throw new CwmError(
    'ContextTooLong',
    `None of the ${candidates.length} files fits into the ${Math.max(0, budget)} tokens that are left.`,
  );
}

/** A token has at most a few dozen characters, so a file far beyond the budget is refused without being tokenized. */
const mostCharactersPerToken = 32;

/** Null when the server has no usable tokenizer: without one, the cost of the files is unknown, which is no reason to refuse them. */
async function countTokens(
  engine: Engine,
  file: ContextFile,
  budget: number,
  signal: AbortSignal,
): Promise<number | null> {
  if (file.text.length > Math.max(1, budget) * mostCharactersPerToken) return Infinity;
  try {
    return (await engine.tokenize([{ role: 'user', content: renderFile(file) }], false, signal)).length;
  } catch (error) {
    if (signal.aborted || !isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
}

/** Text of most languages has more, so that the estimate is too high rather than too low. */
const bytesPerToken = 3;

const estimateTokens = (file: ContextFile): number =>
  Math.ceil(new TextEncoder().encode(renderFile(file)).length / bytesPerToken);
