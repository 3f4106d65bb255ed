import { defineConfig } from 'vitest/config';

/** The live suite: real model servers, started, killed and restarted. One file after the other, because each server takes all cores. */
export default defineConfig({
  test: {
    expect: { poll: { timeout: 60_000, interval: 20 } },
    include: ['test/engines/**/*.live.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
  },
});
