import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { CwmError } from '../protocol/errors.ts';
import { removeFile, replaceFile } from './configFile.ts';
import { loginPlatforms, type LoginPlaces, type LoginPlatform, type LoginStart } from './loginPlatforms.ts';

/** The system whose logins start something. */
export interface LoginSystem extends LoginPlaces {
  /** Node's name of it. */
  readonly platform: string;
  /** Whether systemd runs here; it is asked on Linux only. */
  readonly hasSystemd: boolean;
  /** @throws Error when the command fails. */
  run(command: readonly string[]): Promise<void>;
}

/** `text` null: nothing starts at login. */
export interface AtLogin {
  readonly what: string;
  readonly file: string;
  readonly text: string | null;
}

const runMs = 20_000;

/** @param home the user's own. */
export const thisSystem = (home: string, env: LoginPlaces['env']): LoginSystem => ({
  home,
  env,
  platform: process.platform,
  hasSystemd: existsSync('/run/systemd/system'),
  run: async ([command = '', ...args]) => {
    await promisify(execFile)(command, args, { timeout: runMs, windowsHide: true });
  },
});

/** @throws CwmError InvalidConfig for a system that starts nothing at login, as far as is known. */
export async function atLogin(system: LoginSystem): Promise<AtLogin> {
  const platform = platformOf(system);
  const file = platform.file(system);
  return { what: platform.what, file, text: await readText(platform, file) };
}

/**
 * Has the next login start a backend. There is one for each user: it takes the place of an earlier one.
 *
 * @throws CwmError as {@link atLogin}, WriteFailed.
 */
export async function startAtLogin(system: LoginSystem, start: LoginStart): Promise<AtLogin> {
  const platform = platformOf(system);
  if (system.platform === 'linux' && !system.hasSystemd) {
    throw new CwmError('InvalidConfig', 'This system does not run systemd, which would start the backend at login.', {
      hint: 'Add "cwm serve" to what starts your programs.',
    });
  }
  return await write(system, platform, platform.text(start, system));
}

async function write(system: LoginSystem, platform: LoginPlatform, text: string): Promise<AtLogin> {
  const { what, link, on, needsCommand } = platform;
  const file = platform.file(system);
  await replaceFile(file, Buffer.from(bytesText(platform, text), platform.encoding), 0o600);
  if (link) await replaceLink(link(system));
  if (on) await tell(system, on(file), needsCommand);
  return { what, file, text };
}

/**
 * Brings what a login starts up to date: each version of the extension has a folder of its own, on a remote machine the editor's Node moves
 * too, and settings change. What the extension wrote is written again as a whole. What `cwm serve --at-login on` wrote keeps its options,
 * and only gets another program where its own is gone.
 *
 * @param start of the extension. Its environment tells what the extension wrote.
 * @param storage of the program that asks; a login that starts a backend of another one stays as it is.
 * @returns whether it was changed. @throws CwmError as {@link startAtLogin}.
 */
export async function renewAtLogin(system: LoginSystem, start: LoginStart, storage: string): Promise<boolean> {
  const platform = platformOf(system);
  const { text } = await atLogin(system);
  if (text === null || !text.includes(platform.word(storage))) return false;
  const isOfExtension = Object.keys(start.env).every((name) => text.includes(name));
  const wanted = isOfExtension ? platform.text(start, system) : withEntryOf(start, text, platform);
  if (wanted === text) return false;
  await write(system, platform, wanted);
  return true;
}

/** A path with a sign that the file spells otherwise is left alone, since it cannot be looked up as it stands there. */
function withEntryOf({ args }: LoginStart, text: string, { word }: LoginPlatform): string {
  const [entry] = /[^"<>;]+backend\.js/.exec(text) ?? [];
  const now = args.find((arg) => arg.endsWith('backend.js'));
  if (entry === undefined || now === undefined || /[%$&]/.test(entry) || existsSync(entry)) return text;
  return text.replace(word(entry), () => word(now));
}

/** Removes all that {@link startAtLogin} made. What runs now runs on. @returns what was there. @throws CwmError as {@link startAtLogin}. */
export async function dontStartAtLogin(system: LoginSystem): Promise<AtLogin> {
  const before = await atLogin(system);
  const { link, off, needsCommand } = platformOf(system);
  if (before.text === null) return before;
  // What the system refuses to forget has its file still, so that it can be tried again.
  if (off && needsCommand) await tell(system, off, true);
  if (link) await rm(link(system).path, { force: true });
  await removeFile(before.file);
  if (off && !needsCommand) await tell(system, off, false);
  return before;
}

function platformOf({ platform }: LoginSystem): LoginPlatform {
  const found = Object.hasOwn(loginPlatforms, platform) ? loginPlatforms[platform] : undefined;
  if (found) return found;
  throw new CwmError('InvalidConfig', `How ${platform} starts programs at login is not known.`, {
    hint: 'Add "cwm serve" to what starts your programs.',
  });
}

const byteOrderMark = '\uFEFF';
const bytesText = ({ encoding }: LoginPlatform, text: string): string =>
  encoding === 'utf16le' ? byteOrderMark + text : text;

async function readText({ encoding }: LoginPlatform, file: string): Promise<string | null> {
  try {
    return (await readFile(file, encoding)).replace(byteOrderMark, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CwmError('ReadFailed', `${file} cannot be read.`, { cause: error });
  }
}

async function replaceLink({ path: link, target }: { readonly path: string; readonly target: string }): Promise<void> {
  try {
    await mkdir(path.dirname(link), { recursive: true, mode: 0o700 });
    await rm(link, { force: true });
    await symlink(target, link);
  } catch (error) {
    throw new CwmError('WriteFailed', `${link} cannot be written.`, { cause: error });
  }
}

async function tell(system: LoginSystem, command: readonly string[], isNeeded: boolean): Promise<void> {
  try {
    await system.run(command);
  } catch (error) {
    if (isNeeded) throw new CwmError('WriteFailed', `"${command.join(' ')}" failed.`, { cause: error });
  }
}
