import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeWithToken } from '../../src/setup/changeWithToken.ts';
import { undoConnection } from '../../src/setup/clientConnection.ts';
import { clientConfigs } from '../../src/setup/clientConfigs.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const setup = { base: 'http://127.0.0.1:1', model: 'm', codeUser: null };

function claude(home: string) {
  const change = (token: string) => clientConfigs['claude-code']?.change({ ...setup, home, token }) ?? null;
  const write = (newToken: () => Promise<string>) => writeWithToken(change('TOKEN')!, newToken, change);
  return { write, file: change('')!.file };
}
const refused = () => Promise.reject(new Error('no token'));

describe('cwm connect', () => {
  test('writes the token into the file of the client', async () => {
    const { write, file } = claude(makeDirectory());
    expect(await write(async () => 'SECRET')).toBe('SECRET');
    expect(readFileSync(file, 'utf8')).toContain('"SECRET"');
  });

  test('takes no token where the file cannot be written', async () => {
    const home = makeDirectory();
    writeFileSync(path.join(home, '.claude'), 'a file in the place of the folder');
    let taken = 0;
    const { write } = claude(home);
    await expect(write(async () => `t${++taken}`)).rejects.toThrow();
    expect(taken).toBe(0);
  });

  test('takes no token and changes nothing where the file is read-only', async () => {
    const { write, file } = claude(makeDirectory());
    mkdirSync(path.dirname(file));
    writeFileSync(file, '{"env":{}}', { mode: 0o444 });
    await expect(write(async () => 'SECRET')).rejects.toThrow('read-only');
    expect([readFileSync(file, 'utf8'), readdirSync(path.dirname(file))]).toEqual(['{"env":{}}', ['settings.json']]);
  });

  test('leaves the file as it was where there is no token', async () => {
    const { write, file } = claude(makeDirectory());
    await expect(write(refused)).rejects.toThrow('no token');
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, '{"env":{}}');
    await expect(write(refused)).rejects.toThrow('no token');
    expect(readFileSync(file, 'utf8')).toBe('{"env":{}}');
  });

  test('a second time, after the client wrote its file again, still knows what was there first', async () => {
    const home = makeDirectory();
    const { write, file } = claude(home);
    mkdirSync(path.dirname(file));
    writeFileSync(file, '{"env":{"ANTHROPIC_AUTH_TOKEN":"sk-mine"}}');
    await write(async () => 'ONE');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), theme: 'dark' }));
    await write(async () => 'TWO');
    const [backup] = readdirSync(path.dirname(file)).filter((name) => name.includes('.before-cwm-'));
    const before = JSON.parse(readFileSync(path.join(path.dirname(file), backup ?? ''), 'utf8').slice(1));
    expect(before).toEqual({ env: { ANTHROPIC_AUTH_TOKEN: 'sk-mine' }, theme: 'dark' });
  });

  test.each([
    ['http://127.0.0.1:8765', true],
    ['https://api.anthropic.com', false],
  ])('--undo without a backup: where the file names %s, its token stays: %s', async (url, isInUse) => {
    const home = makeDirectory();
    const { file } = claude(home);
    mkdirSync(path.dirname(file));
    const text = JSON.stringify({ env: { ANTHROPIC_BASE_URL: url } });
    writeFileSync(file, text);
    const called: string[] = [];
    const answer = {
      url: 'http://127.0.0.1:8765',
      items: [{ name: 'claude-code', createdAt: '2026-01-01T00:00:00.000Z' }],
    };
    const call = async (route: string) => {
      called.push(route);
      return answer;
    };
    const undone = await undoConnection({ call: call as never, env: { HOME: home }, codeUser: null }, 'claude-code');
    expect(undone).toMatchObject({ isUnknown: true, isInUse });
    expect(called.includes('deleteGatewayClient')).toBe(!isInUse);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});
