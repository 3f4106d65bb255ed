import { chmodSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readRecord, realBackends } from '../client/support/realBackends.ts';
import { filesHolding } from '../support/filesHolding.ts';
import { cliOn } from './support/cli.ts';

const { makeStorage } = realBackends();
const secret = 'The plums are ripe';

describe('S0-61 cwm encryption', () => {
  it('turns on, stays on in every later start, distinguishes a missing key from damage, and turns off', async () => {
    const storage = makeStorage();
    const keyFile = join(makeStorage(), 'keys', 'cwm.key');
    const cwm = cliOn(storage, storage);
    await cwm.json('session', 'new', '--id', 's', '--title', secret);
    expect(await cwm.json('encryption', 'status')).toEqual({ state: 'off', keyId: null, keyFile: null });
    const { pid } = readRecord(storage);
    expect(filesHolding(secret, storage)).not.toEqual([]);

    const on = await cwm.json('encryption', 'on', '--key-file', keyFile);
    expect(on).toEqual({ state: 'on', keyId: expect.stringMatching(/^[0-9a-f]{16}$/), keyFile });
    expect(readRecord(storage).pid).not.toBe(pid);
    await cwm.json('stop');
    expect(filesHolding(secret, storage)).toEqual([]);
    expect(await cwm.json('session', 'show', 's')).toMatchObject({ title: secret });
    expect((await cwm.run('verify')).code).toBe(0);
    await cwm.json('stop');

    chmodSync(keyFile, 0o644);
    const refused = await cwm.run('session', 'show', 's');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/Others may read the key file .+ \(CWM-8003\)\s+Run "chmod 600/);
    expect(refused.stderr).not.toContain(readFileSync(keyFile, 'utf8').trim());
    chmodSync(keyFile, 0o600);
    expect(await cwm.json('session', 'show', 's')).toMatchObject({ title: secret });

    expect(await cwm.json('encryption', 'off')).toEqual({ state: 'off', keyId: null, keyFile: null });
    await cwm.json('stop');
    expect(filesHolding(secret, storage)).not.toEqual([]);
    expect(readdirSync(storage)).not.toContain('encryption.json');
  });
});
