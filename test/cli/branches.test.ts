import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { FakeTerminal, type Outcome } from './support/fakeTerminal.ts';

const start = wholeBackends();

/** The command line of a person, in this process and on a backend of this process. */
const person =
  ({ storage }: WholeBackend) =>
  async (...args: string[]): Promise<Outcome> => {
    const terminal = new FakeTerminal({ isWatched: false });
    const code = await runCommandLine([...args, '--storage', storage], terminal);
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  };

/** Session `s` with one turn, and the ids of its question and its answer. */
async function talked(backend: WholeBackend): Promise<{ question: string; answer: string }> {
  await backend.client.call('createSession', { id: 's' });
  await backend.client.call('send', { session: 's', text: 'What is a prefix cache good for?', maxTokens: 4 });
  const [question, answer] = (await backend.client.call('listMessages', { session: 's' })).items;
  return { question: question!.id, answer: answer!.id };
}

const textOf = ({ content }: Message): string => (content.type === 'text' ? content.text : '');

describe('cwm branch', () => {
  it('S4-02 makes, lists, switches, renames and deletes branches, and says where the session is', async () => {
    const backend = await start();
    const { question } = await talked(backend);
    const cwm = person(backend);
    expect((await cwm('branch', 'new', 's', 'try', '--at', question)).stdout).toBe(
      'Session s is on branch try (1 message).\n',
    );
    expect((await cwm('branch', 'new', 's', 'other', '--stay')).stdout).toBe(
      'Session s is on branch try (1 message).\n',
    );
    expect((await cwm('branch', 'list', 's')).stdout).toMatch(/^ +BRANCH +MESSAGES +TOKENS +SHARED +SYSTEM PROMPT\n/);
    expect((await cwm('branch', 'switch', 's', 'main')).stdout).toBe('Session s is on branch main (2 messages).\n');
    expect((await cwm('branch', 'rename', 's', 'try', 'tried')).stdout).toBe('Branch try is called tried now.\n');
    expect((await cwm('branch', 'compare', 's', 'tried')).stdout).toMatch(
      /^tried and main share 1 message .*\nOnly tried has 0 messages: none\.\nOnly main has 1 message: \S+\.\n$/,
    );
    expect((await cwm('branch', 'delete', 's', 'tried')).stdout).toBe('Deleted branch tried.\n');
    expect((await cwm('branch', 'list', 's')).stdout).not.toContain('tried');
  });

  it('S4-02 takes the number of a message on its branch for its id, as the list of messages has it', async () => {
    const backend = await start();
    const { question, answer } = await talked(backend);
    const cwm = person(backend);
    const { stdout } = await cwm('session', 'messages', 's');
    expect(stdout).toMatch(/^ +MESSAGE +WHO +PROMPTED +REUSED +GENERATED +TEXT\n/);
    expect(stdout).toMatch(new RegExp(`^1 +${question} +You +What is a prefix cache good for\\?$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^2 +${answer} +Model +\\d+ +\\d+ +4 `, 'm'));
    expect((await cwm('session', 'messages', 's', '--last', '1')).stdout).toMatch(/^2 .*\n1 of 2\n$/m);
    expect((await cwm('branch', 'new', 's', 'try', '--at', '1')).stdout).toBe(
      'Session s is on branch try (1 message).\n',
    );
    await cwm('branch', 'merge', 's', 'main', '--how', 'cherry-pick', '--message', '2');
    expect((await backend.client.call('listMessages', { session: 's' })).items.at(-1)?.copyOf).toBe(answer);
    expect((await cwm('branch', 'rollback', 's', '1')).stdout).toBe('Session s is on branch try (1 message).\n');
    expect((await cwm('branch', 'rollback', 's', '9')).stderr).toContain('The branch has 1 message, and no number 9.');
    await cwm('edit', 's', '1', 'Another question?', '--max-tokens', '2');
    const { items } = await backend.client.call('listMessages', { session: 's' });
    expect(textOf(items[0]!)).toBe('Another question?');
  });

  it('brings messages of another branch over, and goes back to an earlier one', async () => {
    const backend = await start();
    const { question, answer } = await talked(backend);
    const cwm = person(backend);
    await cwm('branch', 'new', 's', 'try', '--at', question);
    expect((await cwm('branch', 'merge', 's', 'main', '--how', 'cherry-pick', '--message', answer)).stdout).toBe(
      'Session s is on branch try (2 messages).\n',
    );
    expect((await cwm('branch', 'rollback', 's', question)).stdout).toBe('Session s is on branch try (1 message).\n');
  });

  it('has a system prompt of its own, or that of the session again', async () => {
    const backend = await start();
    await talked(backend);
    const cwm = person(backend);
    await cwm('prompt', 'set', 'brief', 'Be brief.');
    await cwm('branch', 'new', 's', 'try');
    expect((await cwm('branch', 'prompt', 's', 'try', 'brief', '--break-prefix')).stdout).toBe(
      'Branch try has the system prompt brief.\n',
    );
    expect((await cwm('branch', 'prompt', 's', 'try', '--break-prefix')).stdout).toBe(
      'Branch try has the system prompt of the session.\n',
    );
  });
});

describe('another answer', () => {
  it('is generated to an edited message, to the same message, or behind an answer that was cut', async () => {
    const backend = await start();
    const { question } = await talked(backend);
    const cwm = person(backend);
    const branches = async (): Promise<number> =>
      (await backend.client.call('listBranches', { session: 's' })).items.length;
    expect((await cwm('edit', 's', question, 'And a suffix cache?', '--max-tokens', '4')).code).toBe(0);
    expect(await branches()).toBe(2);
    expect((await cwm('regenerate', 's', '--branch', 'again', '--max-tokens', '4')).code).toBe(0);
    expect(await branches()).toBe(3);
    const before = (await backend.client.call('listMessages', { session: 's' })).items.at(-1)!;
    const continued = await cwm('continue', 's', '--max-tokens', '4');
    expect(continued).toMatchObject({ code: 0 });
    const after = (await backend.client.call('listMessages', { session: 's' })).items.at(-1)!;
    expect(textOf(after).startsWith(textOf(before))).toBe(true);
    expect(textOf(after).length).toBeGreaterThan(textOf(before).length);
  });
});

describe('cwm prompt', () => {
  it('stores a system prompt from its argument or a file, and lists, shows and deletes it', async () => {
    const backend = await start();
    const cwm = person(backend);
    expect((await cwm('prompt', 'set', 'brief', 'Be\nbrief.')).stdout).toBe(
      'Stored system prompt brief. Sessions get it with "cwm session set".\n',
    );
    const file = join(backend.storage, 'long.txt');
    writeFileSync(file, 'Be long.'.repeat(200));
    await cwm('prompt', 'set', 'long', '--file', file);
    expect((await cwm('prompt', 'list')).stdout).toMatch(
      /^PROMPT +CHARACTERS +BEGINS WITH\n(?:default .*\n)?brief +9 +Be brief\.\nlong +1,600 +Be long\./,
    );
    expect((await cwm('prompt', 'show', 'brief')).stdout).toBe('Be\nbrief.\n');
    expect((await cwm('prompt', 'delete', 'brief')).stdout).toBe('Deleted system prompt brief.\n');
    expect(await cwm('prompt', 'show', 'brief')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no system prompt "brief".'),
    });
  });

  it('wants the text or a file, not both and not neither', async () => {
    const backend = await start();
    for (const given of [[], ['text', '--file', 'x']]) {
      expect(await person(backend)('prompt', 'set', 'brief', ...given)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('ive the text of the prompt or --file <path>'),
      });
    }
  });
});
