import { defineConfig } from 'vitest/config';

/** Real clients against the gateway, in front of a real model. One file after the other: the model takes all cores. */
export default defineConfig({
  test: {
    expect: { poll: { timeout: 60_000, interval: 20 } },
    include: ['test/clients/**/*.live.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
});
