import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../llamaServer/coreOver.ts';
import { makeRig, type RigOptions } from './rig.ts';

const servers: readonly (readonly [string, RigOptions])[] = [
  ['without a tier', {}],
  ['with a tier in sight', { tier: {} }],
  ['with a tier out of sight', { tier: {}, engine: { blockFiles: undefined } }],
  ['with a tier and events', { tier: {}, events: true }],
  ['with a connector', { fake: { faults: { connector: 'LMCacheMPConnector' } } }],
];

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
  const over = await coreOver(rig.engine);
  onTestFinished(() => over.dispose());
  await over.keep();
  await rig.fake.restart();
  if (rig.rootDir !== '')
    for (const name of await readdir(rig.rootDir)) await rm(join(rig.rootDir, name), { recursive: true });

  rig.fake.faults.http = { kind: 'slow', delayMs: roundTripMs };
  const startedMs = nowMs;
  const thaw = { isDone: false };
  const thawing = over.thaw().finally(() => (thaw.isDone = true));
  let quiet = { waiting: 0, turns: 0 };
  while (!thaw.isDone) {
    await setTimeout(2);
    quiet = { waiting: held.length, turns: held.length === quiet.waiting ? quiet.turns + 1 : 0 };
    // Everything that waits by now was asked at once, and is answered at once; what was asked with it needs a few turns to get here.
    if (held.length === 0 || quiet.turns < 150) continue;
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
