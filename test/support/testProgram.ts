import path from 'node:path';

/** Programs that only tests start, by the names of their bundles. `programs.ts` makes these with those of the product. */
export const testPrograms = {
  soakClient: 'test/soak/clientMain.ts',
  backendOfVersion: 'test/client/support/backendOfVersion.ts',
  backendAsUser: 'test/client/support/backendAsUser.ts',
  storeWriter: 'test/store/writer.ts',
  blockWriter: 'test/embedded/support/blockWriter.ts',
  lockHolder: 'test/backend/support/lockHolder.ts',
  lockStress: 'test/backend/support/lockStress.ts',
};

/** The file that starts it: its bundle in process tests, its source elsewhere (`npm run soak`, `npm run coverage`). */
export function testProgram(name: keyof typeof testPrograms): string {
  const bundles = process.env['CWM_TEST_PROGRAMS'];
  return bundles === undefined
    ? path.resolve(import.meta.dirname, '../..', testPrograms[name])
    : path.join(bundles, `${name}.js`);
}
