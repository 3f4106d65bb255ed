// Installs programs that talk to model servers into the user's cache folder: `npm run clients:install [NAME…]`. Without a name, those that CI
// tests, and all in a nightly run.
import { isNightly } from '../support/nightly.ts';
import { clientPackages, clientsOfEveryRun, installClient, type ClientName } from './install.ts';

const names = Object.keys(clientPackages) as ClientName[];
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !names.includes(name as ClientName));
if (unknown.length > 0) {
  console.error(`There is no client ${unknown.join(', ')}. There are: ${names.join(', ')}.`);
  process.exit(2);
}
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
const wanted = asked.length > 0 ? names.filter((name) => asked.includes(name)) : isNightly ? names : clientsOfEveryRun;
for (const name of wanted) await installClient(name, interrupted.signal, console.log);
