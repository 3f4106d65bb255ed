import { defineConfig } from 'vitest/config';

/** Programs of other people read and drive the control API; `npm run test:strangers` brings them. */
export default defineConfig({
  test: {
    expect: { poll: { timeout: 60_000, interval: 20 } },
    include: ['test/strangers/*.live.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
