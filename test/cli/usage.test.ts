import { describe, expect, it } from 'vitest';
import { productVersion } from '../../src/protocol/version.ts';
import { runInProcess } from './support/fakeTerminal.ts';

describe('cwm usage', () => {
  it.each([
    ['an unknown command', ['frezee']],
    ['an unknown command of a group', ['session', 'nwe']],
    ['a missing argument', ['freeze', 'session-only']],
    ['an argument too many', ['stop', 'now']],
    ['an unknown option', ['list', '--nmae', 'x']],
    ['an option without its value', ['list', '--search']],
    ['a number that is none', ['prime', 's', '.', '--max-tokens', 'many']],
    ['a negative number', ['serve', '--idle-minutes', '-1']],
    ['a size that is none', ['serve', '--kv-budget-gb', '50GB']],
    ['a number of days that is none', ['prune', '--older-than', '30d']],
    ['a storage directory that a script left empty', ['trash', 'empty', '--all', '--storage', '']],
    ['a temperature that is none', ['send', 's', 'text', '--temperature', 'hot']],
    ['a word that is not one of the choices', ['list', '--sort', 'colour']],
    ['tokens by what they have not', ['usage', '--by', 'weather']],
  ])('ends with 2 for %s, and says what to do', async (_, args) => {
    const words = await runInProcess(...args);
    expect(words).toMatchObject({ code: 2, stdout: '' });
    expect(words.stderr).toMatch(/^cwm: .+[.?]\n {5}Run "cwm .*--help" to see /);
    const json = await runInProcess(...args, '--json');
    expect(json).toMatchObject({ code: 2, stdout: '' });
    expect(JSON.parse(json.stderr)).toEqual({
      code: 'CWM-1003',
      message: expect.stringMatching(/\w/),
      retryable: false,
      hint: expect.stringContaining('--help'),
    });
  });

  it.each([
    ['new', ['session', 'new', '--memory-tokens', '8000']],
    ['set', ['session', 'set', 's', '--memory', 'off', '--memory-mode', 'passive']],
  ])('S1-05 session %s refuses what is said of a memory that is not asked for', async (_, args) => {
    const { code, stderr } = await runInProcess(...args);
    expect(code).not.toBe(0);
    expect(stderr).toContain('--memory on');
  });

  it('ends with 2 and shows what there is when no command was given', async () => {
    for (const [heading, ...args] of [['Conversations:'], ['Commands:', 'session']] as const) {
      const outcome = await runInProcess(...args);
      expect(outcome).toMatchObject({ code: 2, stdout: '' });
      expect(outcome.stderr).toContain(heading);
    }
  });

  it.each([
    ['the command that was used wrongly', ['session', 'show'], 'Run "cwm session show --help" to see what it takes.'],
    ['the command that was meant', ['sesion'], "Unknown command 'sesion'. Did you mean session?\n"],
  ])('names %s', async (_, args, words) => {
    expect((await runInProcess(...args)).stderr).toContain(words);
  });

  it.each(['session set', 'branch new', 'freeze', 'memory'])(
    'shows for "cwm help %s" what "--help" shows',
    async (command) => {
      const words = command.split(' ');
      const asked = await runInProcess('help', ...words);
      expect(asked.code).toBe(0);
      expect(asked).toEqual(await runInProcess(...words, '--help'));
    },
  );

  it('shows its help also where an option stands beside "help"', async () => {
    const help = await runInProcess('help');
    expect(await runInProcess('help', '--storage', 'elsewhere')).toEqual(help);
    const list = await runInProcess('list', '--help');
    expect(await runInProcess('help', 'list', '--storage', 'elsewhere')).toEqual(list);
    expect(await runInProcess('help', '--storage', 'elsewhere', 'list')).toEqual(list);
  });

  it.each([
    ['frezee', ['frezee']],
    ['nwe', ['session', 'nwe']],
    ['frezee', ['frezee', 'freeze']],
    ['nwe', ['clients', 'nwe']],
  ])('refuses help for a command that there is not: %s', async (wrong, words) => {
    const { code, stdout, stderr } = await runInProcess('help', ...words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`cwm: Unknown command '${wrong}'.\n`);
  });

  it('shows its help and its version on stdout and ends with 0', async () => {
    const help = await runInProcess('freeze', '--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const option of ['--storage', '--engine', '--json', '--checkpoint']) expect(help.stdout).toContain(option);
    expect(await runInProcess('--version')).toEqual({ code: 0, stdout: `${productVersion}\n`, stderr: '' });
  });

  it.each(
    [
      'session new',
      'session list',
      'session show',
      'session set',
      'session delete',
      'prime',
      'send',
      'freeze',
      'thaw',
      'clone',
    ].concat(
      ['list', 'status', 'delete', 'verify', 'doctor', 'serve', 'stop'],
      ['usage', 'prune', 'pin', 'unpin', 'trash list', 'trash restore', 'trash empty'],
    ),
  )('gives "cwm %s" the options that every command takes', async (command) => {
    const { stdout } = await runInProcess(...command.split(' '), '--help');
    for (const option of ['--storage <dir>', '--engine <spec>', '--json']) expect(stdout).toContain(option);
  });
});
