import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { chatFormat } from '../../src/gateway/formats/chat/chatFormat.ts';
import { chatItem } from '../../src/gateway/formats/chat/chatCompletions.ts';
import type { Part } from '../../src/gateway/formats/format.ts';
import type { Asked, Item } from '../../src/gateway/formats/item.ts';
import { listOf, objectOf, type JsonObject } from '../../src/gateway/formats/json.ts';
import { messagesFormat } from '../../src/gateway/formats/messages/messagesFormat.ts';
import { responsesFormat } from '../../src/gateway/formats/responses/responsesFormat.ts';
import { canonical, toolsKey } from '../../src/gateway/recognition/canonical.ts';
import { clientOf, conversationName } from '../../src/gateway/recognition/clientIds.ts';
import { projectOf } from '../../src/gateway/recognition/project.ts';
import { Recogniser } from '../../src/gateway/recognition/recogniser.ts';
import { scratchInMemory } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';

/** What real clients sent in their stories, one request a line, and what the model answered (test/clients/makeFixtures.ts). */
const folder = path.join(import.meta.dirname, 'recordings');

interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  readonly answer: Partial<Item> | null;
}

const requestsOf = (client: string): readonly Request[] =>
  readFileSync(path.join(folder, `${client}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Request);

const formatOf = ({ url }: Request) =>
  url.includes('/responses') ? responsesFormat : url.includes('/messages') ? messagesFormat : chatFormat;

const askedOf = (request: Request): Asked => formatOf(request).read(request.body) as Asked;

/** A client's requests as the gateway sees them, each with what it was. */
function replayed(client: string) {
  const recogniser = new Recogniser(new ScratchIndex(scratchInMemory()));
  return requestsOf(client)
    .filter(({ url }) => !url.includes('count_tokens'))
    .map((request, at) => {
      const asked = askedOf(request);
      const header = (name: string): string | null => request.headers[name] ?? null;
      const [, named = null] = /^\/p\/([^/]+)\//.exec(request.url) ?? [];
      const project = projectOf(named, header, asked)?.project ?? null;
      const name = clientOf(header);
      const asker = { client: name, project, ...conversationName(header, request.body, name, project) };
      const found = recogniser.recognise(asked, asker, at * 1000);
      const { answer } = request;
      if (found?.kind === 'turn' && answer) {
        const item: Item = { role: 'assistant', text: '', ...answer };
        recogniser.conversations.add(found.conversation, found.last, item, true);
      }
      return { request, asked, found, project };
    });
}

const clients = readdirSync(folder).map((file) => path.basename(file, '.jsonl'));

/** What the model said, as the gateway has it. */
const answersOf = (client: string): readonly Item[] =>
  requestsOf(client).flatMap(({ answer }) => (answer ? [{ role: 'assistant', text: '', ...answer }] : []));
/** Every message that a client sent, once for each spelling, before a format is read. */
const messagesOf = (client: string): readonly JsonObject[] => [
  ...new Map(
    requestsOf(client)
      .flatMap(({ body }) => [...listOf(body['messages']), ...listOf(body['input'])])
      .map((message) => [JSON.stringify(message), objectOf(message) ?? {}]),
  ).values(),
];
/** Pairs of spellings of what a client said that have the same canonical form. */
function spellings(client: string): readonly (readonly [JsonObject, JsonObject])[] {
  const byForm = new Map<string, JsonObject[]>();
  for (const request of requestsOf(client)) {
    const raw = listOf(request.body['messages'] ?? request.body['input']);
    for (const message of raw) {
      const [item] =
        askedOf({ ...request, body: { ...request.body, messages: [message], input: [message] } })?.items ?? [];
      if (!item || item.role === 'system') continue;
      const form = canonical(item);
      const same = byForm.get(form) ?? [];
      if (!same.some((each) => JSON.stringify(each) === JSON.stringify(message))) same.push(objectOf(message) ?? {});
      byForm.set(form, same);
    }
  }
  return [...byForm.values()].flatMap(([first, ...others]) => others.map((other) => [first!, other] as const));
}
const content = ({ content: said }: JsonObject): string =>
  typeof said === 'string' ? 'text' : said === null ? 'null' : 'parts';

describe('what real clients sent', () => {
  test.each(clients)('S0-17 %s: every request that is a turn belongs to one session of one project', (client) => {
    const all = replayed(client);
    const turns = all.filter(({ found }) => found?.kind === 'turn');
    expect(turns.length).toBeGreaterThan(5);
    expect(new Set(turns.map(({ found }) => found?.conversation?.session)).size).toBe(1);
    expect(new Set(turns.map(({ project }) => project))).toEqual(
      new Set([requestsOf(client)[0]?.url.startsWith('/p/demo') ? 'project://demo' : 'file:///home/user/app']),
    );
    for (const { found } of turns.slice(1)) expect(found).not.toMatchObject({ known: 0 });
  });

  test('1: Claude Code says the same as a text and as parts, and gptme, Pi and Qwen Code in parts only', () => {
    const kinds = spellings('claude-code').map((pair) => pair.map(content).sort().join(' and '));
    expect(kinds).toContain('parts and text');
    for (const client of ['gptme', 'pi', 'qwen-code'])
      expect(new Set(messagesOf(client).flatMap((said) => (said['role'] === 'user' ? [content(said)] : [])))).toEqual(
        new Set(['parts']),
      );
  });

  test('2: Claude Code moves its markers for caches from message to message', () => {
    const isMarked = (message: JsonObject): boolean => JSON.stringify(message).includes('cache_control');
    const moved = spellings('claude-code').filter(([one, other]) => isMarked(one) !== isMarked(other));
    expect(moved.length).toBeGreaterThan(3);
  });

  test('3: a fork of Codex has other ids of its own, and an answer the ids and fields of Responses', () => {
    const [before, forked] = requestsOf('codex')
      .slice(-2)
      .map(({ body }) => listOf(body['input']).map(objectOf));
    const idOf = (at: number) => [before, forked].map((items) => items?.[at]?.['id']);
    expect(new Set(idOf(0)).size).toBe(2);
    const [answer] = (forked ?? []).filter((item) => item?.['role'] === 'assistant');
    expect(answer).toMatchObject({ id: expect.any(String), status: 'completed', content: [{ annotations: [] }] });
    const said = answersOf('codex')[0]!;
    expect(responsesFormat.read({ model: 'm', input: [answer] })?.items.map(canonical)).toEqual([canonical(said)]);
    expect(new Set(requestsOf('codex').map(({ headers }) => headers['thread-id'])).size).toBe(2);
  });

  test('4: Vibe spells a tool in another order of keys once its conversation is resumed', () => {
    const lists = requestsOf('vibe').map(({ body }) => listOf(body['tools']));
    expect(new Set(lists.map((tools) => JSON.stringify(tools))).size).toBe(2);
    expect(new Set(lists.map(toolsKey)).size).toBe(1);
  });

  test('10: OpenCode asks for a title, under another system prompt and the same id, and gptme under none', () => {
    for (const client of ['opencode', 'gptme']) {
      const kinds = replayed(client).map(({ found }) => found?.kind);
      expect(kinds, client).toContain('auxiliary');
      expect(kinds.filter((kind) => kind === 'turn').length, client).toBeGreaterThan(5);
    }
    const ids = requestsOf('opencode').map(({ headers }) => headers['x-session-id']);
    expect(ids[0]).toBe(ids[1]);
  });

  test('10: Qwen Code asks what to remember behind the conversation after a turn, under another prompt and without an id', () => {
    const all = replayed('qwen-code');
    const errands = all.filter(({ asked }) => asked.system.startsWith('You are now acting as the managed memory'));
    expect(errands.length).toBeGreaterThan(3);
    for (const { asked, found } of errands) {
      expect(found?.kind).toBe('auxiliary');
      expect(asked.items.length).toBeGreaterThan(2);
    }
    expect(all.filter(({ found }) => found?.kind === 'turn')).toHaveLength(all.length - errands.length);
  });

  test('5, 6: the arguments of a call come back in another spelling, and no text as null or as an empty one', () => {
    const [called] = answersOf('langchain-openai').flatMap(({ calls = [] }) => calls);
    const back = messagesOf('langchain-openai').find(({ tool_calls: calls }) => calls !== undefined) ?? {};
    expect(called?.arguments).toBe('{"path":"a.txt"}');
    expect(JSON.stringify(back)).toContain(
      JSON.stringify('{"path": "a.txt"}').slice(1, -1).replaceAll('"', '\\"').replaceAll('\\\\', '\\'),
    );
    const said = answersOf('langchain-openai').find(({ calls }) => calls);
    expect(canonical(chatItem(back))).toBe(canonical(said!));
    const kinds = new Set(
      clients.flatMap((client) =>
        messagesOf(client).flatMap((message) =>
          message['tool_calls'] ? [JSON.stringify(message['content'] ?? null)] : [],
        ),
      ),
    );
    expect(kinds).toEqual(new Set(['null', '""']));
  });

  test('7: aider reads what was said back from Markdown, with blanks around it', () => {
    const [answer] = answersOf('aider');
    const back = messagesOf('aider').find(({ content: said }) => said === '\nRed.\n\n');
    expect(answer?.text).toBe('Red.');
    expect(canonical(chatItem(back ?? {}))).toBe(canonical(answer!));
  });

  test('8: the reasoning of an answer comes back as a field, as a part, as text, or not at all', () => {
    const thought = (client: string): Item => answersOf(client).find(({ reasoning }) => reasoning)!;
    const back = (client: string): JsonObject | undefined =>
      messagesOf(client).find(
        (message) => message['role'] === 'assistant' && JSON.stringify(message).includes('Thought of.'),
      );
    for (const client of ['aider', 'gptme', 'cline', 'langchain-openai'])
      expect(canonical(chatItem(back(client) ?? {})), client).toBe(canonical(thought(client)));
    const forms = ['aider', 'gptme', 'claude-code', 'langchain-openai'].map((client) => JSON.stringify(back(client)));
    expect(forms[0]).toContain('<thinking-content-');
    expect(forms[1]).toContain('<think>');
    expect(forms[2]).toContain('"type":"thinking"');
    expect(forms[3]).not.toContain('They want');
  });

  test('9: aider puts files and a reminder around each question, and takes them away from the ones before', () => {
    const [first, second] = requestsOf('aider').map(({ body }) =>
      listOf(body['messages']).map((each) => objectOf(each)?.['content']),
    );
    expect(first?.at(-1)).toMatch(/^Say hi\n\nTo suggest changes/);
    expect(second).toContain('Say hi  \n');
    expect(second?.indexOf('Say hi  \n')).toBeLessThan(second?.indexOf(first?.at(-3)) ?? 0);
    expect(replayed('aider').map(({ found }) => found?.kind === 'turn' && found.known)).toEqual([
      0, 6, 8, 10, 12, 14, 16,
    ]);
  });

  test('9: Qwen Code takes its reminder of the date away from a question that has an answer: the same turn', () => {
    const turns = replayed('qwen-code').filter(({ found }) => found?.kind === 'turn');
    const questions = turns.map(({ request }) => listOf(request.body['messages']).map(objectOf)[1]);
    const reminders = questions.map((said) => JSON.stringify(said).split('The current date is:').length - 1);
    expect(reminders[0]).toBe(1);
    expect(new Set(reminders.slice(1))).toEqual(new Set([0]));
    expect(turns.map(({ found }) => found?.kind === 'turn' && found.known)).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
  });

  test.each(clients)(
    '%s: the places where its own format has the prompt and each message say what was read',
    (client) => {
      for (const request of requestsOf(client)) {
        const { layout } = formatOf(request).own ?? formatOf(request).chat;
        const text = JSON.stringify(request.body);
        const asked = askedOf(request);
        const parts = layout.parts(text, request.body);
        const rawOf = ({ spans }: Part): string => text.slice(spans[0]?.start, spans.at(-1)?.end);
        expect(parts?.said.flatMap(({ items }) => items)).toEqual(asked.items);
        expect(layout.systemOf(parts?.lead.map(rawOf) ?? [])).toBe(asked.system);
        const written = asked.items.flatMap(({ calls = [] }) => calls.map((call) => call.arguments));
        const found = parts?.said.flatMap((part) => {
          const raw = rawOf(part);
          return layout.argumentsIn(raw).map((span) => (span ? raw.slice(span.start, span.end) : ''));
        });
        // A text that holds JSON, or that JSON.
        expect(found?.map((each) => (each.startsWith('"') ? (JSON.parse(each) as string) : each))).toEqual(written);
        const lead = layout.leadOf('You code.').map(({ raw }) => raw);
        expect(layout.systemOf(lead)).toBe('You code.');
      }
    },
  );
});
