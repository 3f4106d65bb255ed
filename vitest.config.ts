import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those need servers that `npm run engines:install` brings; `npm run test:engines` runs them.
    // `npm run test:windows` runs those of Windows.
    exclude: ['**/*.live.test.ts', '**/*.windows.test.ts', 'node_modules/**', 'dist/**'],
    // They end what hangs, and must never end what is only slow on a busy machine.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    maxWorkers: 2,
    setupFiles: ['test/support/processCoverage.ts'],
  },
});
