import { expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { ownCommandLine, requireSoundStart } from '../../src/cli/soundStart.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';

const start = async (nodeVersion: string, args: readonly string[], bytes: Uint8Array | null) => {
  const terminal = new FakeTerminal();
  const code = await runCommandLine(args, terminal, () => requireSoundStart(nodeVersion, args, () => bytes));
  return { code, said: terminal.stderr };
};

test('K3 an old Node.js is named, in words and in JSON, before anything is started', async () => {
  expect(await start('20.20.2', ['list'], null)).toEqual({
    code: 1,
    said: expect.stringMatching(/^cwm: cwm needs Node.js 22 or later; this is 20\.20\.2\. \(CWM-\d{4}\)\n/),
  });
  expect(JSON.parse((await start('18.0.0', ['list', '--json'], null)).said)).toMatchObject({
    message: expect.stringContaining('18.0.0'),
  });
});

test('K10 a text on the command line that is no UTF-8 is refused, and the character that stands for lost ones is not', () => {
  const sound = (arg: string, bytes: Uint8Array | null) => () =>
    requireSoundStart('24.0.0', ['send', arg], () => bytes);
  expect(sound('caf\uFFFD', Buffer.from('caf\xe9', 'latin1'))).toThrow(/not UTF-8 text/);
  expect(sound('caf\uFFFD', Buffer.from('caf\uFFFD'))).not.toThrow();
  expect(sound('caf\uFFFD', null), 'where nobody shows the bytes').not.toThrow();
  expect(sound('café', Buffer.from('caf\xe9', 'latin1')), 'of another argument, such as a path').not.toThrow();
});

test('K10 the bytes of the own command line are those that the process was started with, where the system shows them', () => {
  const bytes = ownCommandLine();
  if (process.platform === 'linux') expect(Buffer.from(bytes ?? []).toString()).toContain('node');
  else expect(bytes).toBeNull();
});
