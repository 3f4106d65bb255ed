import { describe, expect, test } from 'vitest';
import { contentOf } from '../../src/gateway/formats/content.ts';
import { readChatRequest } from '../../src/gateway/formats/chat/chatCompletions.ts';
import { chatItem } from '../../src/gateway/formats/chat/chatCompletions.ts';
import type { Asked } from '../../src/gateway/formats/item.ts';
import { canonical, toolsKey } from '../../src/gateway/recognition/canonical.ts';
import { clientOf, conversationName } from '../../src/gateway/recognition/clientIds.ts';
import { asProject, projectOf } from '../../src/gateway/recognition/project.ts';
import { Recogniser, type Asker } from '../../src/gateway/recognition/recogniser.ts';
import { scratchInMemory } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';

const same = (one: object, other: object): void => expect(canonical(chatItem(one))).toBe(canonical(chatItem(other)));
const different = (one: object, other: object): void =>
  expect(canonical(chatItem(one))).not.toBe(canonical(chatItem(other)));

describe('the canonical form of a message', () => {
  test('1: a text and a list of one text are the same (Claude Code switches, Pi and Qwen send parts)', () => {
    for (const type of ['text', 'input_text', 'output_text'])
      same({ role: 'user', content: 'Say hi' }, { role: 'user', content: [{ type, text: 'Say hi' }] });
    different({ role: 'user', content: 'Say hi' }, { role: 'user', content: 'Say ho' });
  });

  test('2: cache_control is no part of it, since it moves with each turn (Claude Code, VS Code)', () => {
    const marked = { type: 'text', text: 'Say hi', cache_control: { type: 'ephemeral' } };
    same({ role: 'user', content: [marked] }, { role: 'user', content: 'Say hi' });
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    expect(contentOf([{ ...image, cache_control: {} }]).others).toEqual(contentOf([image]).others);
    expect(toolsKey([{ name: 'read', cache_control: {} }])).toBe(toolsKey([{ name: 'read' }]));
  });

  test('3: the id of a call is no part of it (a fork of Codex has other ones)', () => {
    const call = (id: string): object => ({
      role: 'assistant',
      content: null,
      tool_calls: [{ id, type: 'function', function: { name: 'read', arguments: '{"path":"a.txt"}' } }],
    });
    same(call('call_1'), call('fc_ab'));
  });

  test('4: the order of keys in the schema of a tool is no part of it (Vibe, on resume)', () => {
    const tool = (parameters: object): object => ({ type: 'function', function: { name: 'bash', parameters } });
    const one = { type: 'object', properties: { command: { type: 'string', title: 'Command' } } };
    const other = { properties: { command: { title: 'Command', type: 'string' } }, type: 'object' };
    expect(toolsKey([tool(one)])).toBe(toolsKey([tool(other)]));
    expect(toolsKey([tool(one)])).not.toBe(toolsKey([tool({ type: 'object' })]));
  });

  test('5: arguments are the JSON that they stand for (compact again in OpenCode, spaced in LangChain)', () => {
    const call = (given: string): object => ({
      role: 'assistant',
      content: '',
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'read', arguments: given } }],
    });
    same(call('{"path": "a.txt", "lines": [1, 2]}'), call('{"lines":[1,2],"path":"a.txt"}'));
    different(call('{"path":"a.txt"}'), call('{"path":"b.txt"}'));
    same(call('{"path": half'), call('{"path": half '));
  });

  test('6: no content, null and "" are the same beside a call (OpenCode, VS Code and Continue send "")', () => {
    const calls = { tool_calls: [{ id: 'c', type: 'function', function: { name: 'ls', arguments: '{}' } }] };
    same({ role: 'assistant', content: null, ...calls }, { role: 'assistant', content: '', ...calls });
    same({ role: 'assistant', ...calls }, { role: 'assistant', content: '', ...calls });
  });

  test('7: blanks around it are no part of it (aider reads its history back from Markdown)', () => {
    same({ role: 'assistant', content: '\nAnswer number 1.\n' }, { role: 'assistant', content: 'Answer number 1.' });
    different({ role: 'assistant', content: 'Answer  number 1.' }, { role: 'assistant', content: 'Answer number 1.' });
  });

  test('who is named as the speaker is a part of it, and the older form of a call is a call', () => {
    different({ role: 'user', name: 'Ann', content: 'Hi.' }, { role: 'user', name: 'Bob', content: 'Hi.' });
    different({ role: 'user', name: 'Ann', content: 'Hi.' }, { role: 'user', content: 'Hi.' });
    same({ role: 'tool', name: 'read', content: 'a' }, { role: 'tool', content: 'a' });
    const called = (path: string): object => ({ name: 'read', arguments: `{"path":"${path}"}` });
    const older = (path: string): object => ({ role: 'assistant', content: null, function_call: called(path) });
    different(older('a.txt'), older('b.txt'));
    same(older('a.txt'), {
      role: 'assistant',
      content: '',
      tool_calls: [{ id: 'c', type: 'function', function: called('a.txt') }],
    });
  });

  test('8: reasoning is no part of it, and is there beside it (five clients send it back, six do not)', () => {
    const thought = { role: 'assistant', content: 'Hi.', reasoning_content: 'Let me think about 1.' };
    same(thought, { role: 'assistant', content: 'Hi.' });
    expect(chatItem(thought).reasoning).toBe('Let me think about 1.');
    const answer = { role: 'assistant', content: 'Hi.' };
    for (const tag of ['think', 'thinking-content-7bbe'])
      same({ role: 'assistant', content: `\n<${tag}>\nHm.\n</${tag}>\n\nHi.` }, answer);
    for (const content of ['<think>Hi.', 'Hi. <think>a</think>', '<thank>a</thank>Hi.'])
      different({ role: 'assistant', content }, answer);
    different({ role: 'user', content: '<think>Hm.</think>Hi.' }, { role: 'user', content: 'Hi.' });
  });
});

const asker: Asker = { client: 'OpenCode', project: null, key: null };
const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });
const system = (content: string): object => ({ role: 'system', content });
const tool = { type: 'function', function: { name: 'read', parameters: {} } };

function client(recogniser = new Recogniser(new ScratchIndex(scratchInMemory()))) {
  let now = 0;
  const ask = (messages: readonly object[], as: Partial<Asker> = {}, more: object = {}) => {
    const asked = readChatRequest({ model: 'm', messages, tools: [tool], stream: true, ...more }) as Asked;
    return recogniser.recognise(asked, { ...asker, ...as }, (now += 1000));
  };
  /** A request and its answer. */
  const turn = (messages: readonly object[], answer: string, as: Partial<Asker> = {}) => {
    const found = ask(messages, as);
    if (found?.kind !== 'turn') throw new Error('It is no turn.');
    const said = recogniser.conversations.add(found.conversation, found.last, chatItem(assistant(answer)), true);
    return {
      session: found.conversation.session,
      known: found.known,
      at: said.length,
      before: said.before?.before?.id,
    };
  };
  return { ask, turn };
}

describe('whose turn a request is', () => {
  const hi = [system('You code.'), user('Say hi')];
  const again = [...hi, assistant('Hi.'), user('And again')];

  test('a client without an id goes on where its messages end', () => {
    const { turn } = client();
    const first = turn(hi, 'Hi.');
    const second = turn(again, 'Hi again.');
    expect(second).toMatchObject({ session: first.session, known: 2, at: 4 });
  });

  test('the same first words begin another conversation, unless the first request still has no answer', () => {
    const { ask, turn } = client();
    const one = ask(hi);
    const retried = ask(hi);
    expect(retried?.conversation?.session).toBe(one?.conversation?.session);
    const { session } = turn(hi, 'Hi.');
    expect(ask(hi)?.conversation?.session).not.toBe(session);
  });

  test('what has no answer is forgotten with the last request that waits for one', () => {
    const recogniser = new Recogniser(new ScratchIndex(scratchInMemory()));
    const { ask, turn } = client(recogniser);
    const [one, other] = [ask(hi), ask(hi)];
    expect(other?.conversation).toBe(one?.conversation);
    recogniser.ended(one);
    expect(ask(hi)?.conversation).toBe(one?.conversation);
    for (let left = 0; left < 2; left++) recogniser.ended(other);
    expect([recogniser.conversations.unstored, recogniser.known.recent.size]).toEqual([0, 0]);
    const { session } = turn(hi, 'Hi.');
    recogniser.ended(ask(again));
    expect(recogniser.conversations.unstored).toBe(2);
    expect(turn(again, 'Hi again.')).toMatchObject({ session, known: 2 });
  });

  test('a changed earlier message and a fork go on in the same session, behind what they have in common', () => {
    const { turn } = client();
    const { session } = turn(hi, 'Hi.');
    turn(again, 'Hi again.');
    const forked = turn([...hi, assistant('Hi.'), user('Another way')], 'Hello.', { key: 'another id' });
    expect(forked).toMatchObject({ session, known: 2, at: 4 });
  });

  test('an answer that is asked for again stands beside the one before', () => {
    const { turn } = client();
    const { session } = turn(hi, 'Hi.');
    turn(again, 'Hi again.');
    expect(turn(again, 'Hi once more.')).toMatchObject({ session, known: 3, at: 4 });
  });

  const [one, two, three] = [user('One'), user('Two'), user('Three')];

  test.each([
    ['left out', []],
    ['said as ""', [assistant('')]],
    ['said as null', [{ role: 'assistant', content: null }]],
    ['said as a blank', [assistant(' \n')]],
    ['said as reasoning only', [assistant('<think>Hm.</think>')]],
  ])('11: a conversation goes on behind an empty answer that is %s (Codex, with small models)', (_, empty) => {
    const { turn } = client();
    const first = turn([one], '');
    const second = turn([one, ...empty, two], '');
    expect(second).toMatchObject({ session: first.session, known: 1 + empty.length, at: 4 });
    const third = turn([one, ...empty, two, ...empty, three], 'Hi.');
    expect(third).toMatchObject({ session: first.session, known: 2 + 2 * empty.length, at: 6 });
    // Another time, the client has them, or has them no more.
    for (const before of [[], [assistant('')]])
      expect(turn([one, ...before, two, three, assistant('Hi.'), user('Four')], 'Ho.')).toMatchObject({
        session: first.session,
        at: 8,
      });
  });

  test('11: what is asked again after an empty answer stands beside it, and goes on from the answer that came then', () => {
    const { turn } = client();
    const { session } = turn([one], 'Hi.');
    const before = [one, assistant('Hi.'), two];
    expect(turn(before, '')).toMatchObject({ session, known: 2, at: 4 });
    expect(turn(before, 'Ho.')).toMatchObject({ session, known: 3, at: 4 });
    expect(turn([...before, assistant('Ho.'), three], 'Hu.')).toMatchObject({ session, known: 4, at: 6 });
    expect(turn([...before, three], 'He.')).toMatchObject({ session, known: 3, at: 6 });
    // The same first words begin another conversation, also behind an empty answer.
    const other = turn([user('Hm?')], '');
    expect(turn([user('Hm?')], '').session).not.toBe(other.session);
  });

  test('11: two messages of the user in a row stay what they are, and an empty answer brings no two conversations together', () => {
    const { turn } = client();
    const first = turn([one, two], 'Hi.');
    expect(first.at).toBe(3);
    expect(turn([one, two, assistant('Hi.'), three], 'Ho.')).toMatchObject({ session: first.session, known: 3, at: 5 });
    const empty = turn([user('Red?')], '');
    expect(turn([user('Blue?'), assistant(''), user('Why?')], 'Hi.').session).not.toBe(empty.session);
    expect(turn([user('Blue?'), user('Red?'), user('Why?')], 'Hi.').session).not.toBe(empty.session);
  });

  test('9: a user message that lost its reminder is the same turn, by the answer behind it (aider, Qwen)', () => {
    const { turn } = client();
    const { session } = turn(
      [system('You code.'), user('Say hi\n\n<system-reminder>Sat Nov 28</system-reminder>')],
      'Hi.',
    );
    expect(turn(again, 'Hi again.')).toMatchObject({ session, known: 2, at: 4 });
  });

  test('9: another answer behind the changed message is another conversation', () => {
    const { turn } = client();
    const { session } = turn([system('You code.'), user('Say hi\n\nreminder')], 'Hi.');
    expect(turn([...hi, assistant('Ho.'), user('And again')], 'Hi again.').session).not.toBe(session);
  });

  test('9: what stands between the conversation and each question is behind the answer next time (aider, with files)', () => {
    const { turn } = client();
    const files = [user('I am not sharing any files.'), assistant('Ok.')];
    const told = (text: string): object => user(`${text}\n\nTo suggest changes, return a listing.`);
    const examples = [system('You code.'), user('Change the greeting.'), assistant('greeting.py')];
    const first = turn([...examples, ...files, told('Say hi')], 'Hi.');
    expect(first).toMatchObject({ known: 0, at: 6 });
    const second = [...examples, user('Say hi  \n'), assistant('\nHi.\n\n'), ...files, told('And again')];
    expect(turn(second, 'Hi again.')).toMatchObject({ session: first.session, known: 4, at: 10 });
    const third = [...second.slice(0, 5), user('And again'), assistant('Hi again.'), ...files, told('Once more')];
    expect(turn(third, 'Hi.')).toMatchObject({ session: first.session, known: 6, at: 14 });
    const other = [...examples, user('Say ho'), assistant('Hi.'), ...files, told('And again')];
    expect(turn(other, 'Hi.').session).not.toBe(first.session);
  });

  test('10: a request under the same id with another system prompt and no common message is auxiliary (OpenCode)', () => {
    const { ask, turn } = client();
    const { session } = turn(hi, 'Hi.', { key: 'ses_1' });
    const title = [
      system('You are a title generator.'),
      user('Generate a title for this conversation:'),
      user('Say hi'),
    ];
    expect(ask(title, { key: 'ses_1' }, { tools: [] })).toMatchObject({ kind: 'auxiliary', conversation: { session } });
    expect(turn(again, 'Hi again.', { key: 'ses_1' })).toMatchObject({ session, at: 4 });
  });

  test('a system prompt that changes leaves the conversation what it was', () => {
    const { turn } = client();
    const { session } = turn(hi, 'Hi.');
    expect(turn([system('You code. Today is Sunday.'), ...again.slice(1)], 'Hi again.').session).toBe(session);
  });

  test('a title before the first answer is auxiliary, with or without an id (VS Code)', () => {
    const { ask } = client();
    const title = [
      system(
        'You are an expert in crafting pithy titles for chatbot conversations. You are presented with a chat request.',
      ),
      user('Please write a brief title for the following request:\n\nSay hi'),
    ];
    expect(ask(title, {}, { tools: [] })).toMatchObject({ kind: 'auxiliary' });
  });

  test.each([
    'You are an expert in writing short, catchy, and encouraging progress messages for a coding assistant.',
    'You are an expert in crafting ultra-compact titles for chatbot conversations. You are presented with a chat request, and you reply with only a brief title that captures the main topic of that request.',
    'You are an expert in crafting pithy branch names for Git Repos based on chatbot conversations. You are presented with a chat request.',
    'You are an AI programming assistant, helping a software developer to come with the best git commit message for their code changes.',
    'You are a helpful assistant that summarizes conversations. Given a chat conversation between a user and an AI assistant, describe what the user is trying to accomplish in 5 sentences or less.',
    'You are a helpful AI assistant tasked with summarizing conversations',
    "You are a helpful AI programming assistant to a user who is a software engineer, acting on behalf of the Visual Studio Code editor. Your task is to choose one category from the Markdown table of categories below that matches the user's question.",
    'You are an expert classifier for AI coding assistant prompts. Classify developer requests in context of their workspace and active file across domain, intent, time estimate, and scope.',
    'You are a helpful assistant that parses user queries. The user is a software developer that is asking an AI programming assistant to generate tests.',
  ])("what VS Code's chat asks on its own account is auxiliary, before and after a turn: %s", (prompt) => {
    const { ask, turn } = client();
    const errand = [system(prompt), user('Please do it for the following request:\n\nWhere does the river begin?')];
    expect(ask(errand, {}, { tools: [] })).toMatchObject({ kind: 'auxiliary' });
    turn([system('You code.'), user('Where does the river begin?')], 'In the hills.');
    expect(ask(errand, {}, { tools: [] })).toMatchObject({ kind: 'auxiliary' });
    expect(ask([user(prompt)], {}, { tools: [] }), 'without a system prompt').toMatchObject({ kind: 'auxiliary' });
  });

  test('what quotes the conversation under another prompt and other tools is auxiliary (Qwen, after a turn)', () => {
    const { ask, turn } = client();
    turn([system('You code.'), user('Where does the river begin?')], 'In the hills.');
    const memory = [
      system('You look after notes.'),
      user('Transcript:\nuser: Where does the river begin?\nmodel: In the hills.'),
    ];
    const other = { type: 'function', function: { name: 'write_note', parameters: {} } };
    expect(ask(memory, {}, { tools: [other] })).toMatchObject({ kind: 'auxiliary' });
    expect(ask(memory, { client: 'another' }, { tools: [other] })).toMatchObject({ kind: 'turn' });
  });

  test('an id decides between two conversations that fit', () => {
    const { turn } = client();
    const one = turn(hi, 'Hi.', { key: 'x' });
    const other = turn(hi, 'Hi.', { key: 'y' });
    expect(other.session).not.toBe(one.session);
    expect(turn(again, 'Hi again.', { key: 'x' }).session).toBe(one.session);
  });

  test('two conversations that say the same under two system prompts, or two ids, stay two', () => {
    const said = (prompt: string, count: number): object[] => {
      const turns = Array.from({ length: count - 1 }, (_, at) => [user(`Question ${at}?`), assistant('Yes.')]).flat();
      return [system(prompt), ...turns, user(`Question ${count - 1}?`)];
    };
    for (const [one, other] of [
      [{ prompt: 'You code.' }, { prompt: 'You cook.' }],
      [
        { prompt: 'You code.', key: 'x' },
        { prompt: 'You code.', key: 'y' },
      ],
    ] as const) {
      const { turn } = client();
      const ask = ({ prompt, ...as }: { readonly prompt: string; readonly key?: string }, count: number) =>
        turn(said(prompt, count), 'Yes.', as);
      const [first, second] = [ask(one, 1), ask(other, 1)];
      expect(second.session).not.toBe(first.session);
      for (let count = 2; count < 5; count++) {
        expect(ask(one, count)).toMatchObject({ session: first.session, known: 2 * count - 2 });
        expect(ask(other, count)).toMatchObject({ session: second.session, known: 2 * count - 2 });
      }
    }
    const { turn } = client();
    const { session } = turn(said('Today is Monday.', 1), 'Yes.');
    turn(said('Today is Monday.', 2), 'Yes.');
    turn(said('Today is Tuesday.', 1), 'Yes.');
    expect(turn(said('Today is Tuesday.', 3), 'Yes.')).toMatchObject({ session, known: 4 });
  });

  test('an id brings nothing together that has nothing in common', () => {
    const { turn } = client();
    const one = turn([system('You code.'), user('Red?')], 'Red.', { key: 'x' });
    expect(turn([system('You code.'), user('Blue?')], 'Blue.', { key: 'x' }).session).not.toBe(one.session);
  });

  test('a key of a cache is no name: under another system prompt, another conversation begins', () => {
    const { ask, turn } = client();
    const { session } = turn(hi, 'Hi.', { key: 'x', isOfCache: true });
    const other = ask([system('You cook.'), user('Say hi')], { key: 'x', isOfCache: true });
    expect(other?.kind).toBe('turn');
    expect(other?.conversation?.session).not.toBe(session);
  });

  test('two clients and two projects under one id do not meet', () => {
    const header = (name: string): string | null => (name === 'x-session-id' ? 'ses_1' : null);
    const key = (client: string, project: string | null): string | null =>
      conversationName(header, {}, client, project === null ? null : asProject(project)).key;
    expect(new Set([key('OpenCode', null), key('Vibe', null), key('Vibe', 'one'), key('Vibe', 'two')]).size).toBe(4);
    expect(key('Vibe', 'one')).toBe(key('Vibe', 'one'));
  });

  test('programs on one library are told apart by their titles', () => {
    const of = (title: string | null): string =>
      clientOf((name) => (name === 'user-agent' ? 'OpenAI/JS 4.1' : name === 'x-title' ? title : null));
    expect([of('Cline'), of('Roo'), of(null), of('openai')]).toEqual([
      'OpenAI Cline',
      'OpenAI Roo',
      'OpenAI',
      'OpenAI',
    ]);
  });

  test('what repeats the words of another conversation is no errand, nor is its next turn', () => {
    const { ask, turn } = client();
    turn([system('You code.'), user('Explain the code')], 'It adds.');
    const architect = [system('You plan.'), user('Explain the code in foo.ts and fix it')];
    const other = { tools: [{ type: 'function', function: { name: 'plan', parameters: {} } }] };
    expect(ask(architect, {}, other)).toMatchObject({ kind: 'turn' });
    expect(ask([system('You plan.'), user('Explain the code\nin foo.ts')], {}, other)).toMatchObject({ kind: 'turn' });
    const next = [...architect, assistant('Done.'), user('Thanks')];
    expect(ask(next, {}, other)).toMatchObject({ kind: 'turn' });
  });

  test.each(['Always provide the file name in your message.', 'Suggest a branch name with each request.'])(
    'a system prompt that speaks of names is no errand: %s',
    (prompt) => {
      expect(client().ask([system(prompt), user('Say hi')])).toMatchObject({ kind: 'turn' });
    },
  );

  test('who asks for a summary behind the conversation is told by what else the request has', () => {
    const { ask, turn } = client();
    turn(hi, 'Hi.');
    const words = `Summarize the conversation so far. ${'Leave nothing out. '.repeat(20)}`;
    const behind = [...hi, assistant('Hi.'), user(words)];
    expect(ask(behind, {}, { tools: [] })).toMatchObject({ kind: 'auxiliary' });
    expect(ask(behind)).toMatchObject({ kind: 'turn' });
  });

  test('what is asked behind the conversation under the prompt of a helper is auxiliary (Qwen, after a turn)', () => {
    const { ask, turn } = client();
    const { session } = turn(hi, 'Hi.');
    const helper = system('You are now acting as the managed memory extraction subagent for an AI coding assistant.');
    const behind = [helper, user('Say hi'), assistant('Hi.'), user('Managed memory has TWO directories.')];
    const other = { type: 'function', function: { name: 'write_file', parameters: {} } };
    expect(ask(behind, {}, { tools: [other] })).toMatchObject({ kind: 'auxiliary', conversation: { session } });
    expect(turn(again, 'Hi again.')).toMatchObject({ session, known: 2, at: 4 });
    expect(ask([helper, user('Begin')])).toMatchObject({ kind: 'auxiliary' });
  });

  test('a conversation is recent by its last use, so that what is about it is told after many others', () => {
    const { ask, turn } = client();
    for (let i = 0; i < 20; i++) turn([system('You code.'), user(`Other ${i}`)], 'Yes.');
    turn([system('You code.'), user('Other 0'), assistant('Yes.'), user('Where does it end?')], 'There.');
    const notes = [system('You look after notes.'), user('Transcript:\nuser: Where does it end?\nmodel: There.')];
    expect(ask(notes, {}, { tools: [] })).toMatchObject({ kind: 'auxiliary' });
  });

  test('the same words in another project are another conversation', () => {
    const { turn } = client();
    const { session } = turn(hi, 'Hi.', { project: asProject('one') });
    expect(turn(again, 'Hi.', { project: asProject('two') }).session).not.toBe(session);
  });
});

describe('the project of a request', () => {
  const none = (): null => null;
  const asked = (system: string, text = 'Say hi'): Asked => ({
    model: null,
    streams: true,
    system,
    items: [{ role: 'user', text }],
    tools: [],
  });

  test.each([
    ['OpenCode', '<env>\n  Working directory: /home/me/app\n  Is directory a git repo: yes\n</env>'],
    ['Pi', 'Current date: Sat Nov 28\nCurrent working directory: /home/me/app'],
    ['Claude Code', '# Environment\n - Primary working directory: /home/me/app\n - Platform: linux'],
    ['VS Code', 'I am working in a workspace with the following folders:\n- /home/me/app \nI am working'],
    ['Codex', '<environment_context>\n  <cwd>/home/me/app</cwd>\n</environment_context>'],
    ['gptme', '<workspace>\n<working-directory>/home/me/app</working-directory>\n</workspace>'],
    ['gptme', '## Session Context\n\n**Working Directory:** /home/me/app\n'],
    ['Qwen', "I'm currently working in the directory: /home/me/app\nHere is the folder"],
  ])('is the folder that the prompt of %s names', (_, text) => {
    const expected = { project: 'file:///home/me/app', isExplicit: false };
    expect(projectOf(null, none, asked(text))).toEqual(expected);
    expect(projectOf(null, none, asked('You code.', text))).toEqual(expected);
  });

  test('is what path or header say before that', () => {
    const text = 'Working directory: /home/me/app';
    expect(projectOf('demo', none, asked(text))).toEqual({ project: 'project://demo', isExplicit: true });
    expect(projectOf(null, (name) => (name === 'x-cwm-project' ? '/srv/my app/' : null), asked(text))).toEqual({
      project: 'file:///srv/my%20app',
      isExplicit: true,
    });
  });

  test('is the folder that a header names, whatever the prompt names', () => {
    const inFolder = (name: string) => (name === 'x-cwm-folder' ? 'file:///home/me/open' : null);
    expect(projectOf(null, inFolder, asked('You code.'))).toEqual({
      project: 'file:///home/me/open',
      isExplicit: false,
    });
    expect(projectOf(null, inFolder, asked('Working directory: /home/me/app'))?.project).toBe('file:///home/me/open');
    expect(projectOf('demo', inFolder, null)?.project).toBe('project://demo');
  });

  test('is none that only the result of a tool names, and the first that is named otherwise', () => {
    const tool = { role: 'tool', text: 'Primary working directory: /home/me/other' } as const;
    const first = asked('You code.');
    expect(projectOf(null, none, { ...first, items: [...first.items, tool] })).toBeNull();
    const both = asked('<cwd>/home/me/app</cwd>', tool.text);
    expect(projectOf(null, none, both)?.project).toBe('file:///home/me/app');
  });

  test('is what Codex says of its workspaces', () => {
    const metadata = JSON.stringify({ workspaces: { '/home/me/app': { has_changes: false } } });
    expect(projectOf(null, (name) => (name === 'x-codex-turn-metadata' ? metadata : null), null)).toEqual({
      project: 'file:///home/me/app',
      isExplicit: false,
    });
  });

  test('is none where nothing names one', () => {
    expect(projectOf(null, none, asked('You code.'))).toBeNull();
    expect(projectOf(null, none, asked('Working directory: none'))).toBeNull();
  });

  test('has the same name for a folder of Windows, whichever way its slashes go', () => {
    expect(asProject('C:\\code\\app')).toBe('file:///C:/code/app');
    expect(asProject('file:///C:/code/app/')).toBe('file:///C:/code/app');
  });
});
