import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../llamaServer/coreOver.ts';
import { makeRig } from './rig.ts';

test('with 1.5 s to the server and back, a thaw that computes everything again takes at most 10 s', async () => {
  const roundTripMs = 1_500;
  let nowMs = 0;
  let held: (() => void)[] = [];
  const rig = await makeRig({
    fake: { schedule: (_, answer) => void held.push(answer) },
    engine: {
      clock: { now: () => new Date(0), elapsedMs: () => nowMs },
      sleep: async (delayMs) => void (nowMs += delayMs),
    },
  });
  const over = await coreOver(rig.engine);
  onTestFinished(() => over.dispose());
  await over.keep();
  await rig.fake.restart();

  rig.fake.faults.http = { kind: 'slow', delayMs: roundTripMs };
  const startedMs = nowMs;
  const thaw = { isDone: false };
  const thawing = over.thaw().finally(() => (thaw.isDone = true));
  while (!thaw.isDone) {
    await setTimeout(5);
    // Everything that waits now was asked at once, and is answered at once.
    if (held.length > 0) nowMs += roundTripMs;
    const answers = held;
    held = [];
    for (const answer of answers) answer();
  }
  rig.fake.faults.http = null;
  const receipt = await thawing;
  expect(receipt).toMatchObject({ verdict: 'rebuilt', content: { canary: 'not-run' } });
  expect(receipt.notes.join(' ')).toContain('takes long to answer');
  console.log(
    'MS',
    nowMs - startedMs,
    rig.fake.requests
      .slice(-16)
      .map(({ path }) => path)
      .join(' '),
  );
  expect(nowMs - startedMs).toBeLessThanOrEqual(10_000);
});
