// An MCP server over stdio that does everything wrong, one fault a tool. It speaks the protocol by itself, since the SDK would not do this.
import { createInterface } from 'node:readline';

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const tools = ['hang', 'flood', 'die', 'wrong_id', 'garbage', 'fine'].map((name) => ({
  name,
  inputSchema: { type: 'object' },
}));
tools.push(
  {
    name: 'picky',
    inputSchema: {
      $id: 'picky',
      type: 'object',
      properties: { level: { enum: ['low', 'high'] }, times: { type: 'integer', minimum: 1 } },
      required: ['level'],
    },
  },
  { name: 'odd_schema', inputSchema: { type: 'object', properties: { a: { $ref: '#/nowhere' } } } },
);
const text = (said) => ({ content: [{ type: 'text', text: said }] });

const faults = {
  hang: () => undefined,
  flood: (id) => send({ id, result: text('x'.repeat(3_000_000)) }),
  die: () => process.exit(3),
  wrong_id: (id) => send({ id: id + 1000, result: text('for another call') }),
  garbage: (id) => {
    process.stdout.write('this is no JSON\n');
    send({ id, result: text('behind garbage') });
  },
  fine: (id) => send({ id, result: text('fine') }),
  picky: (id) => send({ id, result: text('whatever you say') }),
  odd_schema: (id) => send({ id, result: text('fine') }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    const serverInfo = { name: 'bad', version: '1' };
    send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo } });
  } else if (method === 'tools/list') send({ id, result: { tools } });
  else if (method === 'tools/call') faults[params.name](id);
}
