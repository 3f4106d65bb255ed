import { describe, expect, test } from 'vitest';
import { HostCache, type Occupant } from '../../../src/core/windows/checkpoints/hostCache.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';
import { FakeSlots } from '../../fakes/fakeSlots.ts';
import { fc } from '../../support/fc.ts';

/** One character is one token here. */
const idsOf = (text: string): number[] => Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));

interface Talk {
  readonly session: SessionId;
  readonly system: string;
  readonly first: string;
  text: string;
  /** What the server saw of it last. */
  had: number;
}

const occupantOf = ({ session, system, first, text }: Talk): Occupant => ({
  session,
  beginning: { tools: '', toolsLength: 0, system, first },
  length: text.length,
  tokens: text.length,
});

/** A cache that is known to be there. */
function provenCache(): HostCache {
  const cache = new HostCache();
  cache.needsTrial();
  cache.tried(true);
  return cache;
}

const lengths = { minLength: 0, maxLength: 300 };
const texts = (unit: string) => fc.string({ unit: fc.constantFrom(...unit.split('')), ...lengths });

describe("what a llama-server's own cache of prompts has", () => {
  test('a conversation that is said to come back does, whatever else was asked and however alike the beginnings are (N20)', () => {
    const talks = fc.array(
      fc.record({
        shared: fc.nat(300),
        system: texts('ab'),
        first: fc.string({ unit: fc.constantFrom('c', 'd'), minLength: 1, maxLength: 8 }),
      }),
      { minLength: 2, maxLength: 6 },
    );
    const steps = fc.array(fc.record({ talk: fc.nat(5), says: fc.nat(120) }), { minLength: 5, maxLength: 40 });
    let cameBack = 0;
    fc.assert(
      fc.property(talks, steps, (given, asked) => {
        const common = 'x'.repeat(300);
        const all = given.map(({ shared, system, first }, at): Talk => {
          const whole = `${common.slice(0, shared)}${system}`;
          return { session: `s${at}` as SessionId, system: whole, first, text: whole + first, had: 0 };
        });
        const server = new FakeSlots(1);
        const slot = server.slots[0]!;
        const cache = provenCache();
        let holder: Talk | null = null;
        for (const { talk: at, says } of asked) {
          const talk = all[at % all.length]!;
          talk.text += String.fromCodePoint(0x1000 + says).repeat(1 + says);
          const isPromised = talk !== holder && cache.swapTo(occupantOf(talk)).bringsBack;
          cache.entered(occupantOf(talk));
          const { cached } = server.evaluate(slot, idsOf(talk.text), 'weights', true, true);
          if (isPromised) {
            cameBack++;
            expect(cached).toBe(talk.had);
          }
          talk.had = talk.text.length;
          holder = talk;
        }
      }),
    );
    // Otherwise it says nothing.
    expect(cameBack).toBeGreaterThan(100);
  });

  test('nothing is promised before a trial, after a server was started again, and where there is no such cache', () => {
    const [one, other] = ['a', 'b'].map((name): Occupant =>
      occupantOf({ session: name as SessionId, system: name.repeat(100), first: name, text: name.repeat(200), had: 0 }),
    ) as [Occupant, Occupant];
    const fresh = new HostCache();
    for (const each of [one, other]) fresh.entered(each);
    expect(fresh.swapTo(one)).toEqual({ keepsHolder: false, bringsBack: false, endangered: [] });
    const proven = provenCache();
    for (const each of [one, other]) proven.entered(each);
    expect(proven.swapTo(one)).toEqual({ keepsHolder: true, bringsBack: true, endangered: [] });
    proven.emptied();
    expect(proven.swapTo(one)).toEqual({ keepsHolder: false, bringsBack: false, endangered: [] });
    expect(proven.needsTrial()).toBe(true);
    const absent = new HostCache();
    absent.tried(false);
    expect(absent.needsTrial()).toBe(false);
  });

  test('after it fell short, trials come ever later, and as much as fell out is not counted on', () => {
    const cache = new HostCache();
    const untilTrial = (): number => {
      let switches = 1;
      while (!cache.needsTrial()) switches++;
      return switches;
    };
    const waited: number[] = [];
    for (let failure = 0; failure < 4; failure++) {
      waited.push(untilTrial());
      cache.tried(true);
      cache.measured(1000, 10);
    }
    expect(waited).toEqual([1, 2, 3, 5]);
    untilTrial();
    cache.tried(true);
    for (const name of ['a', 'b', 'c'])
      cache.entered({
        ...occupantOf({
          session: name as SessionId,
          system: name.repeat(100),
          first: name,
          text: name.repeat(200),
          had: 0,
        }),
        tokens: 1000,
      });
    expect(cache.has('a' as SessionId)).toBe(false);
  });

  test('what more than half of the limit has followed is endangered, so that it is saved before it falls out', () => {
    const cache = provenCache();
    // 70 % of 8 GiB are 6,013 tokens of this size.
    cache.sized(1_000_000, 1);
    for (const name of ['a', 'b', 'c', 'd'])
      cache.entered({
        ...occupantOf({
          session: name as SessionId,
          system: name.repeat(100),
          first: name,
          text: name.repeat(200),
          had: 0,
        }),
        tokens: 1000,
      });
    expect(
      cache.swapTo({ session: null, beginning: { tools: '', toolsLength: 0, system: 'e', first: 'e' } }).endangered,
    ).toEqual(['a']);
    expect(cache.has('a' as SessionId)).toBe(true);
  });
});
