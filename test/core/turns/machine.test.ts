import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { advance, isAtRest, settled, type TurnEvent } from '../../../src/core/turns/machine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';
import { initialPhase, phases, type Phase, type Session } from '../../../src/protocol/schemas/session.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';
import { aSession } from '../../store/builders.ts';
import { fc } from '../../support/fc.ts';

const inPhase = (phase: Phase): Session => aSession({ phase });

/** Which events a phase takes, as the machine itself says when it refuses one. */
function allowedIn(phase: Phase): TurnEvent[] {
  try {
    advance(inPhase(phase), 'no such event' as TurnEvent);
  } catch (error) {
    if (error instanceof CwmError) return error.context?.['allowed'] as TurnEvent[];
  }
  throw new Error('every event is taken');
}

const events = [...new Set(phases.flatMap(allowedIn))];
const somePhase = fc.constantFrom(...phases);
const someEvents = fc.array(fc.constantFrom(...events), { maxLength: 20 });

/** The phases that a new session's turns go through. */
const walk = (...steps: TurnEvent[]): Phase[] =>
  steps
    .reduce<Session[]>((before, event) => [...before, advance(before.at(-1)!, event)], [inPhase(initialPhase)])
    .map((session) => session.phase);

describe('the turn machine', () => {
  test('S4-11 an event leads to a phase, or is refused with what would be allowed; the session given stays as it was', () => {
    fc.assert(
      fc.property(somePhase, fc.constantFrom(...events), (phase, event) => {
        const before = Object.freeze(inPhase(phase));
        try {
          const after = advance(before, event);
          expect(allowedIn(phase)).toContain(event);
          expect(phases).toContain(after.phase);
          expect({ ...after, phase }).toEqual(before);
        } catch (error) {
          if (!(error instanceof CwmError)) throw error;
          expect(error.name).toBe('InvalidTransition');
          expect(error.context).toMatchObject({ phase, event, allowed: expect.not.arrayContaining([event]) });
        }
      }),
    );
  });

  test('S4-10 every phase is reached by some events from a new session', () => {
    const reached = new Set<Phase>([initialPhase]);
    for (const phase of reached)
      for (const event of allowedIn(phase)) reached.add(advance(inPhase(phase), event).phase);
    expect([...reached].sort()).toEqual([...phases].sort());
  });

  test('S4-12 whatever happened, one event ends a turn that is under way, and none is needed at rest', () => {
    fc.assert(
      fc.property(someEvents, (happened) => {
        let session = inPhase(initialPhase);
        for (const event of happened) if (allowedIn(session.phase).includes(event)) session = advance(session, event);
        for (const end of ['cancel', 'recover'] as const) {
          if (isAtRest(session)) expect(() => advance(session, end)).toThrow(CwmError);
          else expect(advance(session, end).phase).toBe('Idle');
        }
        expect(isAtRest(settled(session))).toBe(true);
        if (isAtRest(session)) expect(settled(session)).toBe(session);
      }),
    );
  });

  test('EC-003 a session freezes, and a message is sent, just when no turn is under way', () => {
    for (const phase of phases) {
      const isTaken = (event: TurnEvent): boolean => allowedIn(phase).includes(event);
      expect([phase, isTaken('freeze'), isTaken('send')]).toEqual([
        phase,
        isAtRest(inPhase(phase)),
        isAtRest(inPhase(phase)),
      ]);
    }
    expect(phases.filter((phase) => isAtRest(inPhase(phase)))).toEqual(['Idle', 'PermanentFailure']);
  });

  test('S4-11 a turn of text ends idle, whether or not its answer streams', () => {
    expect(walk('send', 'request', 'stream', 'streamed', 'answered')).toEqual([
      'Idle',
      'ProcessingUserMessage',
      'AwaitingLLMResponse',
      'StreamingLLMResponse',
      'ProcessingLLMResponse',
      'Idle',
    ]);
    expect(walk('send', 'request', 'streamed', 'answered').slice(2)).toEqual([
      'AwaitingLLMResponse',
      'ProcessingLLMResponse',
      'Idle',
    ]);
  });

  test('S4-11 tools run after an approval or without one, and their results or a denial go back to the engine', () => {
    const answer = ['send', 'request', 'stream', 'streamed'] as const;
    expect(walk(...answer, 'needApproval', 'runTools', 'toolsDone').slice(5)).toEqual([
      'AwaitingToolApproval',
      'ExecutingTools',
      'AwaitingLLMResponse',
    ]);
    expect(walk(...answer, 'runTools', 'toolsDone').slice(5)).toEqual(['ExecutingTools', 'AwaitingLLMResponse']);
    expect(walk(...answer, 'needApproval', 'denied').slice(5)).toEqual(['AwaitingToolApproval', 'AwaitingLLMResponse']);
  });

  test('S4-11 a failure is retried, abandoned or given up, and the session can always go on', () => {
    expect(walk('send', 'request', 'fail', 'retry').at(-1)).toBe('AwaitingLLMResponse');
    expect(walk('send', 'request', 'stream', 'fail', 'abandon').at(-1)).toBe('Idle');
    expect(walk('send', 'request', 'fail', 'giveUp', 'reset').at(-1)).toBe('Idle');
    expect(walk('send', 'request', 'fail', 'giveUp', 'send').at(-1)).toBe('ProcessingUserMessage');
  });

  test('S4-11 several events are taken as one step: none of them when one is refused', () => {
    const idle = inPhase('Idle');
    expect(advance(idle, 'send', 'request').phase).toBe('AwaitingLLMResponse');
    expect(() => advance(idle, 'send', 'answered')).toThrow('while the session is ProcessingUserMessage');
    expect(idle.phase).toBe('Idle');
  });
});

describe('what is stored of a turn', () => {
  async function storedPhases(
    act: (fixture: Awaited<ReturnType<typeof coreFixture>>) => Promise<unknown>,
  ): Promise<Phase[]> {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { store } = fixture;
    const stored: Phase[] = [];
    const update = store.sessions.update.bind(store);
    store.sessions.update = async (next) => {
      await update(next);
      stored.push(next.phase);
    };
    await act(fixture);
    expect((await store.sessions.get('s' as SessionId))?.phase).toBe('Idle');
    return stored;
  }

  test('S4-13 a message, a failure and an abort each store the beginning and the end of their turn', async () => {
    const turn = ['AwaitingLLMResponse', 'Idle'];
    expect(await storedPhases(({ cwm }) => cwm.send({ session: 's', text: 'And then?' }, never()))).toEqual(turn);
    const failing = storedPhases(async ({ cwm, engine }) => {
      engine.onCall = async () => {
        engine.fault = 'EngineFailed';
      };
      expect(await codeOf(cwm.send({ session: 's', text: 'And then?' }, never()))).toBe('CWM-5004');
    });
    expect(await failing).toEqual(turn);
    const aborted = storedPhases(async ({ cwm, engine }) => {
      const abort = new AbortController();
      engine.onCall = async () => abort.abort();
      expect(await codeOf(cwm.send({ session: 's', text: 'And then?' }, abort.signal))).toBe('CWM-6003');
    });
    expect(await aborted).toEqual(turn);
  });

  test('S4-13 a freeze stores one phase, also after a turn whose end could not be stored', async () => {
    const stored = await storedPhases(async ({ cwm, store }) => {
      const session = (await store.sessions.get('s' as SessionId))!;
      await store.sessions.update({ ...session, phase: 'StreamingLLMResponse', version: session.version + 1 });
      await cwm.freeze({ session: 's', window: 'w' }, never());
    });
    expect(stored).toEqual(['StreamingLLMResponse', 'Idle']);
  });
});

describe('one writer of the phase', () => {
  const src = fileURLToPath(new URL('../../../src', import.meta.url));
  const writer = 'core/turns/machine.ts';
  const schema = 'protocol/schemas/session.ts';

  /** They tell it to clients. */
  const tellers = ['protocol/signals.ts', 'protocol/routes/sessions.ts', 'core/sessions/turnState.ts'];

  function writesOf(file: string): string[] {
    const javaScript = stripTypeScriptTypes(readFileSync(path.join(src, file), 'utf8'), { mode: 'strip' });
    // Outside of what clients show, nothing reads a phase by taking an object apart, so that any shorthand is a write.
    const isShown = /^(?:vscode|cli|words)\//.test(file);
    const pattern = isShown
      ? /\bphase'?\s*(?::|=(?![=>])).*/g
      : /(?:\bphase'?\s*(?::|=(?![=>]))|[{,]\s*phase\s*[,}]).*/g;
    return [...javaScript.matchAll(pattern)].map(([text]) => `${file}: ${text.trim()}`);
  }

  test('S4-13 no source but the machine sets a phase; a new session gets the initial one', () => {
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll(path.sep, '/'))
      .filter((file) => file.endsWith('.ts'));
    expect(writesOf(writer).length).toBeGreaterThan(0);
    const others = files
      .filter((file) => file !== writer && file !== schema && !tellers.includes(file))
      .flatMap(writesOf);
    expect(others.filter((write) => !write.endsWith(': phase: initialPhase,'))).toEqual([]);
    expect(others.length).toBeLessThanOrEqual(3);
  });
});
