import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError, nullOn } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, parseTags, type ProjectUri } from '../../protocol/ids.ts';
import type { ProjectConfig } from '../../protocol/schemas/projectConfig.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import type { CoreContext } from '../context.ts';
import type { BranchSwitch } from '../ports/projects.ts';
import { enter } from '../projects/clients.ts';
import { noteProject } from '../projects/knownProjects.ts';
import { resolveProject } from '../projects/resolveProject.ts';
import { dropCheckpoint } from '../windows/checkpoints/rollingCheckpoint.ts';
import type { CheckpointPolicy } from '../windows/checkpoints/checkpointPolicy.ts';
import { notBegun } from '../windows/checkpoints/warmings.ts';
import { requireSession } from '../session.ts';

const notRecorded = 'Nothing of this folder is saved or brought back without being asked.';

const sessionNotRecorded = 'Nothing of this session is saved or brought back without being asked.';

const notSwitched = "The project's .cwm/config.json switches auto_switch off.";

/** In characters. */
const longestBranch = 1024;

const oneForAll =
  "The project's .cwm/config.json has one current session for all git branches (branches: shared), so the branch changes nothing here.";

const wouldSave = "The project's .cwm/config.json has dry_run, so no checkpoint was made.";

/** What opening the folder would do, where its configuration has `dry_run`. */
const wouldDo = (session: Session | null): string =>
  "The project's .cwm/config.json has dry_run, so nothing was changed. " +
  (session
    ? `The KV of ${JSON.stringify(session.title)} would be brought back.`
    : 'There is no session to bring back.');

/**
 * Opens a folder: brings its current session's KV back in the background where that is worth it, and before that saves what the client leaves.
 * It answers at once; {@link openedProject} says what came of it. A frozen session continues, as itself. The caller works in the folder from then on.
 *
 * @throws CwmError InvalidParameter (no project's URI, or its `.cwm/config.json` is bad), OperationTimeout, and those of the store.
 */
export async function openProject(
  core: CoreContext,
  input: RouteInput<'openProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'openProject'>> {
  const folder = parseProjectUri(input.project);
  const resolved = await resolveProject(core, folder, false, signal);
  const { project, config, resolution } = resolved;
  enter(core, folder, resolved);
  // A switch, or a client that knows nothing of trust, must not undo what the user's editor said.
  if (input.record !== undefined) core.recording.record(project, input.record);
  if (!config?.dry_run) await noteProject(core, resolved, signal);
  const branch = config?.dry_run ? null : await switchBranch(core, project, config, input);
  const session = await sessionOf(core, project);
  const isBranchUnused = input.eachBranch && input.gitBranch && config?.branches === 'shared';
  const opened = { project, resolution, session, ...(isBranchUnused && { note: oneForAll }) };
  if (config?.dry_run) return { ...opened, warming: notBegun(wouldDo(session)) };
  const isLeft = branch !== null && branch.left !== branch.current;
  if (isLeft && branch.left !== null) await core.warmings.leave(branch.left);
  const leaving =
    input.leaving !== undefined ? await resolveLeft(core, input.leaving, signal) : isLeft ? project : null;
  if (leaving !== null && leaving !== project) await leaveWarming(core, leaving);
  if (!session) {
    if (leaving !== null) core.checkpoints.left.leaveSoon(leaving);
    return { ...opened, warming: null };
  }
  const why = !(await core.recording.isRecorded(project))
    ? notRecorded
    : session.recorded === false
      ? sessionNotRecorded
      : config && !config.auto_switch
        ? notSwitched
        : null;
  if (why !== null && !input.insist) {
    if (leaving !== null) core.checkpoints.left.leaveSoon(leaving);
    const isOffered = why === notSwitched && (await hasSavedKv(core, session));
    return { ...opened, warming: isOffered ? { ...notBegun(why), state: 'ask' } : notBegun(why) };
  }
  const warming = await core.warmings.open(session, { project, leaving, insist: input.insist ?? false });
  return { ...opened, warming };
}

/** Where a session is remembered for each git branch: makes that of the folder's branch the current one. */
async function switchBranch(
  core: CoreContext,
  project: ProjectUri,
  config: ProjectConfig | null,
  { gitBranch, eachBranch }: RouteInput<'openProject'>,
): Promise<BranchSwitch | null> {
  const policy = config?.branches ?? (eachBranch ? 'separate' : 'shared');
  if (policy === 'shared' || gitBranch === undefined || gitBranch === '') return null;
  return core.store.projects.switchBranch(project, gitBranch.slice(0, longestBranch));
}

/** Whether there is KV to bring back that the model server has not in memory. */
const hasSavedKv = async ({ store, checkpoints }: CoreContext, { id, lifecycle }: Session): Promise<boolean> =>
  lifecycle === 'frozen' || (!checkpoints.isUnsaved(id) && (await store.checkpoints.get(id)) !== null);

/** A folder that is left is left, however bad its configuration has become, and also where it has moved or does not answer any more. */
async function resolveLeft(core: CoreContext, given: string, signal: AbortSignal): Promise<ProjectUri> {
  const folder = parseProjectUri(given);
  const place = core.clients.peek(core.caller().client);
  if (place?.workingDirectory === folder && place.resolution.project !== null)
    return parseProjectUri(place.resolution.project);
  const orNull = (error: unknown): null => {
    if (isCwmError(error, 'InvalidParameter', 'OperationTimeout')) return null;
    throw error;
  };
  const found = await core.folders.config(folder, signal).catch(orNull);
  return found?.root ?? (await core.folders.canonical(folder, signal).catch(orNull)) ?? folder;
}

/**
 * Whether anything of a project is saved without being asked for, for good. Where it is not, the checkpoints that its sessions have are deleted.
 *
 * @throws CwmError InvalidParameter, and those of the store.
 */
export async function recordProject(
  core: CoreContext,
  input: RouteInput<'recordProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'recordProject'>> {
  const project = parseProjectUri(input.project);
  await core.store.projects.setRecorded(project, input.recorded);
  let dropped = 0;
  for (let offset = 0; !input.recorded;) {
    const { items, total } = await core.store.sessions.list({ project, limit: 100, offset });
    offset += items.length;
    for (const { id } of items) if (await dropCheckpoint(core, id, signal)) dropped++;
    if (items.length === 0 || offset >= total) break;
  }
  return { project, recorded: input.recorded, dropped };
}

/** What came of the last opening. */
export async function openedProject(
  core: CoreContext,
  input: RouteInput<'openedProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'openedProject'>> {
  const project = await resolveLeft(core, input.project, signal);
  const session = await sessionOf(core, project);
  return { project, session, warming: session && core.warmings.of(session.id) };
}

/** A client leaves a folder: saves its current session's KV if the session has gone on, and waits for that, half a minute at most. */
export async function closeProject(
  core: CoreContext,
  input: RouteInput<'closeProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'closeProject'>> {
  const folder = parseProjectUri(input.project);
  const project = await resolveLeft(core, folder, signal);
  const session = await sessionOf(core, project);
  if ((await core.folders.config(folder, signal).catch(() => null))?.config.dry_run)
    return { project, session: session && session.id, receipt: null, why: wouldSave };
  if (!session) return { project, session: null, receipt: null, why: 'The folder has no current session.' };
  await core.warmings.leave(session.id);
  const { receipt, why } = await core.checkpoints.left.keepWithinTime(session.id);
  return { project, session: session.id, receipt, why };
}

/** The policy, after the changes that are given; they last until the backend ends (S0-16). @throws CwmError InvalidParameter. */
export async function autoFreezeConfig(
  core: CoreContext,
  change: RouteInput<'autoFreezeConfig'>,
): Promise<RouteOutput<'autoFreezeConfig'>> {
  const { enabled, tokenThreshold, tokenCountThreshold, cooldownSeconds, idleMinutes, namePattern, tags } = change;
  if (tokenThreshold !== undefined && !(tokenThreshold > 0 && tokenThreshold <= 1))
    throw new CwmError('InvalidParameter', '"tokenThreshold" must be a number above 0 and up to 1.');
  for (const [name, value] of Object.entries({ tokenCountThreshold, cooldownSeconds, idleMinutes })) {
    // A timer takes no more than 24 days.
    const most = name === 'idleMinutes' ? 35_000 : 999_999;
    if (value !== undefined && !(value >= 0 && value <= most))
      throw new CwmError('InvalidParameter', `"${name}" must be a number from 0 to ${most}.`);
  }
  const { form, means } = backendSettings.checkpointName;
  if (namePattern !== undefined && !form.test(namePattern))
    throw new CwmError('InvalidParameter', `"namePattern" must be ${means}, 128 characters at most.`);
  const policy = core.checkpoints.configure({
    ...(enabled !== undefined && { enabled }),
    ...(tokenThreshold !== undefined && { tokenThreshold }),
    ...(tokenCountThreshold !== undefined && { tokenCountThreshold }),
    ...(cooldownSeconds !== undefined && { cooldownMs: cooldownSeconds * 1000 }),
    ...(idleMinutes !== undefined && { idleMs: idleMinutes * 60_000 }),
    ...(namePattern !== undefined && { namePattern }),
    ...(tags && { tags: parseTags(tags) }),
  });
  return shownPolicy(policy);
}

/** The policy as it is (S0-16). */
export const autoFreezePolicy = async (core: CoreContext): Promise<RouteOutput<'autoFreezePolicy'>> =>
  shownPolicy(core.checkpoints.policy);

const shownPolicy = (policy: CheckpointPolicy): RouteOutput<'autoFreezePolicy'> => ({
  enabled: policy.enabled,
  tokenThreshold: policy.tokenThreshold,
  tokenCountThreshold: policy.tokenCountThreshold,
  cooldownSeconds: policy.cooldownMs / 1000,
  idleMinutes: policy.idleMs / 60_000,
  namePattern: policy.namePattern,
  tags: [...policy.tags],
});

/** Whether the size of a session triggers a checkpoint now, and why (S0-16). @throws CwmError InvalidSessionId, SessionNotFound. */
export async function autoFreezeCheck(
  core: CoreContext,
  input: RouteInput<'autoFreezeCheck'>,
): Promise<RouteOutput<'autoFreezeCheck'>> {
  const session = await requireSession(core, parseSessionId(input.session));
  const tokens = session.tokens?.count ?? 0;
  const limitTokens = session.model?.maxModelLen ?? null;
  const checkpoint = await nullOn(core.store.checkpoints.get(session.id), 'Corrupted');
  return {
    session: session.id,
    ...(await core.checkpoints.check(session)),
    tokens,
    limitTokens,
    thresholdPercent: limitTokens === null ? null : Math.round((1000 * tokens) / limitTokens) / 10,
    last: checkpoint && checkpoint.receipt,
    ...(checkpoint && { lastTags: checkpoint.manifest.tags }),
  };
}

async function sessionOf(core: CoreContext, project: ProjectUri): Promise<Session | null> {
  const id = await core.store.projects.currentSession(project);
  return id && (await core.store.sessions.get(id));
}

async function leaveWarming(core: CoreContext, project: ProjectUri): Promise<void> {
  const id = await core.store.projects.currentSession(project);
  if (id !== null) await core.warmings.leave(id);
}
