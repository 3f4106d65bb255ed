import { expect, it } from 'vitest';
import { describeTried } from '../../../src/core/kv/describeTried.ts';
import { FakeEngine } from '../fakeEngine.ts';

const { signal } = new AbortController();

it('a model server that shows enough is described without a probe', async () => {
  const engine = new FakeEngine();
  expect((await describeTried(engine, signal)).isUntried).toBe(false);
  expect(engine.calls).toEqual(['describe']);
});

it('a model server that shows too little is probed, and then described as the probe found it', async () => {
  const engine = new FakeEngine();
  const describe = engine.describe.bind(engine);
  engine.describe = async (given) => ({
    ...(await describe(given)),
    isUntried: !engine.calls.includes('probe'),
    notices: engine.calls.includes('probe') ? ['It reuses nothing.'] : [],
  });
  expect(await describeTried(engine, signal)).toMatchObject({ isUntried: false, notices: ['It reuses nothing.'] });
  expect(engine.calls).toEqual(['describe', 'probe', 'describe']);
});
