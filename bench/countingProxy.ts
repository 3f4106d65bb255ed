import { connect, createServer, type AddressInfo } from 'node:net';

export interface CountingProxy extends AsyncDisposable {
  readonly url: string;
  /** Bytes that went to the server so far, HTTP heads included. */
  readonly sentBytes: number;
  /** Bytes that came from it. */
  readonly receivedBytes: number;
}

/**
 * A way to a server on this machine that counts what goes over it.
 *
 * @param onReceived gets what the server sends, before it is passed on.
 */
export async function countingProxy(
  target: string,
  onReceived: (chunk: Buffer) => void = () => undefined,
): Promise<CountingProxy> {
  const { hostname, port } = new URL(target);
  let sentBytes = 0;
  let receivedBytes = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    client.on('data', (chunk) => (sentBytes += chunk.length));
    upstream.on('data', (chunk) => {
      receivedBytes += chunk.length;
      onReceived(chunk);
    });
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get sentBytes() {
      return sentBytes;
    },
    get receivedBytes() {
      return receivedBytes;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
