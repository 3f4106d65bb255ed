import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { realBackends } from '../client/support/realBackends.ts';
import { cliProcessOn } from './support/cli.ts';

const { makeStorage } = realBackends();
const lines = Array.from({ length: 40 }, (_, line) => `fact ${line}: ${line * 7919}`).join('\n');

test('cwm export --kv says how large the KV is and writes it behind the text; cwm import takes it only with --kv', async () => {
  const [home, away] = [makeStorage(), makeStorage()];
  const cwm = cliProcessOn(home);
  await cwm.json('session', 'new', '--id', 's');
  await cwm.json('send', 's', lines, '--max-tokens', '8');
  const file = join(home, 'talk.cwindow');
  expect(await cwm.refusal('export', 's', '--kv')).toMatchObject({ code: 'CWM-1003' });
  const exported = await cwm.run('export', 's', '--format', 'cwindow', '--output', file, '--kv');
  expect(exported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^The KV of \d+ of \d+ tokens takes /m) });
  expect(exported.stdout).toMatch(/^Wrote .*talk\.cwindow\.\nIt has the KV of \d+ of \d+ tokens, [\d.]+ \w+\.\n/);
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const elsewhere = cliProcessOn(away);
  const left = await elsewhere.run('import', file, '--id', 'left');
  expect(left).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/The file has KV, which was not taken: KV is a prompt/),
  });
  const taken = await elsewhere.run('import', file, '--id', 'taken', '--kv', '--window', 'carried');
  expect(taken).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Took the KV of \d+ of \d+ tokens from the file/),
  });
  expect(await elsewhere.json('thaw', 'carried')).toMatchObject({ verdict: 'reused' });
  expect(await elsewhere.json('freeze', 'taken', 'own', '--recompute')).toMatchObject({ verdict: 'proven' });

  const plain = join(home, 'plain.cwindow');
  await cwm.json('export', 's', '--format', 'cwindow', '--output', plain);
  expect(await elsewhere.refusal('import', plain, '--kv')).toMatchObject({ code: 'CWM-1003' });
});
