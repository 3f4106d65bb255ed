import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorsFile, errorsPage } from '../../scripts/errorsPage.ts';

test('S0-70 docs/errors.md is the table of errors (node scripts/errorsPage.ts makes it)', async () => {
  expect(readFileSync(errorsFile, 'utf8')).toBe(await errorsPage());
});
