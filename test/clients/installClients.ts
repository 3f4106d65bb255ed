// Installs programs that talk to model servers into the user's cache folder: `npm run clients:install [NAME…]`, all without a name.
import { clientPackages, installClient, type ClientName } from './install.ts';

const names = Object.keys(clientPackages) as ClientName[];
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !names.includes(name as ClientName));
if (unknown.length > 0) {
  console.error(`There is no client ${unknown.join(', ')}. There are: ${names.join(', ')}.`);
  process.exit(2);
}
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
for (const name of names) {
  if (asked.length === 0 || asked.includes(name)) await installClient(name, interrupted.signal, console.log);
}
