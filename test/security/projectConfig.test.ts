import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { wholeBackends } from './support/wholeBackend.ts';

const start = wholeBackends();

test.each([
  ['cli', 'is told what is wrong with it', 'CWM-1003', true],
  ['mcp', 'learns nothing of it', 'CWM-8001', false],
])('S0-60 the config of a folder that a client of the kind %s opens: it %s', async (kind, _, code, isShown) => {
  const { client, storage } = await start({ kind });
  const folder = join(storage, 'somebody else');
  mkdirSync(join(folder, '.cwm'), { recursive: true });
  writeFileSync(join(folder, '.cwm', 'config.json'), '{"secret": plums}');
  const opened = client.call('openProject', { project: pathToFileURL(folder).href });
  await expect(opened).rejects.toMatchObject({ code });
  const error = (await opened.catch((thrown: unknown) => thrown)) as Error;
  expect(error.message.includes('plums')).toBe(isShown);
});
