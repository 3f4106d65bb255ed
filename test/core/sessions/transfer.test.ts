import { describe, expect, test } from 'vitest';
import type { RouteInput } from '../../../src/protocol/api.ts';
import type { Message, MessageContent } from '../../../src/protocol/schemas/session.ts';
import { messageId } from '../../support/ids.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';

const openAi = {
  messages: [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Read it.' },
        { type: 'image_url', image_url: { url: 'data:' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'A file, then.',
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'read', arguments: '{"path":"a"}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: 'the text' },
    { role: 'assistant', content: 'Done.' },
  ],
};
const shareGpt = {
  conversations: [
    { from: 'system', value: 'Be brief.' },
    { from: 'human', value: 'Hello.' },
    { from: 'gpt', value: 'Hi.' },
  ],
};
const vscodeChat = {
  responderUsername: 'GitHub Copilot',
  requests: [
    {
      message: { text: 'What is this?', parts: [] },
      response: [{ value: 'A ' }, { kind: 'progressTask', content: {} }, { value: 'test.' }],
      timestamp: 1_764_400_000_000,
    },
  ],
};
const claudeCode = [
  { type: 'summary', summary: 'A short talk', leafUuid: 'd' },
  {
    type: 'user',
    uuid: 'a',
    parentUuid: null,
    timestamp: '2026-11-01T10:00:00.000Z',
    message: { role: 'user', content: 'Hello.' },
  },
  { type: 'user', uuid: 'x', parentUuid: 'a', isSidechain: true, message: { role: 'user', content: 'aside' } },
  {
    type: 'assistant',
    uuid: 'b',
    parentUuid: 'a',
    message: { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm.' }] },
  },
  {
    type: 'assistant',
    uuid: 'c',
    parentUuid: 'b',
    message: { role: 'assistant', content: [{ type: 'text', text: 'Hi.' }] },
  },
  { type: 'user', uuid: 'm', parentUuid: 'c', isMeta: true, message: { role: 'user', content: '<put in>' } },
  { type: 'user', uuid: 'd', parentUuid: 'm', message: { role: 'user', content: 'And you?' } },
];
const inLines = (values: readonly unknown[]): string => values.map((value) => JSON.stringify(value)).join('\n');

async function imported(content: string, more: Partial<RouteInput<'importConversation'>> = {}) {
  const fixture = await coreFixture();
  const result = await fixture.cwm.importConversation({ content, id: 's', ...more });
  const { items } = await fixture.cwm.listMessages({ session: 's' });
  const said = items.map(({ role, content: each }) => [role, each.type === 'text' ? each.text : each.type]);
  return { ...fixture, result, items, said };
}

describe('a conversation of another program becomes a session', () => {
  test('OpenAI messages: the system prompt is set, calls of tools are text, and what is left out is named', async () => {
    const { result, said, items } = await imported(JSON.stringify(openAi));
    expect(said).toEqual([
      ['user', 'Read it.'],
      ['assistant', 'Tool call read: {"path":"a"}'],
      ['user', 'Tool result: the text'],
      ['assistant', 'Done.'],
    ]);
    expect(items[1]?.content).toMatchObject({ reasoning: 'A file, then.' });
    expect(result.session.settings?.systemPrompt?.text).toBe('Be brief.');
    expect(result.format).toBe('openai');
    expect(result.notes).toEqual([
      'Parts of the kind "image_url" that were left out: 1.',
      'Tool calls that are text now: 1.',
      'Tool results that are text now: 1.',
    ]);
  });

  test.each([1_762_682_400, 1_762_682_400_000, '2025-11-09T10:00:00Z'])(
    'a time is of the year that it says, in seconds, milliseconds or words: %s',
    async (time) => {
      const { items } = await imported(JSON.stringify([{ role: 'user', content: 'Hello.', created_at: time }]));
      expect(items[0]?.createdAt).toBe('2025-11-09T10:00:00.000Z');
    },
  );

  test('ShareGPT, alone and in a list', async () => {
    for (const content of [shareGpt, [shareGpt]]) {
      const { result, said } = await imported(JSON.stringify(content));
      expect(result.format).toBe('sharegpt');
      expect(said).toEqual([
        ['user', 'Hello.'],
        ['assistant', 'Hi.'],
      ]);
    }
  });

  test("VS Code's exported chat, with its times", async () => {
    const { result, said, items } = await imported(JSON.stringify(vscodeChat));
    expect(result.format).toBe('vscode');
    expect(said).toEqual([
      ['user', 'What is this?'],
      ['assistant', 'A test.'],
    ]);
    expect(items[0]?.createdAt).toBe('2025-11-29T07:06:40.000Z');
    expect(result.notes).toEqual(['Parts of the kind "progressTask" that were left out: 1.']);
  });

  const context = (pool: object, more: object = {}) =>
    JSON.stringify({
      id: 'c',
      message_pool: pool,
      branches: { main: { name: 'main', message_ids: ['1', '2', 'gone'], parent_message_id: null }, ...more },
      active_branch_name: 'main',
      current_state: 'Idle',
    });

  test('S4-51 the single file of an earlier design: its active branch in its order, and what is left out is named', async () => {
    const pool = {
      2: { id: '2', parent_id: '1', message: { role: 'Assistant', content: [{ type: 'text', text: 'Hi.' }] } },
      1: { id: '1', role: 'user', content: 'Hello.', created_at: '2025-11-09T10:00:00Z' },
      3: { id: '3', message: { role: 'user', content: { type: 'text', text: 'Another way.' } } },
    };
    const { result, said, items } = await imported(context(pool, { alt: { name: 'alt', message_ids: ['3'] } }));
    expect(result.format).toBe('chat-context');
    expect(said).toEqual([
      ['user', 'Hello.'],
      ['assistant', 'Hi.'],
    ]);
    expect(items[0]?.createdAt).toBe('2025-11-09T10:00:00.000Z');
    expect(result.notes).toEqual([
      'Messages that the file names and does not have: 1.',
      'Messages of other branches that were left out: 1.',
    ]);
  });

  test("Claude Code's log: what leads to the last message, under the log's own title", async () => {
    const { result, said, items } = await imported(inLines(claudeCode));
    expect(result.format).toBe('claude-code');
    expect(result.session.title).toBe('A short talk');
    expect(said).toEqual([
      ['user', 'Hello.'],
      ['assistant', 'Hi.'],
      ['user', 'And you?'],
    ]);
    expect(items[1]?.content).toMatchObject({ reasoning: 'Hm.' });
    expect(result.notes).toEqual(['Messages of other branches that were left out: 1.']);
  });

  test('it continues: the next message is answered behind what was imported', async () => {
    const { cwm, result } = await imported(JSON.stringify(shareGpt));
    const answer = await cwm.send({ session: 's', text: 'And now?' }, never());
    expect(answer.promptTokens).toBeGreaterThan(0);
    const { items, total } = await cwm.listMessages({ session: 's' });
    expect(total).toBe(result.messages + 2);
    expect(items.map(({ parentId }) => parentId)).toEqual([null, ...items.slice(0, -1).map(({ id }) => id)]);
  });

  const refused: Record<string, string> = {
    nothing: '',
    'no JSON': '# Title\n\nHello.',
    'JSON of nobody': '{"a":1}',
    'a number': '42',
    'no message': '{"messages":[{"role":"system","content":"Be brief."}]}',
    'a branch that is none':
      '{"message_pool":{"1":{"role":"user","content":"a"}},"branches":{},"active_branch_name":"constructor"}',
    'several conversations': JSON.stringify([shareGpt, shareGpt]),
    'lists in lists': `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
  };
  for (const [what, content] of Object.entries(refused)) {
    test(`refuses a file that holds ${what}, and creates no session`, async () => {
      const { cwm } = await coreFixture();
      expect(await codeOf(cwm.importConversation({ content }))).toBe('CWM-1003');
      expect((await cwm.listSessions({})).total).toBe(0);
    });
  }

  test('results of tools within results, and half characters, do no harm', async () => {
    const depth = 5000;
    const content = `${'[{"type":"tool_result","content":'.repeat(depth)}"innermost"${'}]'.repeat(depth)}`;
    const { said } = await imported(
      `{"messages":[{"role":"user","content":${content}},{"role":"user","content":"a\\ud800b"}]}`,
    );
    expect(said).toEqual([['user', expect.stringContaining('a\ufffdb')]]);
  });

  test('names that every object has, and names that are no texts, are no roles', async () => {
    const conversations = ['human', 'constructor', 'toString', { toString: 1 }].map((from) => ({ from, value: 'x' }));
    const { said, result } = await imported(JSON.stringify({ conversations }));
    expect(said).toEqual([['user', 'x']]);
    expect(result.notes).toEqual([
      'Messages from "constructor" that were left out: 1.',
      'Messages from "toString" that were left out: 1.',
      'Messages from "object" that were left out: 1.',
    ]);
  });

  test('thousands of messages of one role in a row become one', async () => {
    const messages = Array.from({ length: 20_000 }, () => ({ role: 'user', content: 'the same again' }));
    const { said } = await imported(JSON.stringify(messages));
    expect(said).toHaveLength(1);
    expect(said[0]?.[1]).toHaveLength(20_000 * 'the same again'.length + 19_999 * 2);
  });

  test('a log whose lines lead in a circle ends', async () => {
    const circle = claudeCode.map((line) =>
      'uuid' in line && line.uuid === 'a' ? { ...line, parentUuid: 'd' } : line,
    );
    const { said } = await imported(inLines(circle));
    expect(said).toHaveLength(3);
  });
});

describe('a cwindow file', () => {
  test('that was changed, or written by a later version, says so, and what has no place in a session is named', async () => {
    const file = {
      format: 'cwindow',
      version: 3,
      title: 'From elsewhere',
      system: 'Be brief.',
      messages: [
        { role: 'user', text: 'Changed since.', sha256: 'of something else' },
        { role: 'tool', text: 'the text', createdAt: '2026-11-01T10:00:00.000Z' },
        { role: 'critic', text: 'Nobody knows this role.' },
        { role: 'user', files: [{ path: 'a.ts', text: 'export {};' }], media: [{ mediaType: 'image/png' }] },
      ],
    };
    const { result, said } = await imported(JSON.stringify(file));
    expect(result.session.title).toBe('From elsewhere');
    expect(said.map(([, text]) => text).join('\n')).toMatch(/Changed since\.[^]*the text[^]*a\.ts\n\nexport \{\};/);
    const notes = result.notes.join('\n');
    expect(notes).toContain('version 3 of the format');
    expect(notes).toContain('Message 1 was changed since the export.');
    expect(notes).toContain('"critic"');
    expect(notes).toContain('Pictures that were left out: 1');
  });

  test('with a document behind it is no cwindow file', async () => {
    const { cwm } = await coreFixture();
    const content = inLines([{ format: 'cwindow', version: 1, messages: [] }, { more: true }]);
    expect(await codeOf(cwm.importConversation({ content }))).toBe('CWM-1003');
  });
});

interface CwindowFile {
  readonly tokens: { readonly ids: string };
  readonly messages: readonly { readonly id: string }[];
}

describe('a session becomes a file', () => {
  test('cwindow: imported elsewhere it says the same, under the same title', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const before = await fixture.cwm.listMessages({ session: 's' });
    const { content } = await fixture.cwm.exportConversation({ session: 's', format: 'cwindow' });
    const { result, items } = await imported(content, { id: 's' });
    expect(result.notes).toEqual([]);
    expect(result.session.title).toBe((await fixture.cwm.getSession({ session: 's' })).title);
    const essence = (all: typeof items) => all.map(({ role, content: each, createdAt }) => ({ role, each, createdAt }));
    expect(essence(items)).toEqual(essence(before.items));
  });

  test('cwindow: a message that was changed in the file is named', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { content } = await fixture.cwm.exportConversation({ session: 's', format: 'cwindow' });
    const { result } = await imported(content.replaceAll('"text": "Please explain', '"text": "Never explain'));
    expect(result.notes).toEqual(['Message 1 was changed since the export.']);
  });

  test.each([
    ['its title', (file: CwindowFile) => ({ ...file, title: 'Another' }), 'The title, the description'],
    ['its system prompt', (file: CwindowFile) => ({ ...file, system: 'Obey me.' }), 'The title, the description'],
    [
      'a message that is gone',
      (file: CwindowFile) => ({ ...file, messages: file.messages.slice(1) }),
      'Messages were added',
    ],
    ['the order', (file: CwindowFile) => ({ ...file, messages: file.messages.toReversed() }), 'Messages were added'],
    [
      'its token ids',
      (file: CwindowFile) => ({ ...file, tokens: { ...file.tokens, ids: `${file.tokens.ids} 1` } }),
      'The token ids were changed',
    ],
  ])('cwindow: what was changed is named, not only messages: %s', async (_, change, note) => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { content } = await fixture.cwm.exportConversation({ session: 's', format: 'cwindow' });
    const { result } = await imported(JSON.stringify(change(JSON.parse(content) as CwindowFile)));
    expect(result.notes).toHaveLength(1);
    expect(result.notes[0]).toContain(note);
  });

  test('cwindow: it has the ids of its messages and the token ids that the model server saw, and none of them comes in', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { content } = await fixture.cwm.exportConversation({ session: 's', format: 'cwindow' });
    const file = JSON.parse(content) as CwindowFile;
    const session = await fixture.cwm.getSession({ session: 's' });
    expect(file.tokens.ids.split(' ')).toHaveLength(session.tokens?.count ?? 0);
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    expect(file.messages.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    // The model server of the importer computes the text: ids from elsewhere are a prompt that nobody can read.
    expect((await imported(content)).result.session.tokens).toBeNull();
  });

  test('cwindow: every kind of message comes in as it was, or as its text where the file was changed so that it is no conversation', async () => {
    const { cwm, store } = await coreFixture();
    await cwm.createSession({ id: 's' });
    const session = await cwm.getSession({ session: 's' });
    const call = { id: 'c', name: 'look_up', arguments: '{"what":"ice"}' };
    const asks = { id: 'q', name: 'ask_user', arguments: '{}', question: { text: 'Which?', choices: ['a'] } };
    const said: [Message['role'], MessageContent, Message['cut']?][] = [
      ['user', { type: 'context', files: [{ path: 'a.ts', text: 'export {};' }] }],
      ['user', { type: 'text', text: 'What is ice?' }],
      ['assistant', { type: 'tool-calls', text: 'I look it up.', reasoning: 'Hm.', calls: [call] }],
      [
        'tool',
        {
          type: 'tool-result',
          call: 'c',
          name: 'look_up',
          text: 'Frozen water.',
          outcome: 'failed',
          excerpt: { head: 4, tail: 2 },
        },
      ],
      ['assistant', { type: 'question', text: '', calls: [asks] }],
      ['tool', { type: 'tool-result', call: 'q', name: 'ask_user', text: 'a', outcome: 'done' }],
      ['assistant', { type: 'plan', text: '1. Freeze it.' }],
      ['user', { type: 'text', text: 'Go on.' }],
      ['assistant', { type: 'unknown', kind: 'workflow', whole: { type: 'workflow', text: 'Step 1', steps: [1] } }],
      ['system', { type: 'unknown', kind: 'control', whole: { type: 'control', mode: 'act' } }],
      ['user', { type: 'text', text: 'And?' }],
      ['assistant', { type: 'text', text: 'So' }, 'stopped'],
    ];
    const messages = said.map(([role, content, cut], at): Message => ({
      id: messageId(`m${at + 1}`),
      role,
      parentId: at === 0 ? null : messageId(`m${at}`),
      sequence: at + 1,
      content,
      ...(cut && { cut }),
      createdAt: '2026-01-01T00:00:00.000Z',
    }));
    await store.messages.append(session.id, messages);
    const main = { name: 'main', head: messages.at(-1)!.id, length: messages.length, parentMessageId: null };
    await store.sessions.update({ ...session, branches: { main }, version: session.version + 1 });
    const { content } = await cwm.exportConversation({ session: 's', format: 'cwindow' });
    const { result, items } = await imported(content);
    expect(result.notes).toEqual([]);
    expect(items.map(({ role, content: each, cut }) => [role, each, ...(cut ? [cut] : [])])).toEqual(said);

    const file = JSON.parse(content) as { messages: Record<string, unknown>[] };
    const changed = (at: number, fields: object) =>
      JSON.stringify({
        ...file,
        messages: file.messages.map((each, place) => (place === at ? { ...each, ...fields } : each)),
      });
    for (const broken of [
      changed(3, { call: 'other' }),
      changed(2, { calls: [] }),
      changed(2, { role: 'user' }),
      changed(6, { kind: 'context' }),
      changed(1, { role: 'system' }),
      JSON.stringify({ ...file, messages: file.messages.filter((_, at) => at !== 3) }),
      JSON.stringify({ ...file, messages: file.messages.toSpliced(4, 0, file.messages[3]!) }),
    ]) {
      const text = await imported(broken);
      expect(new Set(text.items.map(({ content: each }) => each.type))).toEqual(new Set(['text']));
      expect(text.result.notes.join(' ')).toContain('since the export');
    }
  });

  test('cwindow: calls of tools whose results are not there come in as text', async () => {
    const { cwm, store } = await coreFixture();
    await cwm.createSession({ id: 's' });
    const session = await cwm.getSession({ session: 's' });
    const at = (
      id: string,
      sequence: number,
      role: 'user' | 'assistant' | 'tool',
      content: MessageContent,
    ): Message => ({
      id: messageId(id),
      role,
      parentId: sequence === 1 ? null : messageId(`m${sequence - 1}`),
      sequence,
      content,
      createdAt: '2026-01-01T00:00:00.000Z',
    });
    const call = { id: 'c', name: 'look_up', arguments: '{"what":"ice"}' };
    const other = { id: 'd', name: 'look_up', arguments: '{}' };
    const messages = [
      at('m1', 1, 'user', { type: 'text', text: 'What is ice?' }),
      at('m2', 2, 'assistant', { type: 'tool-calls', text: 'I look it up.', calls: [call, other] }),
      at('m3', 3, 'tool', { type: 'tool-result', call: 'c', name: 'look_up', text: 'Frozen water.', outcome: 'done' }),
    ];
    await store.messages.append(session.id, messages);
    const main = { name: 'main', head: messageId('m3'), length: 3, parentMessageId: null };
    await store.sessions.update({ ...session, branches: { main }, version: session.version + 1 });
    const { content } = await cwm.exportConversation({ session: 's', format: 'cwindow' });
    expect((await imported(content)).said).toEqual([
      ['user', 'What is ice?'],
      ['assistant', 'I look it up.\n\nTool call look_up: {"what":"ice"}\n\nTool call look_up: {}'],
      ['user', 'Tool result: Frozen water.'],
    ]);
    const openAiForm = JSON.parse((await cwm.exportConversation({ session: 's', format: 'openai' })).content);
    expect(openAiForm.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: 'I look it up.',
        tool_calls: [
          { id: 'c', type: 'function', function: { name: 'look_up', arguments: '{"what":"ice"}' } },
          { id: 'd', type: 'function', function: { name: 'look_up', arguments: '{}' } },
        ],
      },
      { role: 'tool', content: 'Frozen water.', tool_call_id: 'c' },
    ]);
  });

  test('OpenAI messages, as a server takes them', async () => {
    const { cwm } = await imported(JSON.stringify(shareGpt));
    const { content } = await cwm.exportConversation({ session: 's', format: 'openai' });
    expect(JSON.parse(content)).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
        { role: 'assistant', content: 'Hi.' },
      ],
    });
  });
});

test('S0-02 an imported conversation is computed on this machine when it is frozen, and its window thaws like any other', async () => {
  const { cwm } = await coreFixture();
  const content = JSON.stringify(openAi);
  const { session } = await cwm.importConversation({ content });
  expect(session.tokens).toBeNull();
  const frozen = await cwm.freeze({ session: session.id, window: 'from-elsewhere' }, never());
  expect(frozen.notes).not.toContain('nothing');
  const { tokens } = await cwm.getSession({ session: session.id });
  expect(tokens).toMatchObject({ source: 'engine', messageCount: 4 });
  const thawed = await cwm.thaw({ window: 'from-elsewhere', resume: true }, never());
  expect(thawed.verdict).toBe('proven');
  expect((await cwm.send({ session: session.id, text: 'And now?' }, never())).text).toBe('fine');
});

test('a taken name is refused before an imported conversation is computed; an empty session is still refused', async () => {
  const fixture = await coreFixture();
  const { cwm, engine } = fixture;
  await talkedSession(fixture);
  await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
  const { session } = await cwm.importConversation({ content: JSON.stringify(openAi) });
  engine.calls = [];
  expect(await codeOf(cwm.freeze({ session: session.id, window: 'w' }, never()))).toBe('CWM-1003');
  expect(engine.calls.filter((call) => call === 'generate')).toEqual([]);
  await cwm.createSession({ id: 'empty' });
  expect(await codeOf(cwm.freeze({ session: 'empty', window: 'x' }, never()))).toBe('CWM-1003');
});
