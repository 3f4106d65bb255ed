import { appendFile, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { CwmError } from '../../../src/protocol/errors.ts';
import { changedNote, liveNotes, newNote, scopeOf } from '../../../src/core/memory/notes.ts';
import type { Note } from '../../../src/protocol/memory/records.ts';
import { coreFixture } from '../coreFixture.ts';

const project = 'file:///p';
const why = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (error as CwmError).message,
  );

describe('memories of a scope', () => {
  test('have versions, and a forgotten one gives its id to no other', () => {
    const versions: Note[] = [newNote('user', 'Tabs.', [], 'a')];
    versions.push(changedNote('u1', 'Spaces.', versions, 'b'));
    expect(liveNotes(versions)).toMatchObject([{ id: 'u1', version: 2, text: 'Spaces.' }]);
    versions.push(changedNote('u1', null, versions, 'c'));
    expect(liveNotes(versions)).toEqual([]);
    expect(newNote('user', 'Tabs.', versions, 'd').id).toBe('u2');
    expect(() => changedNote('u1', 'x', versions, 'e')).toThrow('There is no memory "u1" here.');
  });

  test('are small and few, and only ids of memories name a scope', () => {
    expect(() => newNote('user', 'ä'.repeat(1_025), [], 'a')).toThrow('2050 bytes');
    expect(() => newNote('user', ' \n', [], 'a')).toThrow('no text');
    expect(() => newNote('user', '\ud800', [], 'a')).toThrow('half a character');
    const many: Note[] = [];
    for (let at = 0; at < 100; at++) many.push(newNote('project', 'x', many, 'a'));
    expect(() => newNote('project', 'x', many, 'a')).toThrow('no more fit');
    expect(['u1', 'p20', 's3'].map(scopeOf)).toEqual(['user', 'project', 'session']);
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
});
