import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RouteInput, RouteName, RouteOutput } from '../protocol/api.ts';
import { CwmError, toCwmError } from '../protocol/errors.ts';
import { memorySuffix, memoryTokens } from '../protocol/memory/memoryModel.ts';
import { applied, undone, writeWithToken } from './changeWithToken.ts';
import { clientConfigs, type ClientConfig, type ClientSetup, type ConfigChange } from './clientConfigs.ts';
import { beforeChange, putBack, readConfigFile, rewriteFile } from './configFile.ts';

/** What setting a client up needs of the program that does it. */
export interface ConnectDesk {
  call<Name extends RouteName>(route: Name, input: RouteInput<Name>): Promise<RouteOutput<Name>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder of VS Code's user files; default: where the desktop has it. Null: not on this machine. */
  readonly codeUser?: string | null;
}

interface ConnectWish {
  /** One of {@link clientConfigs}. */
  readonly kind: string;
  /** Of its conversations. Default: the folder that its prompts name. */
  readonly project?: string | undefined;
  /** That it asks for. Default: the first one of the model server. */
  readonly model?: string | undefined;
  /** Must be the one of new sessions, which is the default: the gateway passes to no other. */
  readonly engine?: string | undefined;
}

/** A change to a client's configuration that nobody has made yet. */
export interface ConnectPlan {
  readonly label: string;
  /** Null: nothing is written. */
  readonly change: { readonly file: string; readonly before: string | null; readonly after: string } | null;
  readonly url: string;
  readonly model: string;
  /** What the client got before it. */
  readonly before: Outcomes;
  /** The client has a token, which the new one replaces. */
  readonly replacesToken: boolean;
  /** Makes the change, with a token of its own. @returns how to use the client then. */
  make(): Promise<string>;
}

const shownToken = 'TOKEN';

/**
 * Opens the gateway where it is not open yet, and says what would change.
 *
 * @throws CwmError InvalidParameter for a client that is not known and where there is no model, InvalidConfig for a file that cannot be
 *   changed safely and a port that cannot be had.
 */
export async function planConnection(desk: ConnectDesk, wish: ConnectWish): Promise<ConnectPlan> {
  const { kind, project, engine } = wish;
  const config = configOf(kind);
  if (engine !== undefined) await requireServed(desk, engine);
  const { items } = await desk.call('gatewayClients', {});
  const { url } = await desk.call('openGateway', {});
  const on = engine === undefined ? {} : { engine };
  const listed = await desk.call('listModels', on).catch((error: unknown) => {
    if (wish.model !== undefined) return null;
    throw withReason(error, kind);
  });
  const model = wish.model ?? listed?.models[0]?.id;
  if (model === undefined) throw new CwmError('InvalidParameter', 'The model server lists no model. Name one.');
  const base = project === undefined ? url : `${url}/p/${encodeURIComponent(project)}`;
  const about = listed ? await modelOf(desk, listed, model) : {};
  const setupWith = (token: string): ClientSetup => ({ ...places(desk), base, model, token, ...about });
  const shown = config.change(setupWith(shownToken));
  const newToken = async (): Promise<string> => (await desk.call('putGatewayClient', { name: kind })).token ?? '';
  return {
    label: config.label,
    change: shown && (await preview(shown)),
    url: `${base}/v1`,
    model,
    before: outcomesOf(items, kind),
    replacesToken: items.some(({ name, createdAt }) => name === kind && createdAt !== null),
    make: async () => {
      const change = (token: string): ConfigChange | null => config.change(setupWith(token));
      const token = shown ? await writeWithToken(shown, newToken, change) : await newToken();
      return config.hint(setupWith(token));
    },
  };
}

/** A client that asks the gateway for another server's model would get "not found" for each request. @throws CwmError InvalidParameter */
async function requireServed(desk: ConnectDesk, engine: string): Promise<void> {
  const { defaultEngine } = await desk.call('health', {});
  if (engine === defaultEngine) return;
  throw new CwmError('InvalidParameter', `The gateway passes to ${defaultEngine}, the model server of new sessions.`, {
    hint: `Run "cwm use ${engine}" first.`,
  });
}

/** Why the server is asked, where it does not answer. */
const withReason = (thrown: unknown, kind: string): CwmError => {
  const error = toCwmError(thrown);
  const hint = `The client must name a model, and the server says which it has. ${error.hint} Or name one: "cwm connect ${kind} --served MODEL".`;
  return new CwmError(error.name, error.message, { hint, cause: error });
};

/** Without what the model server does not say, or does not answer. */
async function modelOf(
  desk: ConnectDesk,
  { engine, models, used }: RouteOutput<'listModels'>,
  model: string,
): Promise<Pick<ClientSetup, 'contextTokens' | 'takesPictures'>> {
  // A conversation with memory may be longer than the model's context: the client must shorten nothing.
  if (model.endsWith(memorySuffix)) return { contextTokens: memoryTokens };
  const { engines } = await desk.call('health', { probe: true });
  const status = engines.find(({ spec }) => spec === engine);
  // A server may have several models, and tells this of the one that is used.
  if (models.length > 1 && model !== used) return {};
  return { contextTokens: status?.maxModelLen ?? undefined, takesPictures: status?.takesPictures };
}

async function preview(shown: ConfigChange): Promise<NonNullable<ConnectPlan['change']>> {
  const { bytes, text } = await readConfigFile(shown.file);
  const before = bytes && text;
  return { file: shown.file, before, after: applied(shown, before) };
}

/**
 * `isUnknown`: nothing says what the file was before, so it stays as it is. `isInUse`: it names the gateway all the same, so its token stays
 * too, without which the client would only fail.
 */
export interface UndoneConnection {
  readonly label: string;
  readonly file: string | null;
  readonly isUnknown: boolean;
  readonly isInUse: boolean;
}

/** Takes the change of a client's configuration back, and revokes its token unless the file still needs it. @throws CwmError as {@link planConnection}. */
export async function undoConnection(desk: ConnectDesk, kind: string): Promise<UndoneConnection> {
  const config = configOf(kind);
  const change = config.change({ ...places(desk), base: '', model: '', token: '' });
  const file = change && (await readConfigFile(change.file));
  let isUnknown = false;
  // What was there before, byte for byte; where somebody changed the file since, only the gateway's values go back.
  if (change && file?.bytes && !(await putBack(file))) {
    const before = await beforeChange(file);
    const rest = undone(change, file.text, before);
    isUnknown = before === undefined && rest === file.text;
    if (!isUnknown) await rewriteFile(file, rest);
  }
  const { items, url } = await desk.call('gatewayClients', {});
  const isInUse = isUnknown && url !== null && (file?.text.includes(url) ?? false);
  if (!isInUse && items.some(({ name, createdAt }) => name === kind && createdAt !== null)) {
    await desk.call('deleteGatewayClient', { name: kind });
  }
  return { label: config.label, file: change?.file ?? null, isUnknown, isInUse };
}

const pollMs = 1000;

/** What became of a client's requests since the backend started. */
interface Outcomes {
  readonly answers: number;
  readonly failures: number;
  /** The last one, in the words of who refused the request. */
  readonly lastFailure: string;
}

function outcomesOf(items: RouteOutput<'gatewayClients'>['items'], kind: string): Outcomes {
  const item = items.find(({ name }) => name === kind);
  // An earlier backend counts requests only.
  const { answers = item?.requests ?? 0, failures = 0, lastFailure } = item ?? {};
  return { answers, failures, lastFailure: lastFailure ?? '' };
}

/**
 * Waits for a request of a client that gets an answer.
 *
 * @param before what it had got before.
 * @param onRefused gets the words of each refusal on the way; waiting goes on.
 * @returns false where no answer came in time, or `signal` was aborted.
 */
export async function firstAnswer(
  desk: Pick<ConnectDesk, 'call'>,
  kind: string,
  before: Outcomes,
  { signal, mostMs, onRefused }: FirstAnswerOptions,
): Promise<boolean> {
  let { failures } = before;
  for (const deadlineMs = performance.now() + mostMs; performance.now() < deadlineMs && !signal.aborted;) {
    const now = outcomesOf((await desk.call('gatewayClients', {})).items, kind);
    if (now.answers > before.answers) return true;
    if (now.failures > failures) onRefused(now.lastFailure);
    ({ failures } = now);
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

interface FirstAnswerOptions {
  readonly signal: AbortSignal;
  readonly mostMs: number;
  readonly onRefused: (why: string) => void;
}

function configOf(kind: string): ClientConfig {
  const config = Object.hasOwn(clientConfigs, kind) ? clientConfigs[kind] : undefined;
  if (config) return config;
  const names = Object.keys(clientConfigs).join(', ');
  throw new CwmError('InvalidParameter', `"${kind}" is no client that is known. There are: ${names}.`);
}

function places({ env, codeUser }: ConnectDesk): Pick<ClientSetup, 'home' | 'codeUser'> {
  const home = env['HOME'] || env['USERPROFILE'] || homedir();
  if (codeUser !== undefined) return { home, codeUser };
  const desktop = {
    linux: path.join(env['XDG_CONFIG_HOME'] || path.join(home, '.config'), 'Code', 'User'),
    darwin: path.join(home, 'Library', 'Application Support', 'Code', 'User'),
    win32: env['APPDATA'] ? path.join(env['APPDATA'], 'Code', 'User') : null,
  } as Readonly<Record<string, string | null>>;
  return { home, codeUser: desktop[process.platform] ?? null };
}
