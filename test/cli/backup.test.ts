import { cpSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readRecord, realBackends } from '../client/support/realBackends.ts';
import { cliOn } from './support/cli.ts';

const { makeStorage } = realBackends();
const olderStore = fileURLToPath(new URL('../store/fixtures/format-1', import.meta.url));

interface Backup {
  readonly id: string;
  readonly format: number;
  readonly sessions: number;
}

describe('S0-18 cwm backup', () => {
  it('lists what an update of the format made, and restores it; what was there becomes a backup', async () => {
    const storage = makeStorage();
    cpSync(olderStore, storage, { recursive: true });
    const cwm = cliOn(storage, storage);
    const before = (await cwm.json('session', 'list'))['total'];
    const [made] = (await cwm.json('backup', 'list'))['items'] as [Backup];
    expect(made).toMatchObject({ id: expect.stringMatching(/^format-1-/), format: 1, sessions: before });
    expect((await cwm.run('backup', 'list')).stdout).toMatch(/^BACKUP .*\nformat-1-\w+ +just now +1 /);

    await cwm.json('session', 'new', '--id', 'later');
    const { pid } = readRecord(storage);
    expect(await cwm.refusal('backup', 'restore', 'format-1-nowhere')).toMatchObject({ code: 'CWM-1003' });
    expect((await cwm.json('session', 'show', 'later'))['id']).toBe('later');

    const { stdout } = await cwm.run('backup', 'restore', made.id);
    expect(stdout).toContain(`Restored the backup ${made.id}: `);
    expect(readRecord(storage).pid).not.toBe(pid);
    expect((await cwm.json('session', 'list'))['total']).toBe(before);
    expect(await cwm.refusal('session', 'show', 'later')).toMatchObject({ code: 'CWM-2001' });
    expect((await cwm.run('verify')).code).toBe(0);
    expect(readdirSync(storage)).not.toContain('restoring.json');

    expect(stdout).toMatch(/To go back: cwm backup restore before-restore-\w+/);
    await cwm.json('stop');
  });
});
