import { defineConfig } from 'vitest/config';

/** The Windows suite, which `npm run test:windows` prepares and runs. */
export default defineConfig({
  test: {
    include: ['test/windows/**/*.windows.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
