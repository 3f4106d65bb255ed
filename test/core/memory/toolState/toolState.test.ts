import { describe, expect, test } from 'vitest';
import type { Tool } from '../../../../src/core/ports/tools.ts';
import { boundCalls } from '../../../../src/core/memory/toolState/boundCalls.ts';
import { fixesOf, procedureLines } from '../../../../src/core/memory/toolState/procedures.ts';
import { callsOf } from '../../../../src/core/memory/toolState/toolHistory.ts';
import { runGuarded } from '../../../../src/core/memory/toolState/toolState.ts';
import type { ToolCall } from '../../../../src/protocol/schemas/toolCall.ts';
import type { JsonObject } from '../../../../src/protocol/schemas/tracker.ts';
import type { Message, MessageContent, Session } from '../../../../src/protocol/schemas/session.ts';
import { coreFixture, never } from '../../coreFixture.ts';
import { aMessage, aSession } from '../../../store/builders.ts';

const tool = (name: string, readsOnly = true): Tool => ({
  name,
  description: '',
  inputSchema: {},
  readsOnly,
  isRepeatable: readsOnly,
  isDestructive: false,
});
const status = { ...tool('status'), isRepeatable: false };
const tools = new Map([tool('read'), tool('list'), tool('write', false), status].map((each) => [each.name, each]));

const runs = (call: ToolCall) => ({ call, given: JSON.parse(call.arguments) as JsonObject });

/** A conversation of one question and calls with their results. */
class Talk {
  readonly messages: Message[] = [aMessage('q', 1, 'Read the file at port 8765.')];
  readonly ran: JsonObject[] = [];
  readonly session: Session;
  constructor(enableVm = true) {
    this.session = aSession({ settings: { memory: { enableVm } } });
  }
  #add(content: MessageContent): void {
    this.messages.push({ ...aMessage(`m${this.messages.length}`, this.messages.length + 1), role: 'tool', content });
  }
  asks(text: string): void {
    this.messages.push(aMessage(`u${this.messages.length}`, this.messages.length + 1, text));
  }
  async call(name: string, given: JsonObject, result: string | null = 'fine'): Promise<string> {
    const id = `c${this.messages.length}`;
    const written = { id, name, arguments: JSON.stringify(given) };
    const [bound] = boundCalls(this, [written], tools);
    this.#add({ type: 'tool-calls', text: '', calls: [written] });
    if (bound?.refused !== undefined) {
      this.#add({ type: 'tool-result', call: id, name, text: bound.refused, outcome: 'denied' });
      return bound.refused;
    }
    const answer = await runGuarded(this, tools.get(name)!, runs(bound!.call), tools, async (resolved) => {
      this.ran.push(resolved);
      return { text: result ?? 'no such file', hasFailed: result === null };
    });
    const outcome = answer.hasFailed ? 'failed' : 'done';
    this.#add({ type: 'tool-result', call: id, name, text: answer.text, outcome });
    return answer.text;
  }
}

describe('the state of tools', () => {
  test('S1-90 each call stands with its arguments, its result and how it ended, and none is made again by itself', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a' }, null);
    await talk.call('read', { path: '/a' });
    expect(callsOf(talk.messages)).toMatchObject([
      { id: 'call-0001', name: 'read', arguments: '{"path":"a"}', outcome: 'failed' },
      { id: 'call-0002', name: 'read', arguments: '{"path":"/a"}', outcome: 'done' },
    ]);
    expect(talk.ran).toEqual([{ path: 'a' }, { path: '/a' }]);
  });

  test('S1-91 a result has a name, which a later call of the turn can use; a name of nothing is reported, and the call does not run', async () => {
    const talk = new Talk();
    expect(await talk.call('read', { path: 'a' }, 'one')).toBe('[$v0]\none');
    expect(await talk.call('list', { path: '${v0}/b', by: ['${read}', '${HOME}'] })).toContain('[$v1]');
    expect(talk.ran.at(-1)).toEqual({ path: 'one/b', by: ['one', '${HOME}'] });
    expect(await talk.call('read', { path: '${v7}' })).toBe(
      "No result of the turn's earlier answers has the name ${v7}.",
    );
    expect(talk.ran).toHaveLength(2);
    talk.asks('And now?');
    expect(await talk.call('read', { path: '${v0}' })).toContain('has the name ${v0}');
  });

  test('S1-91 a result says what it was made from; the name of its own result stays what it is', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a' }, 'one two');
    expect(await talk.call('list', { path: '${v0}' }, 'two')).toBe(
      '[$v1]\n[${v0} stood for 7 characters: "one two"]\ntwo',
    );
    await talk.call('list', { path: '${v1}' }, 'three');
    expect(talk.ran.at(-1)).toEqual({ path: 'two' });
  });

  test('S1-91 a script or a template with names of its own is written as it is', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a' }, 'one');
    const content = 'const text = `${v0} and ${read}`;';
    await talk.call('write', { content, other: '${v0}' });
    expect(talk.ran.at(-1)).toEqual({ content, other: 'one' });
  });

  test('S1-92 a call that refers to another result now is another call, and a tool whose results change runs each time', async () => {
    const talk = new Talk();
    await talk.call('list', { at: 1 }, 'one');
    await talk.call('read', { path: '${list}' }, 'first');
    await talk.call('list', { at: 2 }, 'two');
    expect(await talk.call('read', { path: '${list}' }, 'second')).toContain('second');
    for (const result of ['a', 'b', 'c'])
      expect(await talk.call('status', {}, result)).toMatch(new RegExp(`${result}$`));
  });

  test('S1-91 what waits for the decision has the results in it, and what the model wrote stays in the conversation', async () => {
    const fixture = await coreFixture();
    const written = { id: '2', name: 'book_room', arguments: '{"command":"${v0}"}' };
    fixture.engine.toolCalls = [[{ id: '1', name: 'read_file', arguments: '{}' }], [written]];
    fixture.tools.act = async () => ({ text: 'rm -rf ~', hasFailed: false });
    await fixture.cwm.createSession({
      id: 's',
      memory: { enableVm: true },
      tools: { policy: 'white-list', allowed: ['read_file'] },
    });
    const { pendingTools } = await fixture.cwm.send({ session: 's', text: 'Go.' }, never());
    expect(pendingTools?.calls[0]?.arguments).toBe('{"command":"rm -rf ~"}');
    await fixture.cwm.approveTools({ session: 's' }, never());
    expect(fixture.tools.called.at(-1)).toEqual({ name: 'book_room', given: { command: 'rm -rf ~' } });
    const contents = (await fixture.cwm.listMessages({ session: 's' })).items.map(({ content }) => content);
    expect(contents.flatMap((content) => ('calls' in content ? content.calls : [])).at(-1)).toEqual(written);
  });

  test('S1-92 the same call returns its result again, whatever the order of its arguments, until something may have changed', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a', lines: 3 }, 'one');
    expect(await talk.call('read', { lines: 3, path: 'a' }, 'two')).toBe(
      '[The result of call-0001, which was the same call.]\n[$v0]\none',
    );
    await talk.call('write', { path: 'a' });
    expect(await talk.call('read', { path: 'a', lines: 3 }, 'two')).toContain('two');
    talk.asks('Again.');
    expect(await talk.call('read', { path: 'a', lines: 3 }, 'three')).toContain('three');
  });

  test('S1-93 guards warn, then block, and say so in the result; a call is never changed', async () => {
    const talk = new Talk();
    expect(await talk.call('read', { port: 8765 })).toBe('[$v0]\nfine');
    expect(await talk.call('read', { port: 9999 })).toBe(
      '[$v1]\n[Guard ungrounded: Nobody said 9999 in this conversation.]\nfine',
    );
    for (let at = 0; at < 3; at++) await talk.call('write', { path: 'x' }, null);
    expect(await talk.call('write', { path: 'x' }, null)).toContain('[Guard runaway: the call did not run.');
    for (let at = 0; at < 4; at++) await talk.call('list', { at }, `${at}`);
    expect(await talk.call('list', { at: 5 })).toContain('[Guard budget: 6 calls only read in this turn.');
    for (let at = 10; at < 15; at++) await talk.call('list', { at }, `${at}`);
    expect(await talk.call('list', { at: 20 })).toContain(
      '[Guard cap: the call did not run. The tool list ran 10 times',
    );
    expect(talk.ran.some((given) => given['at'] === 20)).toBe(false);
  });

  test('S1-94 a failure names what worked before, and how such a failure was fixed', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a', mode: 'x' }, null);
    await talk.call('read', { path: '/a', lines: 1 }, 'one');
    const calls = callsOf(talk.messages);
    expect(calls.map(({ id }) => id)).toEqual(['call-0001', 'call-0002']);
    expect(fixesOf(calls, 'read')).toEqual([
      { failed: 'call-0001', fixed: 'call-0002', added: ['lines'], removed: ['mode'], changed: ['path'] },
    ]);
    expect(procedureLines(calls, 'read')).toEqual([
      'Fixed before: call-0002 worked after call-0001 failed (added lines, left out mode, changed path).',
      'Worked before: call-0002 {"path":"/a","lines":1}',
    ]);
    expect(await talk.call('read', { path: 'b' }, null)).toContain('[Fixed before: call-0002 worked');
  });

  test('in a conversation of 10,000 messages each is read once for all the calls of its turns, and what is new with each call', async () => {
    const talk = new Talk();
    let reads = 0;
    for (let at = talk.messages.length; at < 10_000; at++) {
      const { content, ...message } = aMessage(`m${at}`, at + 1, `Line ${at}.`);
      talk.messages.push(Object.defineProperty(message as Message, 'content', { get: () => (reads++, content) }));
    }
    await talk.call('read', { port: 8765 }, 'one');
    const first = reads;
    expect(first).toBeGreaterThan(9_999);
    await talk.call('list', { path: '${v0}', port: 8765 });
    expect(await talk.call('list', { port: 777_777 })).toContain('Nobody said 777777');
    await talk.call('read', { port: 9_998 }, null);
    talk.asks('And now port 4711?');
    expect(await talk.call('read', { port: 4_711 })).toBe('[$v0]\nfine');
    expect(reads).toBe(first);
    expect(talk.ran.slice(0, 2)).toEqual([{ port: 8765 }, { path: 'one', port: 8765 }]);
  });

  test('calls and numbers of a branch are its own, also where another branch of the same messages went on', async () => {
    const talk = new Talk();
    await talk.call('read', { path: 'a' }, 'port 1111');
    const other = new Talk();
    other.messages.splice(0, 1, ...talk.messages);
    await talk.call('read', { path: 'b', port: 1111 }, 'port 2222');
    await other.call('list', { path: 'c', port: 1111 }, 'port 3333');
    expect(await talk.call('list', { port: 3333 })).toContain('Nobody said 3333');
    expect(await other.call('list', { port: 2222 })).toContain('Nobody said 2222');
    expect(callsOf(other.messages).map(({ arguments: given }) => given)).toEqual([
      '{"path":"a"}',
      '{"path":"c","port":1111}',
      '{"port":2222}',
    ]);
    expect(callsOf(talk.messages.slice(0, 3))).toHaveLength(1);
  });

  test('S1-06 without virtual memory a call just runs', async () => {
    const talk = new Talk(false);
    for (let at = 0; at < 12; at++) expect(await talk.call('read', { path: '${v9}' }, 'one')).toBe('one');
    expect(talk.ran).toHaveLength(12);
  });
});
