// With `npm run coverage`, the processes that tests start write what they ran. Only they: this process is measured by vitest.
const folder = process.env['CWM_PROCESS_COVERAGE'];
if (folder) {
  process.env['NODE_V8_COVERAGE'] = folder;
  process.env['NODE_OPTIONS'] = `--import=${new URL('writeCoverage.mjs', import.meta.url).href}`;
}
