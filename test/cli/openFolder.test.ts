import { describe, expect, it } from 'vitest';
import { killHard, realBackends } from '../client/support/realBackends.ts';
import { cliOn } from './support/cli.ts';
import { folderStory } from './support/folderStory.ts';

const { makeStorage, client } = realBackends();

const question = (folder: string): string =>
  Array.from({ length: 24 }, (_, at) => `${folder} line ${at}: ${at * 7919}`).join('\n');

describe('a folder that is opened', () => {
  it('S0-16 S2-16 has its conversation warm after a kill -9 of backend and embedded engine, and so has the other one', async () => {
    const storage = makeStorage();
    const killAll = async (): Promise<void> => {
      const { pid, engines } = (await cliOn(storage).json('status')) as unknown as {
        pid: number;
        engines: { pid: number | null }[];
      };
      await Promise.all([pid, ...engines.flatMap((engine) => engine.pid ?? [])].map(killHard));
    };
    await folderStory({
      storage,
      place: makeStorage(),
      client: () => client(storage),
      killAll,
      tokensPerBlock: 32,
      question,
    });
  });

  it('says in words what came of it', async () => {
    const storage = makeStorage();
    const place = makeStorage();
    const cwm = cliOn(storage, place);
    expect((await cwm.run('open')).stdout).toMatch(/has no current session\. "cwm chat" begins one\.\n$/);
    await cwm.json('session', 'new', '--id', 's', '--project', '.');
    expect(await cwm.run('open')).toMatchObject({ code: 0, stdout: 's (session s)\nIt has no context yet.\n' });
    await cwm.json('send', 's', question('s'), '--max-tokens', '4');
    await cwm.json('stop');
    expect((await cwm.run('open')).stdout).toMatch(
      /^s line 0.* \(session s\)\nProven: [\d,]+ of [\d,]+ tokens came from disk/,
    );
  });
});
