import { defineConfig } from 'vitest/config';

/** The Windows suite, which `npm run test:windows` prepares and runs. */
export default defineConfig({
  test: {
    expect: { poll: { timeout: 60_000, interval: 20 } },
    include: ['test/windows/**/*.windows.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // Wine starts a process in a second, and in many on a busy machine.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
