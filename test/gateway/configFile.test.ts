import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { beforeChange, changeFile, putBack, readConfigFile, rewriteFile } from '../../src/setup/configFile.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const change = async (path: string, text: string): Promise<void> => changeFile(await readConfigFile(path), text);

describe('the file of a client', () => {
  test('comes back byte for byte after two changes, with mark, line ends and mode, and nothing stays beside it', async () => {
    const folder = makeDirectory();
    const path = join(folder, 'a.json');
    const before = Buffer.from('\uFEFF{}\r\n');
    writeFileSync(path, before, { mode: 0o640 });
    await change(path, '{"a": 1}');
    await change(path, '{"a": 2}');
    expect(readFileSync(path, 'utf8')).toBe('\uFEFF{"a": 2}');
    expect(readdirSync(folder)).toHaveLength(2);
    expect(await putBack(await readConfigFile(path))).toBe(true);
    expect(readFileSync(path)).toEqual(before);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  test('is for its user alone where there was none, and goes again', async () => {
    const path = join(makeDirectory(), 'new', 'a.json');
    await change(path, 'x');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await putBack(await readConfigFile(path))).toBe(true);
    expect(existsSync(path)).toBe(false);
  });

  test('stays as it is where somebody changed it since', async () => {
    const path = join(makeDirectory(), 'a.json');
    await change(path, 'x');
    writeFileSync(path, 'y');
    expect(await putBack(await readConfigFile(path))).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe('y');
  });

  test('that somebody changed since still says what was there before, until it is taken back', async () => {
    const folder = makeDirectory();
    const path = join(folder, 'a.json');
    writeFileSync(path, 'mine');
    await change(path, 'x');
    expect(await beforeChange(await readConfigFile(path))).toBeUndefined();
    writeFileSync(path, 'x and y');
    expect(await beforeChange(await readConfigFile(path))).toBe('mine');
    await changeFile(await readConfigFile(path), 'z and y', 'mine and y');
    expect(readdirSync(folder)).toHaveLength(2);
    writeFileSync(path, 'z and w');
    expect(await beforeChange(await readConfigFile(path))).toBe('mine and y');
    await rewriteFile(await readConfigFile(path), 'mine and w');
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  test('may be a link, which stays one', async () => {
    const folder = makeDirectory();
    const [real, path] = [join(folder, 'real'), join(folder, 'link')];
    writeFileSync(real, 'before');
    symlinkSync(real, path);
    await change(path, 'after');
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, 'utf8')).toBe('after');
    expect(await putBack(await readConfigFile(path))).toBe(true);
    expect(readFileSync(real, 'utf8')).toBe('before');
  });

  test('is refused where it is a folder, a link to nowhere, or no text', async () => {
    const folder = makeDirectory();
    mkdirSync(join(folder, 'folder'));
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    writeFileSync(join(folder, 'bytes'), Buffer.from([0xff, 0x00, 0x9c]));
    for (const name of ['folder', 'link', 'bytes']) {
      await expect(readConfigFile(join(folder, name)), name).rejects.toMatchObject({ name: 'InvalidConfig' });
    }
  });
});
