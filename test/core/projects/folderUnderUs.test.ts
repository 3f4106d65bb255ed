import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ProjectConfigs, type ConfigDisk } from '../../../src/backend/contextFiles/projectConfigs.ts';
import { temporaryDirectories } from '../../backend/support/temporaryDirectory.ts';
import { coreFixture } from '../coreFixture.ts';

const makeDirectory = temporaryDirectories();
const onPosix = it.skipIf(process.platform === 'win32');
const uriOf = (folder: string): string => pathToFileURL(folder).href;

/** A core on the real disk, and a session of the folder `app`, which has a configuration; the client works below it. */
async function working(disk: ConfigDisk = fs, patienceMs = 2000) {
  const root = await fs.realpath(makeDirectory());
  const app = path.join(root, 'app');
  const below = path.join(app, 'src');
  mkdirSync(below, { recursive: true });
  mkdirSync(path.join(app, '.cwm'));
  const id = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';
  const config = JSON.stringify({ version: '1.0', project: { name: 'App', id } });
  writeFileSync(path.join(app, '.cwm', 'config.json'), config);
  const folders = new ProjectConfigs(disk, patienceMs);
  const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true }, folders }));
  const { cwm } = fixture;
  await cwm.createSession({ id: 's', project: uriOf(app) });
  expect((await cwm.openProject({ project: uriOf(below) })).project).toBe(uriOf(app));
  await cwm.send({ session: 's', text: 'What is ice?' });
  return { ...fixture, root, app, below };
}

describe('a folder that changes under a client that works in it', () => {
  it('is renamed: the conversation goes on and is saved when it is left; the new name is offered it, and takes nothing by itself', async () => {
    const { cwm, root, app, below } = await working();
    const moved = path.join(root, 'moved');
    renameSync(app, moved);
    await cwm.send({ session: 's', text: 'And now?' });
    expect((await cwm.workingDirectory({})).context?.resolution.project).toBe(uriOf(app));
    await expect(cwm.setWorkingDirectory({ directory: below })).rejects.toMatchObject({ name: 'InvalidDirectory' });
    const left = await cwm.closeProject({ project: uriOf(below) });
    expect(left).toMatchObject({ project: uriOf(app), receipt: { verdict: 'proven' } });
    const { items } = await cwm.listProjects({});
    expect(items).toMatchObject([{ project: uriOf(app), isGone: true, sessions: 1 }]);
    const found = await cwm.findProject({ folder: moved });
    expect(found).toMatchObject({ project: uriOf(moved), sessions: 0 });
    expect(found.candidates).toMatchObject([{ project: uriOf(app), why: 'id', isGone: true }]);
    expect((await cwm.openProject({ project: uriOf(moved) })).session).toBeNull();
  });

  it('vanishes: it is opened by its name, its conversation goes on, and what it began with is not looked for in a folder above', async () => {
    const { cwm, app } = await working();
    rmSync(app, { recursive: true });
    expect(await cwm.openProject({ project: uriOf(app) })).toMatchObject({ project: uriOf(app), session: { id: 's' } });
    await cwm.send({ session: 's', text: 'And now?' });
    expect((await cwm.closeProject({ project: uriOf(app) })).receipt?.verdict).toBe('proven');
  });

  onPosix('is left by the name of a link that led to it: its conversation is saved', async () => {
    const { cwm, root, app } = await working();
    symlinkSync(app, path.join(root, 'link'));
    const left = await cwm.closeProject({ project: uriOf(path.join(root, 'link')) });
    expect(left).toMatchObject({ project: uriOf(app), session: 's', receipt: { verdict: 'proven' } });
  });

  it('is on a drive that answers no more: opening it ends with an error in time, leaving it saves, and another folder opens', async () => {
    let isDead = false;
    const never = new Promise<never>(() => undefined);
    const realpath = ((at: string) =>
      isDead && at.includes('/app') ? never : fs.realpath(at)) as ConfigDisk['realpath'];
    const { cwm, root, app } = await working({ ...fs, realpath }, 50);
    isDead = true;
    await expect(cwm.openProject({ project: uriOf(app) })).rejects.toMatchObject({ name: 'OperationTimeout' });
    expect((await cwm.openProject({ project: uriOf(root) })).project).toBe(uriOf(root));
    expect((await cwm.closeProject({ project: uriOf(app) })).receipt?.verdict).toBe('proven');
  });
});
