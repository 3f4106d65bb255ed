import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { FakeTerminal, type Outcome } from './support/fakeTerminal.ts';
import { linesOf } from './support/scriptedPrompter.ts';

const start = wholeBackends();

/** A person who types these lines into `cwm chat`, and what they see. */
async function chat(
  { storage }: WholeBackend,
  args: readonly string[],
  lines: readonly string[],
  presses: { readonly ctrlCAfterFirstText?: boolean; readonly ctrlCAfter?: () => Promise<unknown> } = {},
): Promise<Outcome> {
  const terminal = new FakeTerminal({ prompter: linesOf(lines) });
  if (presses.ctrlCAfterFirstText) {
    terminal.onOut = () => {
      terminal.onOut = () => undefined;
      terminal.person.pressCtrlC();
    };
  }
  void presses.ctrlCAfter?.().then(() => terminal.person.pressCtrlC());
  const code = await runCommandLine(['chat', ...args, '--storage', storage], terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

const messagesOf = async ({ client }: WholeBackend, session: string) =>
  (await client.call('listMessages', { session })).items.map(({ role, content }) => [
    role,
    content.type === 'text' ? content.text : content.type,
  ]);

describe('cwm chat', () => {
  it('sends each line as a message, and prints answers on stdout and what they cost on stderr', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    const { code, stdout, stderr } = await chat(backend, ['s'], ['What is a prefix cache?', '', 'And a salt?']);
    expect(code).toBe(0);
    const messages = await messagesOf(backend, 's');
    expect(messages.map(([role]) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(stdout).toBe(`${messages[1]?.[1]}\n${messages[3]?.[1]}\n`);
    expect(stderr).toMatch(/^Session s: empty\. Type \/help/);
    expect(stderr.match(/\[\d+ tokens.* in all\]/g)).toHaveLength(2);
  });

  it('a line that ends with a backslash continues on the next one', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    await chat(backend, ['s'], ['first line\\', 'second line']);
    expect(await messagesOf(backend, 's')).toContainEqual(['user', 'first line\nsecond line']);
  });

  it('without a session it creates one for the folder, and the next time continues it', async () => {
    const backend = await start();
    await chat(backend, [], ['Hello.']);
    const { stderr } = await chat(backend, [], ['Hello again.', '/exit', 'never sent']);
    expect(stderr).toMatch(/^Hello\. \(session .+\): 2 messages, \d+ tokens\./);
    const { items } = await backend.client.call('listSessions', {});
    expect(items).toHaveLength(1);
    expect(await messagesOf(backend, items[0]?.id ?? '')).toHaveLength(4);
  });

  it('Ctrl-C stops the answer, and the conversation continues', async () => {
    const fake = await FakeVllm.start();
    try {
      const backend = await start({ engine: fake.url });
      await backend.client.call('createSession', { id: 's' });
      fake.faults.http = { kind: 'silence', afterChunks: 3, path: '/v1/chat', times: 1 };
      const { code, stderr } = await chat(backend, ['s'], ['Hello.', 'And now?'], { ctrlCAfterFirstText: true });
      expect(stderr).toContain('[The answer was stopped. /continue gets the rest.]\n');
      expect(stderr).toMatch(/rest\.\]\n\[\d+ tokens/);
      expect(code).toBe(0);
    } finally {
      await fake.stop();
    }
  });

  it('Ctrl-C before the first word of an answer keeps the message, and /retry sends it again', async () => {
    const fake = await FakeVllm.start();
    try {
      const backend = await start({ engine: fake.url });
      await backend.client.call('createSession', { id: 's' });
      fake.faults.http = { kind: 'silence', afterChunks: 0, path: '/v1/chat', times: 1 };
      const isAsked = () => fake.untilRequests('/v1/chat/completions', 1);
      const { code, stderr } = await chat(backend, ['s'], ['Hello.', '/retry', '/retry'], { ctrlCAfter: isAsked });
      expect(stderr).toContain('[It was stopped before the answer began. /retry sends your message again.]\n');
      expect(await messagesOf(backend, 's')).toMatchObject([
        ['user', 'Hello.'],
        ['assistant', expect.any(String)],
      ]);
      expect(stderr).toContain('No message waits for an answer.');
      expect(code).toBe(0);
    } finally {
      await fake.stop();
    }
  });

  it('a failure ends only the message, and says what happened', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    const { code, stdout, stderr } = await chat(backend, ['s'], ['/continue', '/nothing', '/help', 'Hello.']);
    expect(stderr).toContain('(CWM-1003)');
    expect(stderr).toContain('There is no command /nothing.');
    expect(stderr).toContain('another answer to the last message');
    expect(stdout).not.toBe('');
    expect(code).toBe(0);
  });

  it('decides on tool calls: none waits here, and both say so; what /approve takes is said', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    const lines = ['/approve', '/approve session', '/deny too risky', '/approve all', '/help'];
    const { code, stderr } = await chat(backend, ['s'], lines);
    expect(stderr.match(/\(CWM-\d+\)/g)).toHaveLength(3);
    expect(stderr).toContain('Type "/approve" or "/approve session".');
    expect(stderr).toContain('/deny REASON   refuse');
    expect(await messagesOf(backend, 's')).toEqual([]);
    expect(code).toBe(0);
  });

  it('S4-03 shows a question with its answers: a number chooses one, and any other text is an answer', async () => {
    const fake = await FakeVllm.start();
    try {
      const backend = await start({ engine: fake.url });
      await backend.client.call('createSession', { id: 's', tools: { policy: 'manual' } });
      const asks = { name: 'ask_user', arguments: '{"question":"Which colour?","choices":["red","blue"]}' };
      fake.faults.toolCalls = [[asks], [asks], []];
      const { code, stderr } = await chat(backend, ['s'], ['Paint it.', '2']);
      expect(code).toBe(0);
      expect(stderr).toContain('[the model asks: Which colour?]\n[1. red]\n[2. blue]');
      const again = await chat(backend, ['s'], ['As you like.', 'And now?']);
      expect(again.stderr).toContain('the model asks: Which colour?');
      const { items } = await backend.client.call('listMessages', { session: 's' });
      const results = items.flatMap(({ content }) => (content.type === 'tool-result' ? [content.text] : []));
      expect(results).toEqual(['blue', 'As you like.']);
      expect(items).toHaveLength(8);
    } finally {
      await fake.stop();
    }
  });

  it('gives another answer on a branch, and makes a checkpoint', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    const { stdout } = await chat(backend, ['s'], ['Hello.', '/again', '/freeze first']);
    expect(stdout).toMatch(/Window +first/);
    expect((await backend.client.call('listBranches', { session: 's' })).items).toHaveLength(2);
    expect((await backend.client.call('getSession', { session: 's' })).lifecycle).toBe('active');
  });
});
