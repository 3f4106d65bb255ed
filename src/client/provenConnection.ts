import type { Agent, ClientRequestArgs } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { readFields } from '../base/fields.ts';
import { randomSalt } from '../base/hash.ts';
import { backendProof, challengePath } from '../protocol/backendRecord.ts';

/**
 * `node:http` without its namespace as a module: making that reads every name in it, and behind three of them Node.js loads its whole HTTP
 * client for the web. It took a fifth of the time in which `cwm mcp` starts.
 */
export const nodeHttp = process.getBuiltinModule('node:http');

/** A proof is much shorter. */
const mostAnswerBytes = 4096;

/** The backend ends an idle connection after 5 s. */
const restMs = 4_000;
/** To one backend. */
const mostResting = 4;

/**
 * One connection and never a second one: what was proved of a connection says nothing of the next, which may lead to another program.
 */
class OneConnection extends nodeHttp.Agent {
  readonly #address: string;
  #socket: Socket | undefined;

  constructor(address: string) {
    super({ keepAlive: true, maxSockets: 1, timeout: restMs });
    this.#address = address;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === 'open';
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | undefined {
    if (!this.#socket) {
      this.#socket = connect(this.#address);
      this.#socket.once('close', () => resting.delete(this));
      return this.#socket;
    }
    callback?.(new Error('The connection to the backend ended before the request was sent.'), undefined as never);
    return undefined;
  }
}

/** The proved connections that wait for another request, and the backend of each. */
const resting = new Map<OneConnection, string>();

const backendOf = (address: string, token: string): string => `${token} ${address}`;

/** The connection to this backend that rested last, which nobody else gets now; null when none is open. */
export function takeProven(address: string, token: string): Agent | null {
  const backend = backendOf(address, token);
  const connection = [...resting].findLast(([each, of]) => of === backend && each.isOpen)?.[0] ?? null;
  if (connection) resting.delete(connection);
  return connection;
}

/**
 * Keeps a proved connection, whose last answer was read to its end, for one more request to the same backend. It ends when it is not used
 * for 4 s, or with the backend, and keeps no program running.
 */
export function keepProven(agent: Agent, address: string, token: string): void {
  const backend = backendOf(address, token);
  const isOneTooMany = [...resting.values()].filter((of) => of === backend).length >= mostResting;
  if (agent instanceof OneConnection && agent.isOpen && !isOneTooMany) resting.set(agent, backend);
  else agent.destroy();
}

/**
 * A connection whose other end has proved that it knows the token. Neither the token nor any text is sent before that.
 *
 * @throws Error when the connection fails, or the other end proves nothing.
 */
export async function connectProven(address: string, token: string, signal: AbortSignal): Promise<Agent> {
  const agent = new OneConnection(address);
  try {
    const nonce = randomSalt();
    const proof = await askForProof(agent, address, nonce, signal);
    // The nonce is used once, so the time that this takes tells nobody anything.
    if (proof === backendProof(token, address, nonce)) return agent;
    throw new Error('The program at the address of the backend does not know its token, so nothing was sent to it.');
  } catch (error) {
    agent.destroy();
    throw error;
  }
}

function askForProof(agent: Agent, address: string, nonce: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    // An agent finds its connections by this path.
    const options = { socketPath: address, path: `${challengePath}?nonce=${nonce}`, agent, signal };
    const outgoing = nodeHttp.request(options, async (response) => {
      try {
        const chunks: Uint8Array[] = [];
        let bytes = 0;
        for await (const chunk of response) {
          chunks.push(chunk as Uint8Array);
          bytes += (chunk as Uint8Array).length;
          if (bytes > mostAnswerBytes) throw new Error('The answer to the challenge is too long.');
        }
        const answer: unknown = response.statusCode === 200 ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : null;
        resolve(readFields(answer, { proof: 'string' })?.proof ?? '');
      } catch (error) {
        reject(error);
      }
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}
