import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ProjectConfigs, type ConfigDisk } from '../../src/backend/contextFiles/projectConfigs.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { gatewayFixture } from './gatewayFixture.ts';

const makeDirectory = temporaryDirectories();
const onPosix = test.skipIf(process.platform === 'win32');
const uriOf = (folder: string): string => pathToFileURL(folder).href;

/** A folder with a configuration, one below it, and a gateway whose disk they are on. */
async function folders(disk: ConfigDisk = fs, patienceMs = 2000) {
  const root = await fs.realpath(makeDirectory());
  const app = path.join(root, 'app');
  const below = path.join(app, 'src', 'parts');
  mkdirSync(below, { recursive: true });
  mkdirSync(path.join(app, '.cwm'));
  const config = path.join(app, '.cwm', 'config.json');
  writeFileSync(config, JSON.stringify({ version: '1.0', project: { name: 'App' } }));
  const gateway = await gatewayFixture(diskFiles, { folders: new ProjectConfigs(disk, patienceMs) });
  const talk = (folder: string, said = 'Say hi', prefix = '/v1') =>
    gateway.chat(
      [
        { role: 'system', content: `You code.\nWorking directory: ${folder}` },
        { role: 'user', content: said },
      ],
      {},
      prefix,
    );
  const projects = async () =>
    (await gateway.sessions())
      .map(({ session }) => String(session.project))
      .sort((one, other) => (one < other ? -1 : 1));
  return { gateway, root, app, below, config, talk, projects };
}

describe('S2-08 the folder that the prompt of a client names', () => {
  test('belongs to the project of the nearest configuration above it', async () => {
    const { app, below, talk, projects } = await folders();
    await talk(below);
    await talk(app, 'Say ho');
    expect(await projects()).toEqual([uriOf(app), uriOf(app)]);
  });

  onPosix('is known by its real path, also where the request names it by a link', async () => {
    const { root, app, talk, projects } = await folders();
    const link = path.join(root, 'link');
    symlinkSync(app, link);
    await talk(link);
    await talk(link, 'Say ho', `/p/${encodeURIComponent(link)}/v1`);
    expect(await projects()).toEqual([uriOf(app), uriOf(app)]);
  });

  test('S2-11 a project that the request names itself comes first', async () => {
    const { below, talk, projects } = await folders();
    await talk(below, 'Say hi', `/p/${encodeURIComponent(below)}/v1`);
    await talk(below, 'Say ho', '/p/Demo/v1');
    expect(await projects()).toEqual([uriOf(below), 'project://Demo']);
  });

  test('S2-11 S0-60 whose configuration is bad is refused, without what is in the file, and no other project takes its place', async () => {
    const { gateway, below, config, talk, projects } = await folders();
    writeFileSync(config, '{"secret": ');
    const { answer, text } = await talk(below);
    expect(answer.status).toBe(400);
    expect(text).toContain('is not used, since it is wrong');
    expect(text).not.toContain('secret');
    expect(gateway.passed).toEqual([]);
    expect(await projects()).toEqual([]);
    rmSync(config);
    await talk(below);
    expect(await projects()).toEqual([uriOf(below)]);
  });

  test('is a project by itself where it is on another machine, or on a drive that does not answer', async () => {
    const never = new Promise<never>(() => undefined);
    const realpath = ((at: string) => (at.includes('/app') ? never : fs.realpath(at))) as ConfigDisk['realpath'];
    const { below, root, talk, projects } = await folders({ ...fs, realpath }, 50);
    const elsewhere = path.join(root, 'elsewhere');
    for (const folder of [below, elsewhere]) expect((await talk(folder)).answer.status).toBe(200);
    expect(await projects()).toEqual([uriOf(below), uriOf(elsewhere)]);
  });

  test('a conversation that the request wants unrecorded becomes no session', async () => {
    const { gateway, below, projects } = await folders();
    const messages = [{ role: 'user', content: `Working directory: ${below}` }];
    const { answer } = await gateway.chat(messages, { 'x-cwm-record': 'no' });
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(answer.headers.get('x-cwm-why')).toContain('not recorded');
    expect(await projects()).toEqual([]);
    await gateway.chat(messages);
    expect(await projects()).toHaveLength(1);
  });
});
