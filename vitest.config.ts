import { globSync, readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

/** Each point of a crash, each lie of a server, thousands of random files: minutes of computing. */
const sweeps = [
  'test/store/{audit,crashPoints,encryption,failures,fuzz,migrations,powerCut}.test.ts',
  'test/evidence/**/*.test.ts',
  'test/core/evidence/*.property.test.ts',
];

/** These start processes or open sockets. */
const processes = [
  'test/{client,engines,security,soak}/**/*.test.ts',
  'test/cli/!(words|usage).test.ts',
  'test/embedded/*.test.ts',
  'test/embedded/kv/largePages.test.ts',
  'test/embedded/worker/!(llamaSupervisor|loadModel|partsTrial).test.ts',
  'test/backend/!(arguments|engineSpec).test.ts',
  'test/backend/api/!(dispatch|loggedDispatch|token).test.ts',
  'test/backend/contextFiles/{gitLists,byChange,projectIdentity}.test.ts',
  'test/backend/turns/*.test.ts',
  'test/backend/process/backendLock.test.ts',
  'test/backend/tools/*.test.ts',
  'test/gateway/!(recognition|recordedClients|passing|places|clientConfigs|configFile|smallParts).test.ts',
  'test/scripts/*.test.ts',
  'test/setup/systemdUnit.test.ts',
  'test/store/kill.test.ts',
  'test/vscode-unit/{package,commandsAndBackend,sessionCommands}.test.ts',
];

const everything = ['test/**/*.test.ts'];
/** `npm run test:engines` runs the first, which need servers that `npm run engines:install` brings; `npm run test:windows` the second. */
const elsewhere = ['**/*.live.test.ts', '**/*.windows.test.ts', ...configDefaults.exclude];

/** A test that replaces a module has all modules for itself. The others of a project share them, so that each is read and run once. */
const mocking = globSync('test/**/*.test.ts', { cwd: import.meta.dirname }).filter((file) =>
  readFileSync(path.join(import.meta.dirname, file), 'utf8').includes('vi.mock('),
);

const processFiles = new Set(globSync(processes, { cwd: import.meta.dirname }));

/** Where temporary files go: into memory where there is room, since many tests would wait for the fsync of a disk and prove no more. */
function temporaryFolder(): string {
  const memory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > 2e9) return memory;
  } catch {
    // Only Linux has it.
  }
  return os.tmpdir();
}

/** Where lines are counted, the programs run from their sources, since V8 counts lines of what runs. */
const programs =
  process.env['CWM_PROCESS_COVERAGE'] === undefined
    ? {
        globalSetup: 'test/support/programs.ts',
        alias: [
          {
            find: /^.*\/base\/entryPoint\.ts$/,
            replacement: path.join(import.meta.dirname, 'test/support/bundledEntryPoint.ts'),
          },
        ],
      }
    : {};
const processSetup = 'test/support/processCoverage.ts';

export default defineConfig({
  test: {
    // They end what hangs, and must never end what is only slow on a busy machine.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    maxWorkers: 2,
    // vitest's own patience is one second, which a busy machine exceeds.
    expect: { poll: { timeout: 60_000, interval: 5 } },
    env: { TMPDIR: temporaryFolder() },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: everything,
          exclude: [...sweeps, ...processes, ...mocking, ...elsewhere],
          isolate: false,
          setupFiles: 'test/support/noProcesses.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'unit-mocking',
          include: mocking,
          exclude: [...processes, ...elsewhere],
          setupFiles: 'test/support/noProcesses.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'process',
          include: processes,
          exclude: [...mocking, ...elsewhere],
          isolate: false,
          setupFiles: processSetup,
          ...programs,
        },
      },
      {
        extends: true,
        test: {
          name: 'process-mocking',
          include: mocking.filter((file) => processFiles.has(file)),
          exclude: elsewhere,
          setupFiles: processSetup,
          ...programs,
        },
      },
      {
        extends: true,
        test: { name: 'sweep', include: sweeps, exclude: elsewhere, setupFiles: processSetup },
      },
    ],
  },
});
