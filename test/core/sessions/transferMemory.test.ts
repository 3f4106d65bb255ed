import { expect, test } from 'vitest';
import { sha256Hex } from '../../../src/base/hash.ts';
import { sessionId } from '../../support/ids.ts';
import { countAtTheWire } from '../memory/wire.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';

type File = Record<string, unknown> & {
  messages: Record<string, unknown>[];
  memory: Record<string, unknown> & { records: Record<string, unknown>[] };
};

/** A session whose first messages have left the prompt, one of them pinned and one brought back, as a file. */
async function exported(): Promise<{ fixture: CoreFixture; file: File }> {
  const fixture = await coreFixture();
  const { cwm, engine } = fixture;
  engine.model = { ...engine.model, maxModelLen: 4096 };
  await cwm.createSession({ id: 's', memory: { enableVm: true } });
  for (let turn = 0; turn < 6; turn++) {
    await cwm.send({ session: 's', text: `Turn ${turn}: ${'filler '.repeat(100)}`, maxTokens: 32 }, never());
    if (turn === 0) await cwm.pinPage({ session: 's', page: 'p1', pinned: true }, never());
  }
  engine.toolCalls = [[{ id: 'call-0', name: 'page_fault', arguments: JSON.stringify({ page_id: 'p2' }) }]];
  await cwm.send({ session: 's', text: 'What was it?', maxTokens: 32 }, never());
  const { content } = await cwm.exportConversation({ session: 's', format: 'cwindow' });
  return { fixture, file: JSON.parse(content) as File };
}

test('a .cwindow file brings the memory of a session back: segments, pins and history, in another store, too', async () => {
  const { fixture, file } = await exported();
  const other = await coreFixture();
  other.engine.model = fixture.engine.model;
  const { notes, session } = await other.cwm.importConversation({ content: JSON.stringify(file), id: 't' });
  expect(notes).toEqual([]);
  expect(session.settings?.memory).toEqual({ enableVm: true });
  expect(await other.store.memory.load(sessionId('t'))).toEqual(await fixture.store.memory.load(sessionId('s')));
  const [before, after] = [
    await fixture.cwm.memoryState({ session: 's' }),
    await other.cwm.memoryState({ session: 't' }),
  ];
  expect(after.segments).toEqual(before.segments);
  expect(after.segments.length).toBeGreaterThan(0);
  const placed = ({ pages }: typeof before) =>
    pages.map(({ id, tier, pinned, accesses }) => ({ id, isInPrompt: tier === 'L0', pinned, accesses }));
  expect(placed(after)).toEqual(placed(before));
  expect(after.pages[0]).toMatchObject({ pinned: true });
  expect(await other.cwm.memoryHistory({ session: 't', page: 'p2' })).toEqual(
    await fixture.cwm.memoryHistory({ session: 's', page: 'p2' }),
  );
  const wires = [fixture, other].map((each) => countAtTheWire(each));
  const ask = (cwm: CoreFixture['cwm'], id: string) =>
    cwm.send({ session: id, text: 'Go on.', maxTokens: 32 }, never());
  await ask(fixture.cwm, 's');
  await ask(other.cwm, 't');
  expect(wires[1]?.prompts.at(-1)).toBe(wires[0]?.prompts.at(-1));
});

test('where the file was changed, what the account says of its messages is left out and named, and the text comes in', async () => {
  const { file } = await exported();
  const changes: [(changed: File) => void, string][] = [
    [
      ({ messages }) => Object.assign(messages[0]!, { text: 'Something else' }),
      'the messages are not those of the export',
    ],
    [({ messages }) => messages.splice(0, 2), 'the messages are not those of the export'],
    [({ messages }) => Object.assign(messages[0]!, { id: '../p' }), 'the messages are not those of the export'],
    [({ memory }) => Object.assign(memory.records[0]!, { text: 'Obey.' }), 'it was changed since the export'],
  ];
  for (const [change, why] of changes) {
    const changed = structuredClone(file);
    change(changed);
    const { cwm, store } = await coreFixture();
    const { notes, messages } = await cwm.importConversation({ content: JSON.stringify(changed), id: 't' });
    expect(messages).toBe(changed.messages.length);
    expect(notes).toContainEqual(expect.stringContaining(`The account of its virtual memory was left out: ${why}.`));
    expect(await store.memory.load(sessionId('t'))).toEqual([]);
  }
});

test('a memory whose settings a later version wrote, or whose messages have one id twice, is left out by name', async () => {
  const { file } = await exported();
  const importedNotes = async (changed: object): Promise<readonly string[]> => {
    const { cwm } = await coreFixture();
    return (await cwm.importConversation({ content: JSON.stringify(changed), id: 't' })).notes;
  };
  const later = { ...file, memory: { ...file.memory, settings: { enableVm: 'much' } } };
  expect(await importedNotes(later)).toContain(
    'Its virtual memory was left out: its settings are not known to this program.',
  );
  const twice = structuredClone(file);
  Object.assign(twice.messages[1]!, { id: (twice.messages[0] as { id: string }).id });
  expect(await importedNotes(twice)).toContainEqual(expect.stringContaining('The account of its virtual memory'));
});

test('records that are about no message of the file are left out and counted; the others come back', async () => {
  const { file } = await exported();
  const forged = file.memory.records.map((record) =>
    record['type'] === 'segment' && record['id'] === 's1' ? { ...record, to: 'another' } : record,
  );
  const memory = { ...file.memory, records: forged };
  const sha256 = sha256Hex(JSON.stringify([file.memory['settings'], forged]));
  const { cwm, store } = await coreFixture();
  const { notes } = await cwm.importConversation({
    content: JSON.stringify({ ...file, memory: { ...memory, sha256 } }),
    id: 't',
  });
  const records = await store.memory.load(sessionId('t'));
  const left = forged.length - records.length;
  expect(left).toBeGreaterThan(0);
  expect(notes).toEqual([`Records of its virtual memory that do not fit its messages and were left out: ${left}.`]);
  expect(records.some((record) => record.type === 'mutation' && record.what === 'pin')).toBe(true);
  expect(JSON.stringify(records)).not.toContain('another');
});

test('beside the session that it was made of, the file becomes another one, which outlives it', async () => {
  const { fixture, file } = await exported();
  const { cwm } = fixture;
  await cwm.importConversation({ content: JSON.stringify(file), id: 't' });
  await cwm.deleteSession({ session: 's' }, never());
  const { total } = await cwm.listMessages({ session: 't' });
  expect(total).toBe(file.messages.length);
  const found = await cwm.searchMessages({ text: 'Turn 0' });
  expect(found.items.map(({ session }) => session)).toEqual(['t']);
  expect((await cwm.memoryPage({ session: 't', page: 'p1' })).text).toContain('Turn 0:');
});
