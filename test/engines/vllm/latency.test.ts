import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../llamaServer/coreOver.ts';
import { makeRig, type RigOptions } from './rig.ts';

const servers: readonly (readonly [string, RigOptions])[] = [
  ['without a tier', {}],
  ['with a tier in sight', { tier: {} }],
  ['with a tier out of sight', { tier: {}, engine: { blockFiles: undefined } }],
  ['with a tier and events', { tier: {}, events: true }],
  ['with a connector', { fake: { faults: { connector: 'LMCacheMPConnector' } } }],
];

/** Requests of this process that have no whole answer yet. */
let underWay = 0;
const begun = (): void => void underWay++;
const over = (): void => void underWay--;
beforeAll(() => {
  subscribe('undici:request:create', begun);
  for (const end of ['undici:request:trailers', 'undici:request:error']) subscribe(end, over);
});
afterAll(() => {
  unsubscribe('undici:request:create', begun);
  for (const end of ['undici:request:trailers', 'undici:request:error']) unsubscribe(end, over);
});

/** Whether something was asked of the disk or the network that is not done yet, which takes as long as the machine is busy. */
const isAtWork = (waiting: number): boolean =>
  underWay !== waiting || process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));

test.each(servers)('with 1.5 s to the server and back, a rebuilt thaw takes at most 10 s: %s', async (_, options) => {
  const roundTripMs = 1_500;
  let nowMs = 0;
  let held: (() => void)[] = [];
  const rig = await makeRig({
    ...options,
    fake: { ...options.fake, schedule: (_, answer) => void held.push(answer) },
    engine: {
      ...options.engine,
      clock: { now: () => new Date(0), elapsedMs: () => nowMs },
      sleep: async (delayMs) => void (nowMs += delayMs),
    },
  });
  const opened = await coreOver(rig.engine);
  onTestFinished(() => opened.dispose());
  await opened.keep();
  await rig.fake.restart();
  if (rig.rootDir !== '')
    for (const name of await readdir(rig.rootDir)) await rm(join(rig.rootDir, name), { recursive: true });

  rig.fake.faults.http = { kind: 'slow', delayMs: roundTripMs };
  const startedMs = nowMs;
  const thaw = { isDone: false };
  const thawing = opened.thaw().finally(() => (thaw.isDone = true));
  let quiet = { waiting: 0, turns: 0 };
  while (!thaw.isDone) {
    await setTimeout(2);
    const isQuiet = held.length === quiet.waiting && !isAtWork(held.length);
    quiet = { waiting: held.length, turns: isQuiet ? quiet.turns + 1 : 0 };
    // Everything that waits by now was asked at once, and is answered at once; what was asked with it needs a few turns to get here.
    if (held.length === 0 || quiet.turns < 40) continue;
    nowMs += roundTripMs;
    const answers = held;
    held = [];
    for (const answer of answers) answer();
  }
  rig.fake.faults.http = null;
  const receipt = await thawing;
  expect(receipt).toMatchObject({ verdict: 'rebuilt', content: { canary: 'not-run' } });
  expect(nowMs - startedMs).toBeLessThanOrEqual(10_000);
});
