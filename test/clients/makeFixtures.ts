// Makes test/gateway/recordings/*.jsonl of what clients sent: CWM_CLIENTS_RECORD=FOLDER npm run test:clients, then
// node scripts/run.mjs test/clients/makeFixtures.ts FOLDER. Long texts are cut to their beginnings and ends, with a hash of the whole, so that
// what was equal stays equal and what was not does not. Of the tools, one stays:
// the first that the client spelled differently, else the first.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { listOf, objectOf, parsed, textOf, type JsonObject } from '../../src/gateway/formats/json.ts';

interface Recorded {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  readonly answered: string;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Usage: makeFixtures.ts FOLDER');
const target = path.join(import.meta.dirname, '..', 'gateway', 'recordings');
const mostText = 240;
const mostTools = 1;
/** A client that asks three times for each thing that is said would have as much as all others. */
const mostRequests = 16;
/** Where a client says in which folder it works. */
const saysFolder = /working.director|working in the directory|<cwd>|following folders/i;

/** Of the same text, always the same. */
function cut(text: string): string {
  if (text.length <= mostText) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const folders = text.split('\n').filter((line) => saysFolder.test(line) && line.length < 200);
  const short = `[... ${text.length} characters, SHA-256 ${hash} ...]`;
  return [...folders.slice(0, 2), text.slice(0, 100), short, text.slice(-60)].join('\n');
}

function cutAll(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return key === 'description' ? value.slice(0, 20) : cut(value);
  if (Array.isArray(value)) return value.map((each: unknown) => cutAll(each));
  const given = objectOf(value);
  return given ? Object.fromEntries(Object.entries(given).map(([name, each]) => [name, cutAll(each, name)])) : value;
}

const nameOf = (tool: unknown): string =>
  textOf(objectOf(tool)?.['name'] ?? objectOf(objectOf(tool)?.['function'])?.['name']);

/** Which tools stay, by their names. */
function toolsOf(all: readonly Recorded[]): ReadonlySet<string> {
  const spellings = new Map<string, Set<string>>();
  for (const tool of all.flatMap(({ body }) => listOf(body['tools']))) {
    const known = spellings.get(nameOf(tool)) ?? new Set();
    spellings.set(nameOf(tool), known.add(JSON.stringify(tool)));
  }
  const names = [...spellings].sort(([, one], [, other]) => other.size - one.size).map(([name]) => name);
  return new Set(names.slice(0, mostTools));
}

/** What the model said, from the stream of whichever format. */
function answerOf({ url, answered }: Recorded): object | null {
  const events = answered
    .split('\n')
    .flatMap((line) => (line.startsWith('data: {') ? [objectOf(parsed(line.slice(6))) ?? {}] : []));
  const call = { id: '', name: '', arguments: '' };
  let [text, reasoning] = ['', ''];
  for (const event of events) {
    if (url.endsWith('/chat/completions')) {
      const delta = objectOf(objectOf(listOf(event['choices'])[0])?.['delta']) ?? {};
      text += textOf(delta['content']);
      reasoning += textOf(delta['reasoning_content']);
      for (const each of listOf(delta['tool_calls'])) {
        const called = objectOf(objectOf(each)?.['function']) ?? {};
        call.id ||= textOf(objectOf(each)?.['id']);
        call.name += textOf(called['name']);
        call.arguments += textOf(called['arguments']);
      }
    } else if (url.includes('/responses')) {
      for (const each of event['type'] === 'response.completed'
        ? listOf(objectOf(event['response'])?.['output'])
        : []) {
        const item = objectOf(each) ?? {};
        for (const part of listOf(item['content'])) text += textOf(objectOf(part)?.['text']);
        if (item['type'] !== 'function_call') continue;
        call.id = textOf(item['call_id']);
        call.name = textOf(item['name']);
        call.arguments = textOf(item['arguments']);
      }
    } else {
      const delta = objectOf(event['delta']) ?? {};
      const block = objectOf(event['content_block']) ?? {};
      text += textOf(delta['text']);
      reasoning += textOf(delta['thinking']);
      call.id ||= textOf(block['id']);
      call.name ||= textOf(block['name']);
      call.arguments += textOf(delta['partial_json']);
    }
  }
  if (text === '' && call.name === '') return null;
  return { text, ...(call.name !== '' && { calls: [call] }), ...(reasoning !== '' && { reasoning }) };
}

/** What the gateway reads of a body to recognise whose it is. */
const read = /^(model|messages|system|input|instructions|tools|metadata|prompt_?cache_?key|previous_response_id)$/i;
/** Headers that name a client, its conversation or its folder. */
const named = /^(user-agent|thread-id|session-id|x-(?!stainless|api|request|client-request|cwm-token).*)$/;

mkdirSync(target, { recursive: true });
for (const name of readdirSync(folder).filter((each) => each.endsWith('.jsonl'))) {
  const lines = readFileSync(path.join(folder, name), 'utf8').trim().split('\n').slice(0, mostRequests);
  const all = lines.map((line) => JSON.parse(line) as Recorded);
  const tools = toolsOf(all);
  const requests = all.map((recorded) => {
    const headers = Object.fromEntries(Object.entries(recorded.headers).filter(([each]) => named.test(each)));
    const kept = listOf(recorded.body['tools']).filter((tool) => tools.has(nameOf(tool)));
    const body = Object.fromEntries(
      Object.entries({ ...recorded.body, tools: kept }).filter(([each]) => read.test(each)),
    );
    return { url: recorded.url, headers, body: cutAll(body), answer: answerOf(recorded) };
  });
  const file = path.join(target, `${path.basename(name, '.jsonl').replaceAll(' ', '-').toLowerCase()}.jsonl`);
  writeFileSync(file, `${requests.map((each) => JSON.stringify(each)).join('\n')}\n`);
  console.log(`${path.basename(file)}: ${requests.length} requests`);
}
