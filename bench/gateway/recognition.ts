import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readChatRequest } from '../../src/gateway/formats/chat/chatCompletions.ts';
import { chatItem } from '../../src/gateway/formats/chat/chatCompletions.ts';
import { Recogniser, type Asker } from '../../src/gateway/recognition/recogniser.ts';
import type { Said } from '../../src/gateway/recognition/said.ts';
import { scratchFile } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';
import { atMost, mustHold, type Benchmark } from '../benchmark.ts';

const conversations = 1000;
const messagesOfEach = 200;
const asked = 500;

const asker: Asker = { client: 'bench', project: null, key: null };
const tools = Array.from({ length: 20 }, (_, at) => ({
  type: 'function',
  function: {
    name: `tool_${at}`,
    description: 'Does something. '.repeat(40),
    parameters: { type: 'object', properties: {} },
  },
}));

/** What a client of conversation `name` sends for its turn `turn`, each message of some 400 characters. */
function request(name: number, turn: number): object {
  const messages: object[] = [{ role: 'system', content: `You are terse. ${'Rule. '.repeat(500)}` }];
  for (let at = 0; at <= turn; at++) {
    messages.push({ role: 'user', content: `Question ${at} of ${name}: ${'why? '.repeat(80)}` });
    if (at < turn) messages.push(answer(name, at));
  }
  return { model: 'm', stream: true, messages, tools };
}

const answer = (name: number, turn: number): object => ({
  role: 'assistant',
  content: `Answer ${turn} of ${name}: ${'because. '.repeat(45)}`,
});

/** The gateway's search for the session that a request belongs to, among many long conversations of one client. */
export const recognition: Benchmark = {
  ids: ['GATEWAY-KNOWN'],
  async run() {
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const index = new ScratchIndex(scratchFile(folder));
    const recogniser = new Recogniser(index);
    const turns = messagesOfEach / 2;
    let nowMs = 0;
    for (let name = 0; name < conversations; name++) {
      const body = readChatRequest(request(name, turns - 1) as never)!;
      const found = recogniser.recognise(body, asker, ++nowMs);
      if (found?.kind !== 'turn') throw new Error('It is no turn.');
      const item = chatItem(answer(name, turns - 1));
      const said: Said[] = [recogniser.conversations.add(found.conversation, found.last, item, true)];
      for (let before = said[0]!.before; before; before = before.before) said.unshift(before);
      recogniser.conversations.stored(said);
    }
    const times: number[] = [];
    for (let at = 0; at < asked; at++) {
      const text = JSON.stringify(request((at * 7919) % conversations, turns));
      const body = JSON.parse(text) as never;
      const started = performance.now();
      const found = recogniser.recognise(readChatRequest(body)!, asker, ++nowMs);
      times.push(performance.now() - started);
      mustHold(found?.kind === 'turn' && found.known === messagesOfEach, 'the request goes on with its conversation');
      if (found?.kind === 'turn') recogniser.conversations.drop(found.last);
    }
    index.close();
    await rm(folder, { recursive: true });
    const sorted = times.toSorted((a, b) => a - b);
    const of = `${conversations.toLocaleString('en-US')} conversations of ${messagesOfEach} messages`;
    return [
      atMost('GATEWAY-KNOWN', `recognise a request among ${of}, median`, sorted[asked / 2] ?? Number.NaN, 2, asked),
      atMost('GATEWAY-KNOWN', 'the same, p95', sorted[Math.floor(asked * 0.95)] ?? Number.NaN, 2, asked),
    ];
  },
};
