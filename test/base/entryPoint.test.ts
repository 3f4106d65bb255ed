import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { entryPointPath } from '../../src/base/entryPoint.ts';

describe('entry points', () => {
  it('are the main files of the checkout when it runs from there', () => {
    const caller = new URL('../../src/cli/run.ts', import.meta.url).href;
    for (const name of ['backend', 'embedded', 'cli'] as const)
      expect(existsSync(entryPointPath(name, caller))).toBe(true);
  });

  it('lie beside the caller when it is bundled', () => {
    const bundle = pathToFileURL('/extension/dist/cli.js').href;
    expect(entryPointPath('backend', bundle)).toMatch(/[\\/]extension[\\/]dist[\\/]backend\.js$/);
  });
});
