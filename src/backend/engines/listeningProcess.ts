import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** A process of this user, as the system shows it. */
export interface ServerProcess {
  readonly pid: number;
  readonly args: readonly string[];
  /** Those of its environment that were asked for, where the system shows them. */
  readonly variables: Readonly<Record<string, string>>;
  /** Against which its relative paths are resolved; null where that is not known. */
  readonly directory: string | null;
}

/** The view of this machine's processes. */
export interface ProcessView {
  readonly platform: NodeJS.Platform;
  /** The user who asks; undefined where the system has no such numbers. */
  readonly uid: number | undefined;
  /** Where Linux shows processes. */
  readonly procFolder: string;
  /** The output of a program of the system. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>;
}

export const systemProcesses = (): ProcessView => ({
  platform: process.platform,
  uid: process.getuid?.(),
  procFolder: '/proc',
  run: async (program, args) => (await promisify(execFile)(program, [...args], { timeout: 5000 })).stdout,
});

/**
 * The processes of this user that listen on a port of this machine's loopback address; several where a server shares its socket with its
 * children. Never a process of another user: what such a process claims about folders is not believed.
 *
 * @param wanted names of the variables of their environment to read; default: none.
 * @returns why there is none, in a sentence, where that is so.
 */
export async function listeningProcesses(
  port: number,
  view: ProcessView,
  wanted?: RegExp,
): Promise<readonly ServerProcess[] | { readonly why: string }> {
  if (view.uid === undefined || (view.platform !== 'linux' && view.platform !== 'darwin'))
    return { why: 'On this system the command line of a server was not looked at.' };
  try {
    return view.platform === 'linux' ? await onLinux(port, view.uid, view, wanted) : await onMac(port, view.uid, view);
  } catch {
    return { why: 'The processes of this machine cannot be looked at.' };
  }
}

/** The path of a folder in a process's command line; null where it is relative and its base is not known. */
export const pathOf = ({ directory }: ServerProcess, path: string): string | null =>
  isAbsolute(path) ? resolve(path) : directory === null ? null : resolve(directory, path);

/** The holders of sockets, by the sockets' numbers. A look through the open files of all processes takes tens of milliseconds. */
const knownHolders = new WeakMap<ProcessView, Map<string, readonly string[]>>();

async function onLinux(
  port: number,
  uid: number,
  view: ProcessView,
  wanted: RegExp | undefined,
): Promise<ReturnType<typeof named>> {
  const { procFolder } = view;
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(join(procFolder, 'net', name), 'utf8').catch(() => '')),
  );
  const sockets = tables.flatMap((table) => listeners(table, port));
  if (sockets.some((socket) => socket.uid !== uid)) return foreign(port);
  const links = new Set(sockets.map(({ inode }) => `socket:[${inode}]`));
  const holders = await holdersOf(links, uid, view);
  const ownNamespace = await readlink(join(procFolder, 'self/ns/mnt')).catch(() => null);
  if (holders.some(({ namespace }) => namespace === null || namespace !== ownNamespace))
    return { why: `The server on port ${port} runs in a container, so its paths are not those of this machine.` };
  const processes = holders.map(async (holder) => ({
    ...holder,
    variables: wanted ? await variablesOf(join(procFolder, String(holder.pid)), wanted) : {},
  }));
  return named(port, await Promise.all(processes));
}

/** Those known from before are looked at again; all processes only where one of those does not hold the sockets any more. */
async function holdersOf(sockets: ReadonlySet<string>, uid: number, view: ProcessView): Promise<Holder[]> {
  if (sockets.size === 0) return [];
  const known = knownHolders.get(view) ?? new Map<string, readonly string[]>();
  knownHolders.set(view, known);
  const key = [...sockets].sort().join();
  const among = async (pids: readonly string[]): Promise<Holder[]> => {
    const found = pids.map((pid) => ownProcess(join(view.procFolder, pid), Number(pid), uid, sockets));
    return (await Promise.all(found)).filter((holder) => holder !== null);
  };
  const before = known.get(key) ?? [];
  const still = await among(before);
  if (still.length > 0 && still.length === before.length) return still;
  const all = await among((await readdir(view.procFolder)).filter((name) => /^\d+$/.test(name)));
  known.clear();
  known.set(
    key,
    all.map(({ pid }) => String(pid)),
  );
  return all;
}

const listening = '0A';
/** The loopback and the unspecified addresses, as Linux writes them. */
const localAddress = /^([0-9A-F]{6}7F|0{8}|0{32}|0{24}01000000|0{16}FFFF0000([0-9A-F]{6}7F|0{8}))$/;

/** The sockets in a table of Linux that a connection to this port of the loopback address can reach. */
function listeners(table: string, port: number): { readonly uid: number; readonly inode: string }[] {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([, local = '', , state, , , , uid, , inode = '0']) => {
    const [address = '', hexPort = ''] = local.split(':');
    const isOurs = state === listening && Number.parseInt(hexPort, 16) === port && localAddress.test(address);
    return isOurs ? [{ uid: Number(uid), inode }] : [];
  });
}

type Holder = ServerProcess & { readonly namespace: string | null };

/** Null for a process of another user, one that holds none of the sockets, and one that has ended. */
async function ownProcess(
  folder: string,
  pid: number,
  uid: number,
  sockets: ReadonlySet<string>,
): Promise<Holder | null> {
  try {
    if ((await stat(folder)).uid !== uid) return null;
    const descriptors = await readdir(join(folder, 'fd'));
    const links = await Promise.all(descriptors.map((name) => readlink(join(folder, 'fd', name)).catch(() => '')));
    if (!links.some((link) => sockets.has(link))) return null;
    const args = (await readFile(join(folder, 'cmdline'), 'utf8')).replace(/\0$/, '').split('\0');
    const [directory, namespace] = await Promise.all(
      ['cwd', 'ns/mnt'].map((name) => readlink(join(folder, name)).catch(() => null)),
    );
    return { pid, args, variables: {}, directory: directory ?? null, namespace: namespace ?? null };
  } catch {
    return null;
  }
}

async function variablesOf(folder: string, wanted: RegExp): Promise<Record<string, string>> {
  const environment = await readFile(join(folder, 'environ'), 'utf8').catch(() => '');
  const all = environment.split('\0').map((line) => line.split(/=(.*)/su) as [string, string?]);
  return Object.fromEntries(all.flatMap(([name, value]) => (wanted.test(name) ? [[name, value ?? '']] : [])));
}

async function onMac(port: number, uid: number, { run }: ProcessView): Promise<ReturnType<typeof named>> {
  const listed = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpu']).catch(() => '');
  const owners = [...listed.matchAll(/^p(\d+)\nu(\d+)$/gm)].map(([, pid, owner]) => [Number(pid), Number(owner)]);
  if (owners.some(([, owner]) => owner !== uid)) return foreign(port);
  const processes = owners.map(async ([pid = 0]): Promise<ServerProcess> => {
    const line = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
    return { pid, args: splitAtOptions(line.trim()), variables: {}, directory: null };
  });
  return named(port, await Promise.all(processes));
}

/** `ps` joins arguments by spaces, and a folder's name can contain spaces: a value reaches to the next option. */
const splitAtOptions = (line: string): string[] =>
  line.split(/\s+(?=--?[A-Za-z])/).flatMap((part) => {
    const [, option, value] = /^(--?[^\s=]+)\s+(.+)$/su.exec(part) ?? [];
    return option === undefined || value === undefined ? [part] : [option, value];
  });

const foreign = (port: number) => ({ why: `The server on port ${port} belongs to another user.` });

const named = (
  port: number,
  processes: readonly ServerProcess[],
): readonly ServerProcess[] | { readonly why: string } =>
  processes.length === 0 ? { why: `No process of this user listens on port ${port}.` } : processes;
