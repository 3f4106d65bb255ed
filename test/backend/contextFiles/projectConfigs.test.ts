import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fs from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ProjectConfigs, type ConfigDisk } from '../../../src/backend/contextFiles/projectConfigs.ts';
import { parseProjectUri } from '../../../src/protocol/ids.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const never = new AbortController().signal;
const onPosix = it.skipIf(process.platform === 'win32');

function put(folder: string, text: string | Uint8Array, where = '.cwm'): string {
  mkdirSync(join(folder, where), { recursive: true });
  const path = join(folder, where, 'config.json');
  writeFileSync(path, text);
  return path;
}

const config = (name: string, more: object = {}): string =>
  JSON.stringify({ version: '1.0', project: { name }, ...more });
const nameOf = async (configs: ProjectConfigs, folder: string): Promise<string | undefined> =>
  (await configs.find(folder, never))?.config.project.name;

/** A folder so many levels below the first. */
function below(root: string, levels: number): string {
  const folder = join(root, ...Array.from({ length: levels }, () => 'd'));
  mkdirSync(folder, { recursive: true });
  return folder;
}

describe('S2-08 the configuration of a project', () => {
  it('is found upwards to the twentieth level, and not beyond', async () => {
    const root = makeDirectory();
    put(root, config('far'));
    expect(await nameOf(new ProjectConfigs(), below(root, 20))).toBe('far');
    expect(await nameOf(new ProjectConfigs(), below(root, 21))).toBeUndefined();
  });

  it('is the nearest one, and ours before that of seed 2', async () => {
    const root = makeDirectory();
    put(root, config('far'));
    const near = below(root, 3);
    put(near, config('theirs'), '.codebase-mcp');
    expect(await nameOf(new ProjectConfigs(), near)).toBe('theirs');
    put(near, config('ours'));
    expect(await nameOf(new ProjectConfigs(), near)).toBe('ours');
  });

  onPosix('is that of the real folder, and links in a circle have none', async () => {
    const root = makeDirectory();
    put(join(root, 'real'), config('real'));
    symlinkSync(join(root, 'real'), join(root, 'link'));
    symlinkSync(join(root, 'circle'), join(root, 'circle'));
    expect(await nameOf(new ProjectConfigs(), join(root, 'link'))).toBe('real');
    expect(await new ProjectConfigs().find(join(root, 'circle'), never)).toBeNull();
  });

  it('S2-07 is refused for a path that is relative, absent or no folder', async () => {
    const root = makeDirectory();
    writeFileSync(join(root, 'file'), '');
    for (const folder of ['relative', join(root, 'absent'), join(root, 'file')])
      await expect(new ProjectConfigs().find(folder, never)).rejects.toMatchObject({ name: 'InvalidDirectory' });
  });
});

describe('S2-10 what is remembered', () => {
  it('an edit, a deletion and a nearer file that is made later are all seen at the next look', async () => {
    const configs = new ProjectConfigs();
    const root = makeDirectory();
    const folder = below(root, 2);
    const path = put(root, config('one'));
    expect(await nameOf(configs, folder)).toBe('one');
    writeFileSync(path, config('another'));
    expect(await nameOf(configs, folder)).toBe('another');
    const near = put(folder, config('near'));
    expect(await nameOf(configs, folder)).toBe('near');
    rmSync(near);
    expect(await nameOf(configs, folder)).toBe('another');
    rmSync(path);
    expect(await nameOf(configs, folder)).toBeUndefined();
  });
});

describe('S2-09 S2-11 a file that exists and is bad', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['is no JSON', '{', /not JSON/],
    ['names a file outside', config('x', { prime: ['a', '../../secret'] }), /"prime\.1"/],
    ['names an absolute file', config('x', { rules: ['/etc/passwd'] }), /"rules\.0"/],
    ['names a file on a drive', config('x', { rules: ['C:secret'] }), /"rules\.0"/],
    ['names folders of this machine for its server', config('x', { engine: 'http://a#slots=/etc' }), /"engine"/],
    ['is empty', '', /not JSON/],
    ['is in UTF-16 without a mark', Buffer.from(config('x'), 'utf16le'), /UTF-16/],
    ['is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /not UTF-8/],
    ['is huge', ' '.repeat(64 * 1024 + 1), /larger than 64 KiB/],
    ['has no version', JSON.stringify({ project: { name: 'x' } }), /"version"/],
    ['has a version of another form', config('x', { version: '1' }), /"version"/],
    ['has no project', JSON.stringify({ version: '1.0' }), /"project"/],
    ['has no name', JSON.stringify({ version: '1.0', project: {} }), /"project\.name"/],
    ['has an empty name', config(''), /"project\.name"/],
    ['has a name that is too long', config('x'.repeat(256)), /"project\.name"/],
    ['has an id that is none', config('x', { project: { name: 'x', id: 'y' } }), /"project\.id"/],
    ['has a wrong type', config('x', { auto_switch: 'yes' }), /"auto_switch"/],
    ['is a list', '[]', /the whole is \[\], and must be an object/],
  ])('%s: it says so with its path, and no other project is taken', async (_, text, message) => {
    const root = makeDirectory();
    put(root, config('another'));
    const path = put(below(root, 1), text);
    const found = new ProjectConfigs().find(below(root, 1), never);
    await expect(found).rejects.toMatchObject({ name: 'InvalidParameter', context: { path } });
    await expect(found).rejects.toThrow(message);
  });

  it.each<[object, string]>([
    [{ auto_switch: 'yes' }, '"auto_switch" is "yes", and must be true or false'],
    [{ version: '1' }, '"version" is "1", and must be a version like "1.0"'],
    [{ project: {} }, '"project.name" is missing: it must be text'],
    [{ project: { name: '' } }, '"project.name" is "", and must be text of at least 1 character'],
    [{ project: { name: 'x', id: 'y' } }, '"project.id" is "y", and must be a UUID'],
    [{ isolation: 'all' }, '"isolation" is "all", and must be "project" or "session"'],
    [{ branches: 3 }, '"branches" is 3, and must be "shared" or "separate"'],
    [
      { engine: 'http://a#slots=/etc' },
      '"engine" is "http://a#slots=/etc", and must be an http: or https: URL without a "#", or "embedded"',
    ],
    [{ prime: ['a', '../b'] }, '"prime.1" is "../b", and must be a path below the folder, without ".."'],
    [{ prime: 'src' }, '"prime" is "src", and must be a list'],
    [{ budget: { base_tokens: 0 } }, '"budget.base_tokens" is 0, and must be a number above 0'],
    [{ tools: { policy: 'manual', rounds: 21 } }, '"tools.rounds" is 21, and must be a number of at most 20'],
    [{ created_at: 'today' }, '"created_at" is "today", and must be an instant like 2026-11-30T08:00:00Z'],
    [
      { description: 'd'.repeat(1001) },
      `"description" is "${'d'.repeat(59)}…, and must be text of at most 1000 characters`,
    ],
    [{ auto_switch: 1, dry_run: 2 }, '"auto_switch" is 1, and must be true or false; "dry_run" is 2, and must be'],
  ])('%j: the message names the key, what was found, and what is allowed', async (more, sentence) => {
    const root = makeDirectory();
    put(root, config('x', more));
    await expect(new ProjectConfigs().find(root, never)).rejects.toThrow(sentence);
  });

  it('is read in UTF-8 with a mark, and in UTF-16 with one', async () => {
    const root = makeDirectory();
    for (const [name, text] of [
      ['eight', Buffer.from('\uFEFF' + config('eight'))],
      ['sixteen', Buffer.from('\uFEFF' + config('sixteen'), 'utf16le')],
    ] as const) {
      put(root, text);
      expect(await nameOf(new ProjectConfigs(), root)).toBe(name);
    }
  });

  onPosix('is in a circle of links: it says so, and no other project is taken', async () => {
    const root = makeDirectory();
    put(root, config('another'));
    const folder = below(root, 1);
    symlinkSync('.cwm', join(folder, '.cwm'));
    await expect(new ProjectConfigs().find(folder, never)).rejects.toThrow(/its folder is a link/);
  });

  it('cannot be read: it says so', async () => {
    const root = makeDirectory();
    put(root, config('x'));
    const open: ConfigDisk['open'] = () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }));
    const found = new ProjectConfigs({ ...fs, open }).find(root, never);
    await expect(found).rejects.toThrow(/it cannot be read \(EACCES\)/);
  });

  it('lies in a folder that cannot be searched: it says so; a project above such a folder is found', async () => {
    const root = makeDirectory();
    const near = below(root, 1);
    put(root, config('far'));
    put(near, config('near'));
    const closed = (path: string): ConfigDisk['lstat'] =>
      (async (at: string, options: never) => {
        if (at.startsWith(path) && at !== path) throw Object.assign(new Error('no'), { code: 'EACCES' });
        return fs.lstat(at, options);
      }) as ConfigDisk['lstat'];
    const open: ConfigDisk['open'] = () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }));
    const whole = new ProjectConfigs({ ...fs, lstat: closed(join(near, '.cwm')), open });
    await expect(whole.find(near, never)).rejects.toThrow(/near|cannot be read/);
    expect(await nameOf(new ProjectConfigs({ ...fs, lstat: closed(near) }), near)).toBe('far');
  });

  it.each([
    ['once: it is read again', 1, 'second'],
    ['each time: it says so', 9, null],
  ])('changes while it is read, %s', async (_, times, name) => {
    const root = makeDirectory();
    const path = put(root, config('first'));
    let left: number = times;
    const open: ConfigDisk['open'] = async (at, flags) => {
      const file = await fs.open(at, flags);
      const read = file.read.bind(file) as (...given: unknown[]) => unknown;
      const changing = async (...given: unknown[]) => {
        const result = await read(...given);
        if (left-- > 0) writeFileSync(path, config('second', { description: 'x'.repeat(left + 1) }));
        return result;
      };
      return Object.assign(file, { read: changing });
    };
    const found = nameOf(new ProjectConfigs({ ...fs, open }), root);
    if (name === null) await expect(found).rejects.toThrow(/changes while it is read/);
    else expect(await found).toBe(name);
  });

  it('N11 is remembered, a hundred of them: the one that was used longest ago is read again', async () => {
    const root = makeDirectory();
    let reads = 0;
    const open: ConfigDisk['open'] = (at, flags) => {
      reads++;
      return fs.open(at, flags);
    };
    const configs = new ProjectConfigs({ ...fs, open });
    const folders = Array.from({ length: 101 }, (_, index) => {
      const folder = join(root, `p${index}`);
      put(folder, config(`p${index}`));
      return folder;
    });
    for (const folder of folders.slice(0, 100)) await configs.find(folder, never);
    for (const folder of folders.slice(0, 100)) await configs.find(folder, never);
    expect(reads).toBe(100);
    await configs.find(folders[100] ?? '', never);
    await configs.find(folders[1] ?? '', never);
    expect(reads).toBe(101);
    await configs.find(folders[0] ?? '', never);
    expect(reads).toBe(102);
  });

  it('lies on a drive that does not answer: it ends, and no second request waits for it until it answers', async () => {
    const root = makeDirectory();
    const path = put(root, config('x'));
    const { promise: answer, resolve: wake } = Promise.withResolvers<void>();
    let asked = 0;
    const realpath = (async (at: string) => {
      asked++;
      await answer;
      return fs.realpath(at);
    }) as ConfigDisk['realpath'];
    const configs = new ProjectConfigs({ ...fs, realpath }, 100);
    for (let tries = 0; tries < 3; tries++)
      await expect(configs.find(root, never)).rejects.toMatchObject({ name: 'OperationTimeout' });
    expect(asked).toBe(1);
    wake();
    await new Promise(setImmediate);
    await expect
      .poll(() => configs.find(root, never).catch(() => null))
      .toMatchObject({ path: await fs.realpath(path) });
  });

  it('of many folders on a drive that does not answer, one is asked whether it is there', async () => {
    const { promise: answer, resolve: wake } = Promise.withResolvers<void>();
    let asked = 0;
    const stat = (async (at: string) => {
      asked++;
      await answer;
      return fs.stat(at);
    }) as unknown as ConfigDisk['stat'];
    const configs = new ProjectConfigs({ ...fs, stat }, 1);
    for (const name of ['a', 'b', 'c'])
      expect(await configs.exists(parseProjectUri(`file:///mnt/${name}`), never)).toBeNull();
    expect(asked).toBe(1);
    wake();
  });

  onPosix('S2-15 is a link, or lies behind one: nothing is read', async () => {
    const root = makeDirectory();
    const folder = below(root, 1);
    mkdirSync(join(folder, '.cwm'));
    symlinkSync('/etc/passwd', join(folder, '.cwm', 'config.json'));
    await expect(new ProjectConfigs().find(folder, never)).rejects.toThrow(/it is a link/);
    rmSync(join(folder, '.cwm'), { recursive: true });
    put(join(root, 'elsewhere'), config('x'));
    symlinkSync(join(root, 'elsewhere', '.cwm'), join(folder, '.cwm'));
    await expect(new ProjectConfigs().find(folder, never)).rejects.toThrow(/its folder is a link/);
  });
});
