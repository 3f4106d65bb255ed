import { describe, expect, it, onTestFinished } from 'vitest';
import type { FakeFaults } from '../fakes/fakeFaults.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { cliOn } from './support/cli.ts';

const startHere = wholeBackends();

async function doctorOn(faults: Partial<FakeFaults>) {
  const fake = await FakeVllm.start({ faults });
  onTestFinished(() => fake.stop());
  const cwm = cliOn((await startHere()).storage);
  return { fake, run: (...args: string[]) => cwm.run('doctor', '--engine', fake.url, ...args) };
}

describe('cwm doctor', () => {
  it('shows what the engine can do, what it lacks, and what to change', async () => {
    const { fake, run } = await doctorOn({ usageDetails: 'null', connector: 'ExampleConnector' });
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^It works; \d+ things could be better\.\n/);
    expect(stdout).toContain(`What ${fake.url} can do, tried with 4 tiny requests of 194 tokens in all:`);
    expect(stdout).toMatch(/\n✓ Reuses a repeated context +48 of 49 tokens came from the cache/);
    expect(stdout).toMatch(/✗ Says how much it reused .*\n {4}→ Start vLLM with --enable-prompt-tokens-details\.\n/);
    expect(stdout).toMatch(
      /✗ Keeps conversations apart .*The connector ignores the cache salt.*isolation is not promised/,
    );
  });

  it('as JSON, asking the model no second time', async () => {
    const { fake, run } = await doctorOn({});
    await run();
    const { capabilities } = JSON.parse((await run('--json')).stdout);
    expect(capabilities.items).toContainEqual({
      name: 'isolation',
      state: 'yes',
      found: expect.any(String),
      remedy: '',
    });
    expect(fake.requestsTo('/v1/completions')).toHaveLength(4);
  });
});
