import { once } from 'node:events';
import { appendFileSync, mkdirSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const mostAnswer = 100_000;

/**
 * What a client sends, kept as it came: with CWM_CLIENTS_RECORD=FOLDER, the client reaches the gateway through this server, which writes each
 * request with its answer as a line of FOLDER/LABEL.jsonl. The home of the story is `/home/user` there.
 *
 * @returns where the client finds the gateway.
 */
export async function recorded(
  gateway: string,
  label: string,
  home: string,
  cleanUps: (() => Promise<unknown>)[],
): Promise<string> {
  const folder = process.env['CWM_CLIENTS_RECORD'];
  if (folder === undefined) return gateway;
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${label}.jsonl`);
  const { host } = new URL(gateway);
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    let answered = '';
    const { method, url = '', headers } = req;
    const onward = request(gateway + url, { method, headers: { ...headers, host } }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (piece: Buffer) => (answered += piece.toString()));
      answer.pipe(res);
    });
    onward.once('error', () => res.destroy());
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.pipe(onward);
    res.once('close', () => {
      onward.destroy();
      if (method !== 'POST') return;
      const { authorization: _, 'x-api-key': __, ...shown } = headers;
      const body = JSON.parse(Buffer.concat(chunks).toString()) as unknown;
      const line = JSON.stringify({ url, headers: shown, body, answered: answered.slice(0, mostAnswer) });
      appendFileSync(file, `${line.replaceAll(home, '/home/user')}\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
