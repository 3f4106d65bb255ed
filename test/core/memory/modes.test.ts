import { describe, expect, test } from 'vitest';
import type { EvictionPolicy } from '../../../src/core/memory/eviction/policy.ts';
import type { CoreParts } from '../../../src/core/core.ts';
import type { GenerateRequest } from '../../../src/core/ports/engine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { RouteInput } from '../../../src/protocol/api.ts';
import type { Segment } from '../../../src/protocol/memory/records.ts';
import { diskFiles } from '../../../src/store/disk/files.ts';
import { sessionId } from '../../support/ids.ts';
import { fakeFolders } from '../fakeFolders.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';

type Memory = NonNullable<RouteInput<'createSession'>['memory']>;

const first = 'We decided: the service is called heron.';

interface Talk extends CoreFixture {
  readonly asked: GenerateRequest[];
  readonly say: (text: string) => ReturnType<CoreFixture['cwm']['send']>;
  readonly segments: () => Promise<Segment[]>;
}

/** A session `s` whose first message is a decision. */
async function talk(memory: Partial<Memory>, turns: number, change?: (own: CoreParts) => CoreParts): Promise<Talk> {
  const fixture = await coreFixture({}, diskFiles, change);
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  const asked: GenerateRequest[] = [];
  const generate = fixture.engine.generate.bind(fixture.engine);
  fixture.engine.generate = (request, onPiece, signal) => {
    asked.push(request);
    return generate(request, onPiece, signal);
  };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true, ...memory } });
  const say = (text: string) => fixture.cwm.send({ session: 's', text, maxTokens: 32 }, never());
  await say(first);
  for (let turn = 0; turn < turns; turn++) await say(`Turn ${turn}: ${'filler '.repeat(100)}`);
  const segments = async (): Promise<Segment[]> =>
    (await fixture.store.memory.load(sessionId('s'))).flatMap((each) => (each.type === 'segment' ? [each] : []));
  return { ...fixture, asked, say, segments };
}

describe('modes of the memory', () => {
  test('S1-63 strict: its rules stand in front of every prompt, so that they change no prefix', async () => {
    const { asked } = await talk({ vmMode: 'strict' }, 3);
    for (const { messages } of asked)
      expect(messages[0]).toMatchObject({
        role: 'system',
        content: expect.stringContaining('[ref: p41-3f9a]') as string,
      });
    const relaxed = await talk({}, 0);
    expect(relaxed.asked[0]?.messages[0]?.role).toBe('user');
  });

  test('S1-63 a change to strict says what it costs, since its rules stand in front; confirmed, the next prompt has them', async () => {
    const { cwm, say, asked } = await talk({}, 1);
    const strict = { session: 's', memory: { enableVm: true, vmMode: 'strict' } } as const;
    expect(await codeOf(cwm.updateSession(strict, never()))).toBe('CWM-3108');
    await cwm.updateSession({ ...strict, breakPrefix: true }, never());
    await say('And now?');
    expect(asked.at(-1)?.messages[0]?.role).toBe('system');
  });

  test.each([
    ['passive', { enableVm: true, vmMode: 'passive' }],
    ['off', null],
  ] as const)('S1-63 a change to %s says what it costs once something has left', async (_, memory) => {
    const early = await talk({}, 1);
    expect((await early.cwm.updateSession({ session: 's', memory, preview: true }, never())).prefix).toBeNull();
    const { cwm, engine, say } = await talk({}, 8);
    const changed = { session: 's', memory } as const;
    const { prefix, version } = await cwm.updateSession({ ...changed, preview: true }, never());
    expect(await codeOf(cwm.updateSession(changed, never()))).toBe('CWM-3108');
    expect(prefix?.lostTokens).toBeGreaterThan(500);
    await cwm.updateSession({ ...changed, breakPrefix: true }, never());
    engine.model = { ...engine.model, maxModelLen: 65_536 };
    await say('And now?');
    const { tokens, settings } = await cwm.getSession({ session: 's' }, never());
    expect(settings?.memory ?? null).toEqual(memory);
    expect(tokens?.segments === undefined).toBe(memory === null);
    expect(version).toBeGreaterThan(0);
    // Where no tools change and nothing comes back, nothing is asked.
    await cwm.updateSession({ session: 's', title: 'Later' }, never());
  });

  test('S1-63 a passive memory that ends says what comes back', async () => {
    const { cwm } = await talk({ vmMode: 'passive' }, 8);
    const { prefix } = await cwm.updateSession({ session: 's', memory: null, preview: true }, never());
    expect(prefix?.lostTokens).toBeGreaterThan(500);
    await cwm.updateSession({ session: 's', memory: null, breakPrefix: true }, never());
    // It is over already: a change of its title asks nothing.
    await cwm.updateSession({ session: 's', title: 'Later' }, never());
  });

  test('S1-63 strict: the notes of an answer name what it cites that its prompt does not have', async () => {
    const strict = await talk({ vmMode: 'strict' }, 5);
    const { pages } = await strict.cwm.memoryState({ session: 's' });
    const [segment] = await strict.segments();
    const cited = segment?.claims?.[0]?.page ?? '';
    expect(cited).toBe(pages[0]?.id);
    const engine = strict.engine;
    engine.answer = `It is heron [ref: ${cited}], or kestrel [ref: p77-dead; p1-0000].`;
    const { notes } = await strict.say('What is it called?');
    expect(notes.filter((note) => note.includes('cites'))).toEqual([
      'The answer cites "p77-dead", "p1-0000", which no page of its prompt has.',
    ]);
    const relaxed = await talk({}, 5);
    relaxed.engine.answer = 'It is kestrel [ref: p77-dead].';
    expect((await relaxed.say('What is it called?')).notes.join()).not.toContain('cites');
  });

  test('S1-62 strict: what a question recalls comes with a manifest that parses, of what the prompt has and what it can have back', async () => {
    const { say, asked, engine } = await talk({ vmMode: 'strict' }, 6);
    // Room for what is recalled.
    engine.model = { ...engine.model, maxModelLen: 16_384 };
    await say('Remind me: what did we decide the service is called?');
    const text =
      asked
        .at(-1)
        ?.messages.map(({ content }) => content)
        .join('\n') ?? '';
    const json = text.split('\n').find((line) => line.startsWith('{"working_set"')) ?? '';
    const manifest = JSON.parse(json) as Record<
      'working_set' | 'available_pages',
      { page_id: string; hint?: string }[]
    >;
    expect(manifest.working_set.some(({ page_id }) => /^s\d+$/.test(page_id))).toBe(true);
    expect(manifest.available_pages.length).toBeLessThanOrEqual(50);
    for (const { hint = '' } of manifest.available_pages) expect(hint.length).toBeLessThanOrEqual(140);
    expect(manifest).toMatchObject({ policies: { max_faults_per_turn: 2, prefer_levels: [2, 1, 0] } });
  });

  test('S1-50 S1-63 passive: no rules, no index, no tools; the conversation continues with a summary alone', async () => {
    const { engine, asked, segments } = await talk({ vmMode: 'passive' }, 8);
    expect(engine.offered.flat()).toEqual([]);
    expect(asked.every(({ messages }) => messages[0]?.role !== 'system')).toBe(true);
    const [segment] = await segments();
    expect(segment?.text).not.toContain('Pages:');
  });
});

describe('policies of eviction', () => {
  const oldestFirst: EvictionPolicy = { name: 'mine', score: ({ position }) => -position };
  const withMine = (own: CoreParts): CoreParts => ({ ...own, memory: { policies: [oldestFirst] } });

  test('S1-05 S1-45 a policy that is made outside decides what stays, once a session names it', async () => {
    const { segments, cwm } = await talk({ policy: 'mine' }, 6, withMine);
    const [segment] = await segments();
    expect(segment?.decided?.policy).toBe('mine');
    expect(segment?.text).toContain(`Kept (${segment?.pages?.[0]?.page}): ${JSON.stringify(first)}`);
    const { pages, stats } = await cwm.memoryState({ session: 's' });
    expect(segment?.pages?.[0]).toEqual({ page: pages[0]?.id, level: 0 });
    expect(stats.compressions).toBeGreaterThan(0);
  });

  test('S1-45 a project names one for its new sessions; a session that says something of its own has that', async () => {
    const folders = fakeFolders(() => ({ memory: { enableVm: true, policy: 'lru' } }));
    const { cwm } = await coreFixture({}, diskFiles, (own) => ({ ...own, folders }));
    const project = 'file:///a';
    expect((await cwm.createSession({ id: 's', project })).settings?.memory).toEqual({ enableVm: true, policy: 'lru' });
    const own = await cwm.createSession({ id: 't', project, memory: { enableVm: false } });
    expect(own.settings?.memory).toEqual({ enableVm: false });
  });

  test('S1-45 a conversation that a client leads with memory has what its project says of it; a configuration that is wrong costs none', async () => {
    let isWrong = false;
    const folders = fakeFolders(() => ({ memory: { enableVm: false, policy: 'lru', vmMode: 'passive' } }));
    const { cwm, engine } = await coreFixture({}, diskFiles, (own) => ({
      ...own,
      folders: {
        ...folders,
        config: async (...given) => {
          if (isWrong) throw new CwmError('InvalidParameter', 'It is wrong.');
          return folders.config(...given);
        },
      },
    }));
    const begin = async (project: string | null) => {
      const start = { project: project as never, engine: engine.spec, tags: [], system: '' };
      return (await cwm.clientTurns.begin(start, never())).settings?.memory;
    };
    expect(await begin('file:///a')).toEqual({ enableVm: true, policy: 'lru', vmMode: 'passive' });
    isWrong = true;
    expect([await begin('file:///a'), await begin(null)]).toEqual([{ enableVm: true }, { enableVm: true }]);
  });

  test('S1-45 one that nobody has is refused with the names of those that are there', async () => {
    const { cwm } = await coreFixture();
    const wrong = cwm.createSession({ id: 's', memory: { enableVm: true, policy: 'mine' } });
    await expect(wrong).rejects.toMatchObject({
      name: 'InvalidParameter',
      hint: 'Choose one of kv-aware, importance-weighted-lru, lru, modality-aware-lru.',
    });
  });

  test('S1-46 a compressor that is made outside shortens what comes back', async () => {
    const compressors = { text: () => 'short' };
    const { engine, say, asked } = await talk({}, 0, (own) => ({ ...own, memory: { compressors } }));
    for (let turn = 0; turn < 5; turn++) await say(`Turn ${turn}: ${'filler '.repeat(125)}`);
    engine.toolCalls = [
      [{ id: 'c', name: 'page_fault', arguments: JSON.stringify({ page_id: 'p3', target_level: 2 }) }],
    ];
    await say('And turn 0?');
    expect(asked.at(-1)?.messages.at(-1)?.content).toContain('"content":"short"');
  });

  test('S1-48 pins that leave no room are an error of their own, which names them; unpinned, the turn goes on', async () => {
    const { cwm, say, engine } = await talk({}, 0);
    engine.model = { ...engine.model, maxModelLen: 16_384 };
    for (let turn = 0; turn < 3; turn++) {
      await say(`Pinned ${turn}: ${'filler '.repeat(110)}`);
      await cwm.pinPage({ session: 's', page: `p${2 * turn + 3}`, pinned: true }, never());
    }
    await cwm.updateSession({ session: 's', memory: { enableVm: true, maxL0Tokens: 2048 } }, never());
    expect(await codeOf(say(`More: ${'filler '.repeat(60)}`))).toBe('CWM-7013');
    for (let turn = 0; turn < 3; turn++)
      await cwm.pinPage({ session: 's', page: `p${2 * turn + 3}`, pinned: false }, never());
    expect((await say(`More: ${'filler '.repeat(60)}`)).text).toBe('fine');
  });
});

describe('the account of a memory', () => {
  test('S1-70 what the prompt of an earlier answer had is shown as it was then', async () => {
    const { cwm, say } = await talk({}, 2);
    const before = await cwm.memoryState({ session: 's' });
    const page = before.pages[0]?.id ?? '';
    await cwm.pinPage({ session: 's', page, pinned: true }, never());
    for (let turn = 0; turn < 5; turn++) await say(`Later ${turn}: ${'filler '.repeat(100)}`);
    const then = await cwm.memoryState({ session: 's', at: '6' });
    expect(then).toMatchObject({ segments: [], messages: 5, inPrompt: 5 });
    expect(then.pages.every(({ tier, pinned }) => tier === 'L0' && !pinned)).toBe(true);
    const now = await cwm.memoryState({ session: 's' });
    expect(now.segments.length).toBeGreaterThan(0);
    expect(now.stats).toMatchObject({
      evictions: now.messages - now.inPrompt,
      faults: 0,
      thrash: 0,
      recallSuccess: null,
      prefetches: 0,
      prefetchesUsed: 0,
    });
    expect(now.stats.byTier.L0).toBeGreaterThan(now.inPrompt);
    const last = await cwm.memoryState({ session: 's', at: String(now.messages) });
    expect(last.segments.map(({ id }) => id)).toEqual(now.segments.map(({ id }) => id));
    expect(await codeOf(cwm.memoryState({ session: 's', at: '5' }))).toBe('CWM-1003');
    expect(await codeOf(cwm.memoryState({ session: 's', at: 'x' }))).toBe('CWM-1003');
    expect((await cwm.memoryHistory({ session: 's', page })).leftWith?.why).toContain('policy kv-aware');
  });

  test('S1-72 the same conversation decides the same again: segments, places and tokens', async () => {
    const decisions = async () => {
      const made = await talk({ policy: 'lru' }, 14);
      return (await made.segments()).map((segment) => {
        const { from: _, to: __, at: ___, text: ____, ...rest } = segment;
        return {
          ...rest,
          // Ids of messages are drawn, and those of pages with them.
          claims: rest.claims?.map(({ page, text }) => [page.split('-')[0], text]),
          pages: rest.pages?.map(({ page, level }) => [page.split('-')[0], level]),
        };
      });
    };
    const once = await decisions();
    expect(once.length).toBeGreaterThan(2);
    expect(await decisions()).toEqual(once);
  });
});
