// A unit test starts no process and opens no socket: then all of them together take less than a minute. What needs one belongs to the
// project `process` (vitest.config.ts).
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const refuse = (what: string) => (): never => {
  throw new Error(`A unit test ${what}. List its file in vitest.config.ts among those that may.`);
};
for (const name of ['spawn', 'spawnSync', 'fork', 'exec', 'execSync', 'execFile', 'execFileSync'] as const) {
  Object.assign(childProcess, { [name]: refuse(`calls ${name}`) });
}
net.Server.prototype.listen = refuse('opens a server');
net.Socket.prototype.connect = refuse('opens a connection');
syncBuiltinESMExports();
