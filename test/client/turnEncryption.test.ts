import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { turnEncryption, type EncryptionTarget } from '../../src/client/turnEncryption.ts';
import { filesHolding } from '../support/filesHolding.ts';
import { until } from '../support/until.ts';
import { backendEntry, readRecord, realBackends, realStart } from './support/realBackends.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const secret = 'The quinces are ripe';

const turn = (storage: string, target: EncryptionTarget, start = realStart) =>
  turnEncryption({ storage, start }, target, AbortSignal.timeout(120_000));

describe('S0-61 turning encryption on and off', () => {
  it('another backend converts the store, and an earlier client continues with that backend', async () => {
    const storage = makeStorage();
    const keyFile = join(makeStorage(), 'store.key');
    const before = client(storage);
    const { id } = await before.call('createSession', { title: secret });
    const old = readRecord(storage).pid;
    const on = await turn(storage, { state: 'on', keyFile });
    expect(on).toEqual({ state: 'on', keyId: expect.stringMatching(/^[0-9a-f]{16}$/), keyFile });
    await until('the old one has ended', () => !isRunning(old));
    expect(filesHolding(secret, storage)).toEqual([]);
    expect(await before.call('getSession', { session: id })).toMatchObject({ title: secret });
    expect(await turn(storage, { state: 'off' })).toEqual({ state: 'off', keyId: null, keyFile: null });
    expect(filesHolding(secret, storage)).not.toEqual([]);
  });

  it('that backend gets all other settings too', async () => {
    const start = { ...realStart, args: ['--log-level', 'loud'] };
    const turned = turn(makeStorage(), { state: 'off' }, start);
    await expect(turned).rejects.toMatchObject({ message: expect.stringContaining('--log-level must be one of') });
  });

  it('a key that others may read is refused with CWM-8003, and the store stays as it was', async () => {
    const storage = makeStorage();
    const keyFile = join(makeStorage(), 'store.key');
    await client(storage).call('createSession', { title: secret });
    writeFileSync(keyFile, `${'ab'.repeat(32)}\n`);
    chmodSync(keyFile, 0o644);
    await expect(turn(storage, { state: 'on', keyFile })).rejects.toMatchObject({
      code: 'CWM-8003',
      message: `Others may read the key file ${keyFile}.`,
      hint: `Run "chmod 600 ${keyFile}".`,
    });
    expect(await client(storage).call('encryption', {})).toMatchObject({ state: 'off' });
    expect(filesHolding(secret, storage)).not.toEqual([]);
  });

  it('gives up with CWM-5010 where backends that were not asked to do it are always there first', async () => {
    const storage = makeStorage();
    // As if somebody else had started it: what it was told about encryption is left out.
    const entry = join(storage, 'other.mjs');
    writeFileSync(
      entry,
      `process.argv.splice(4);\nawait import(${JSON.stringify(pathToFileURL(backendEntry).href)});\n`,
    );
    await expect(
      turn(storage, { state: 'on', keyFile: join(storage, 'no.key') }, { ...realStart, entry }),
    ).rejects.toMatchObject({
      code: 'CWM-5010',
      hint: expect.stringContaining('Close other windows'),
    });
    expect(readdirSync(storage)).not.toContain('no.key');
  });
});
