import { appendFile, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { changedNote, liveNotes, newNote, scopeOf } from '../../../src/core/memory/notes.ts';
import type { Note } from '../../../src/protocol/memory/records.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { fakeFolders } from '../fakeFolders.ts';
import { projectWith } from '../sessions/projectWith.ts';

const project = 'file:///p';
const why = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (error as CwmError).message,
  );

describe('memories of a scope', () => {
  test('have versions, and a forgotten one gives its id to no other', () => {
    const versions: Note[] = [newNote({ scope: 'user', text: 'Tabs.' }, [], 'a')];
    versions.push(changedNote('u1', 'Spaces.', versions, 'b'));
    expect(liveNotes(versions)).toMatchObject([{ id: 'u1', version: 2, text: 'Spaces.' }]);
    versions.push(changedNote('u1', null, versions, 'c'));
    expect(liveNotes(versions)).toEqual([]);
    expect(newNote({ scope: 'user', text: 'Tabs.' }, versions, 'd').id).toBe('u2');
    expect(() => changedNote('u1', 'x', versions, 'e')).toThrow('There is no memory "u1" here.');
  });

  test('are small and few, and only ids of memories name a scope', () => {
    expect(() => newNote({ scope: 'user', text: 'ä'.repeat(1_025) }, [], 'a')).toThrow('2050 bytes');
    expect(() => newNote({ scope: 'user', text: ' \n' }, [], 'a')).toThrow('no text');
    expect(() => newNote({ scope: 'user', text: '\ud800' }, [], 'a')).toThrow('half a character');
    const many: Note[] = [];
    for (let at = 0; at < 100; at++) many.push(newNote({ scope: 'project', text: 'x' }, many, 'a'));
    expect(() => newNote({ scope: 'project', text: 'x' }, many, 'a')).toThrow('no more fit');
    // Those of tools lie beside the user's, and neither takes the other's room or numbers.
    const users = Array.from({ length: 100 }, (_, at): Note => ({
      type: 'note',
      id: `u${at + 1}`,
      version: 1,
      text: 'x',
      at: 'a',
    }));
    expect(newNote({ scope: 'tool', tool: 'grep', text: 'x' }, users, 'a')).toMatchObject({ id: 't1', tool: 'grep' });
    expect(() => newNote({ scope: 'tool', text: 'x' }, [], 'a')).toThrow('needs the name of the tool');
    expect(() => newNote({ scope: 'user', tool: 'grep', text: 'x' }, [], 'a')).toThrow('needs the name of the tool');
    expect(() => newNote({ scope: 'tool', tool: 'g'.repeat(201), text: 'x' }, [], 'a')).toThrow('200 characters');
    expect(['u1', 't2', 'p20', 's3'].map(scopeOf)).toEqual(['user', 'tool', 'project', 'session']);
    for (const id of ['', 'u', 'x1', '../u1', 'u1/..', 'user']) expect(() => scopeOf(id), id).toThrow('like u1');
  });
});

describe('remembering', () => {
  test('each scope has its own, a list names those that were asked for, and a change of one reaches no other', async () => {
    const { cwm } = await coreFixture();
    await cwm.createSession({ id: 's', project });
    await cwm.remember({ scope: 'user', text: 'I write British English.' });
    await cwm.remember({ scope: 'project', text: 'Tests run with vitest.', project });
    await cwm.remember({ scope: 'session', text: 'The branch is called heron.', session: 's' });
    const idsOf = async (input: object) => (await cwm.listMemories(input)).items.map(({ id }) => id);
    expect(await idsOf({})).toEqual(['u1']);
    expect(await idsOf({ project: 'file:///q' })).toEqual(['u1']);
    expect(await idsOf({ project, session: 's' })).toEqual(['u1', 'p1', 's1']);
    expect(await cwm.editMemory({ memoryId: 's1', text: 'It is called crane.', session: 's' })).toMatchObject({
      version: 2,
      text: 'It is called crane.',
    });
    expect(await cwm.forgetMemory({ memoryId: 'p1', project })).toMatchObject({ text: 'Tests run with vitest.' });
    expect(await idsOf({ project, session: 's' })).toEqual(['u1', 's1']);
    expect(await why(cwm.remember({ scope: 'project', text: 'x' }))).toContain('needs the project');
    expect(await why(cwm.forgetMemory({ memoryId: 's1' }))).toContain('needs the session');
    expect(await why(cwm.forgetMemory({ memoryId: 's1', session: 'gone' }))).toContain('gone');
  });

  test('of many at once each gets its own id, and a damaged line loses that line only', async () => {
    const { cwm, directory } = await coreFixture();
    const made = await Promise.all(['a', 'b', 'c'].map(async (text) => cwm.remember({ scope: 'user', text })));
    expect(made.map(({ id }) => id)).toEqual(['u1', 'u2', 'u3']);
    const path = `${directory}/memories.jsonl`;
    const [, second] = (await readFile(path, 'utf8')).split('\n');
    await appendFile(path, `${second?.replace('"b"', '"x"')}\n`);
    expect((await cwm.listMemories()).items.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
  });

  test("of a tool are the user's, keep their tool when they are edited, and stand behind the user's in a list", async () => {
    const { cwm } = await coreFixture();
    await cwm.remember({ scope: 'tool', tool: 'read_file', text: 'Paths are relative.' });
    await cwm.remember({ scope: 'user', text: 'Short answers.' });
    const edited = await cwm.editMemory({ memoryId: 't1', text: 'Paths are absolute.' });
    expect(edited).toMatchObject({ scope: 'tool', tool: 'read_file', version: 2 });
    const { items } = await cwm.listMemories({ project: 'file:///q' });
    expect(items.map(({ id, tool }) => [id, tool])).toEqual([
      ['u1', undefined],
      ['t1', 'read_file'],
    ]);
    expect(await why(cwm.remember({ scope: 'tool', text: 'x' }))).toContain('needs the name of the tool');
  });
});

describe('memories in a new session', () => {
  const memories = '- Short answers.\n- Tool read_file: Paths are relative.\n- Tests run with vitest.\n';
  const remembering = async (fixture: Pick<CoreFixture, 'cwm'>) => {
    const { cwm } = fixture;
    await cwm.remember({ scope: 'user', text: 'Short answers.' });
    await cwm.remember({ scope: 'tool', tool: 'read_file', text: 'Paths are relative.' });
    await cwm.remember({ scope: 'project', text: 'Tests run with vitest.', project });
  };
  const filesOf = async ({ cwm }: Pick<CoreFixture, 'cwm'>, session: string) =>
    (await cwm.listMessages({ session })).items.map(({ content }) =>
      content.type === 'context' ? content.files.map(({ path, text }) => `${path}${text}`) : content.type,
    );

  test('stand in front of its first message, once, where it was created with them', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    await remembering(fixture);
    await cwm.createSession({ id: 's', project, memories: true });
    await cwm.remember({ scope: 'session', text: 'The branch is called heron.', session: 's' });
    const generate = engine.generate.bind(engine);
    engine.generate = () => Promise.reject(new CwmError('EngineUnavailable', 'away'));
    expect(await why(cwm.send({ session: 's', text: 'Hi' }, never()))).toBe('away');
    engine.generate = generate;
    for (const text of ['Hi', 'And now?']) await cwm.send({ session: 's', text }, never());
    expect(await filesOf(fixture, 's')).toEqual([
      [`memories:${memories}- The branch is called heron.\n`],
      'text',
      'text',
      'text',
      'text',
    ]);
    await cwm.createSession({ id: 't', project });
    await cwm.send({ session: 't', text: 'Hi' }, never());
    expect(await filesOf(fixture, 't')).toEqual(['text', 'text']);
  });

  test('a project asks for them; a session can say no, and one that has none is as any other', async () => {
    const folders = fakeFolders(() => ({ memories: true }));
    const fixture = await coreFixture({}, undefined, (own) => ({ ...own, folders }));
    const { cwm } = fixture;
    await cwm.createSession({ id: 'bare', project });
    await cwm.send({ session: 'bare', text: 'Hi' }, never());
    await remembering(fixture);
    await cwm.createSession({ id: 's', project });
    await cwm.createSession({ id: 'no', project, memories: false });
    for (const session of ['s', 'no']) await cwm.send({ session, text: 'Hi' }, never());
    expect(await filesOf(fixture, 'bare')).toEqual(['text', 'text']);
    expect(await filesOf(fixture, 's')).toEqual([[`memories:${memories}`], 'text', 'text']);
    expect(await filesOf(fixture, 'no')).toEqual(['text', 'text']);
  });

  test('stand behind the base, whose KV stays shared; what the base has of them does not come twice', async () => {
    const fixture = await projectWith();
    const { cwm, make } = fixture;
    await cwm.remember({ scope: 'user', text: 'Short answers.' });
    const { base } = await make();
    await cwm.createSession({ id: 's', project: 'file:///a', memories: true });
    const { cachedTokens } = await cwm.send({ session: 's', text: 'What is a0?' }, never());
    expect(cachedTokens).toBeGreaterThan(base.tokens - 8);
    const [ofBase, own] = await filesOf(fixture, 's');
    expect([ofBase?.length, own]).toEqual([3, ['memories:- Short answers.\n']]);
    await make({ memories: true });
    await cwm.createSession({ id: 't', project: 'file:///a', memories: true });
    await cwm.send({ session: 't', text: 'What is a0?' }, never());
    const messages = await filesOf(fixture, 't');
    expect([messages.length, messages[0]?.length]).toEqual([3, 4]);
  });
});
