import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { GenerateRequest } from '../../../src/core/ports/engine.ts';
import type { MemoryRecord } from '../../../src/protocol/memory/records.ts';
import { sessionId } from '../../support/ids.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { restarted } from '../turns/restarted.ts';

const filler = 'filler '.repeat(100);

interface Talk extends CoreFixture {
  /** Texts of the requests for answers. */
  readonly prompts: string[];
  readonly say: (text: string) => ReturnType<CoreFixture['cwm']['send']>;
}

/** A session `s` with virtual memory, after so many turns on a model of 4,096 tokens. */
async function talk(turns: number): Promise<Talk> {
  const fixture = await coreFixture();
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  const prompts: string[] = [];
  const generate = fixture.engine.generate.bind(fixture.engine);
  fixture.engine.generate = (request: GenerateRequest, onPiece, signal) => {
    const text = request.messages.map(({ content }) => content).join('\n');
    if (!text.includes('Summarise our conversation')) prompts.push(text);
    return generate(request, onPiece, signal);
  };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true } });
  const say = (text: string) => fixture.cwm.send({ session: 's', text, maxTokens: 32 }, never());
  for (let turn = 0; turn < turns; turn++) await say(`Turn ${turn}: ${filler}`);
  return { ...fixture, prompts, say };
}

const recordsOf = ({ store }: Talk): Promise<readonly MemoryRecord[]> => store.memory.load(sessionId('s'));

const texts = async ({ cwm }: Pick<Talk, 'cwm'>): Promise<string[]> =>
  (await cwm.listMessages({ session: 's', limit: 100 })).items.map(({ content }) =>
    'text' in content ? content.text : '',
  );

describe('bad input for virtual memory', () => {
  test('a damaged line of a segment is left out: its messages are whole again, the next request fits, and nothing is lost', async () => {
    const made = await talk(8);
    const said = await texts(made);
    const file = path.join(made.directory, 'contexts', 's', 'memory.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes('"type":"segment"'));
    lines[at] = lines[at]!.replace('"summary"', '"SUMMARY"');
    writeFileSync(file, lines.join('\n'));
    const cwm = await restarted(made);
    const { text } = await cwm.send({ session: 's', text: 'And now?', maxTokens: 32 }, never());
    expect(text).toBe('fine');
    expect((await texts({ cwm })).slice(0, said.length)).toEqual(said);
    const { segments } = await cwm.memoryState({ session: 's' });
    expect(segments[0]?.firstSequence).toBe(1);
  });

  test('a model that never finishes a summary is left after its time: sentences stand there, and the turn continues', async () => {
    const made = await talk(2);
    const generate = made.engine.generate.bind(made.engine);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    made.engine.generate = (request, onPiece, signal) => {
      if (!request.messages.at(-1)?.content.startsWith('Summarise')) return generate(request, onPiece, signal);
      queueMicrotask(() => vi.advanceTimersByTime(120_000));
      return new Promise(() => undefined);
    };
    try {
      for (let turn = 2; turn < 7; turn++) expect((await made.say(`Turn ${turn}: ${filler}`)).text).toBe('fine');
    } finally {
      vi.useRealTimers();
    }
    const segments = (await recordsOf(made)).filter((record) => record.type === 'segment');
    expect(segments.length).toBeGreaterThan(0);
    expect(segments.every(({ summaryBy }) => summaryBy === 'extract')).toBe(true);
  });

  test('S1-52 a model that asks for pages for ever gets two in a turn, and the user is asked whether it may go on', async () => {
    const made = await talk(6);
    made.engine.model = { ...made.engine.model, maxModelLen: 16_384 };
    made.engine.toolCalls = Array.from({ length: 60 }, (_, at) => [
      { id: `call-${at}`, name: 'page_fault', arguments: JSON.stringify({ page_id: `p${(at % 6) + 1}` }) },
    ]);
    const before = made.prompts.length;
    await made.say('Go on.');
    // Twenty rounds; the call of the next one waits.
    expect(made.prompts.length - before).toBe(21);
    expect((await made.cwm.getSession({ session: 's' }, never())).phase).toBe('AwaitingToolApproval');
    const faults = (await recordsOf(made)).filter((record) => record.type === 'mutation');
    expect(faults).toHaveLength(2);
  });

  test('two branches share the segments of what they have in common, and neither has pages of the other', async () => {
    const made = await talk(6);
    const { cwm, say, engine } = made;
    // Room, so that nothing more is sealed.
    engine.model = { ...engine.model, maxModelLen: 16_384 };
    const shared = (await cwm.memoryState({ session: 's' })).segments.map(({ id }) => id);
    expect(shared.length).toBeGreaterThan(0);
    await cwm.createBranch({ session: 's', name: 'other' }, never());
    await say('On the other branch.');
    const other = await cwm.memoryState({ session: 's' });
    const theirs = other.pages.at(-1)?.id ?? '';
    await cwm.updateBranch({ session: 's', branch: 'main' }, never());
    await say('On the main branch.');
    const main = await cwm.memoryState({ session: 's' });
    expect(other.segments.map(({ id }) => id)).toEqual(shared);
    expect(main.segments.map(({ id }) => id)).toEqual(shared);
    expect(main.pages.map(({ id }) => id)).not.toContain(theirs);
    expect(made.prompts.at(-1)).not.toContain('On the other branch');
    expect((await cwm.memoryPage({ session: 's', page: theirs })).page.tier).toBe('L2');
  });

  test('after a roll back behind a segment its messages are whole again, and later ones are no pages any more', async () => {
    const made = await talk(6);
    const { items } = await made.cwm.listMessages({ session: 's', limit: 100 });
    await made.cwm.rollBack({ session: 's', message: items[1]!.id }, never());
    const { segments, pages, inPrompt } = await made.cwm.memoryState({ session: 's' });
    expect({ segments, inPrompt, tiers: pages.map(({ tier }) => tier) }).toEqual({
      segments: [],
      inPrompt: 2,
      tiers: ['L0', 'L0'],
    });
    await made.say('Again.');
    expect(made.prompts.at(-1)).toContain('Turn 0:');
    expect(made.prompts.at(-1)).not.toContain('[memory');
  });

  test('S1-06 memory that is switched off after something was sealed sends everything again; switched on, it takes its segments up', async () => {
    const made = await talk(6);
    const before = (await made.cwm.memoryState({ session: 's' })).segments.map(({ id }) => id);
    made.engine.model = { ...made.engine.model, maxModelLen: 65_536 };
    await made.cwm.updateSession({ session: 's', memory: null, breakPrefix: true }, never());
    await made.say('With everything.');
    expect(made.prompts.at(-1)).toContain('Turn 0:');
    expect(made.prompts.at(-1)).not.toContain('[memory');
    expect((await made.cwm.memoryState({ session: 's' })).pages.every(({ tier }) => tier === 'L0')).toBe(true);
    made.engine.model = { ...made.engine.model, maxModelLen: 4096 };
    await made.cwm.updateSession({ session: 's', memory: { enableVm: true }, breakPrefix: true }, never());
    await made.say('And less.');
    expect(made.prompts.at(-1)).toContain(`[memory ${before[0]}:`);
  });

  test('pages of another session are no pages of this one, whatever the id', async () => {
    const made = await talk(6);
    await made.cwm.createSession({ id: 'other', memory: { enableVm: true } });
    await made.cwm.send({ session: 'other', text: 'A secret.', maxTokens: 32 }, never());
    const theirs = (await made.cwm.memoryState({ session: 'other' })).pages[0]?.id ?? '';
    expect(await codeOf(made.cwm.memoryPage({ session: 's', page: theirs }))).toBe('CWM-2007');
    for (const invented of ['s77', 's1-c99', 'p0', '', '../other', 'p1-zzzz'])
      expect(await codeOf(made.cwm.memoryPage({ session: 's', page: invented }))).toBe('CWM-2007');
  });

  test('a picture that nobody can look into comes back as what was written beside it and its kind', async () => {
    const made = await talk(0);
    made.engine.takesPictures = true;
    made.engine.model = { ...made.engine.model, maxModelLen: 8_192 };
    const images = [Buffer.from('\x89PNG\r\n\x1a\nbroken', 'latin1').toString('base64')];
    const beside = `The plan of the house. ${'It has rooms. '.repeat(80)}`;
    await made.cwm.send({ session: 's', text: beside, images, maxTokens: 32 }, never());
    for (let turn = 0; turn < 8; turn++) await made.say(`Turn ${turn}: ${'filler '.repeat(140)}`);
    made.engine.model = { ...made.engine.model, maxModelLen: 32_768 };
    made.engine.toolCalls = [
      [{ id: 'c', name: 'page_fault', arguments: JSON.stringify({ page_id: 'p1', target_level: 3 }) }],
    ];
    expect((await made.say('What was on the picture?')).text).toBe('fine');
    expect(made.prompts.at(-1)).toContain('[IMAGE: image/png');
    expect(made.prompts.at(-1)).toContain('The plan of the house.');
  });
});
