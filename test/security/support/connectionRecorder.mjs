// Loaded into each process of the product by NODE_OPTIONS: writes every address that it connects to, or looks up, into a file.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import net from 'node:net';

const file = process.env['CWM_CONNECTIONS'];
const note = (target) => appendFileSync(file, `${target}\n`);

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  const isPath =
    typeof options === 'object' ? options?.path !== undefined : typeof options === 'string' && isNaN(options);
  if (!isPath)
    note(
      typeof options === 'object'
        ? `${options.host ?? 'localhost'}:${options.port}`
        : `${args[1] ?? 'localhost'}:${options}`,
    );
  return connect.apply(this, args);
};
const lookup = dns.lookup;
dns.lookup = (name, ...rest) => {
  if (!net.isIP(name)) note(`look up ${name}`);
  return lookup(name, ...rest);
};
dgram.Socket.prototype.send = (...args) => note(`datagram to ${args.slice(1).join(' ')}`);
