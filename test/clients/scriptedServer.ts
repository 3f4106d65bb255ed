import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
}
interface Chat {
  readonly messages: readonly { readonly role: string; readonly content?: unknown }[];
  readonly tools?: readonly { readonly function: { readonly name: string; readonly parameters?: Schema } }[];
  readonly stream?: boolean;
  readonly max_tokens?: number;
}
/** One request for an answer, as the model server got it. */
export interface SeenChat {
  readonly chat: Chat;
  /** By the script, and not by the model. */
  readonly isScripted: boolean;
  /** Prompt tokens that the model server reused; null: not told yet. */
  cachedTokens: number | null;
  promptTokens: number | null;
  /** When the connection was closed before the answer's end, as `performance.now()` has it; null: it was not. */
  leftMs: number | null;
  /** The tool that the script called; null: none. */
  readonly called: string | null;
  /** Of an answer without an end: words that it has so far. */
  words: number;
}

/** A small model without tools never ends an answer where a test wants it. */
const answerTokens = 12;
/** Tools that only look come first: a client asks nobody before it runs them. */
const wanted = ['read', 'view', 'list', 'ls', 'glob', 'llm_', 'shell', 'bash', 'exec', 'run_'];

/**
 * A model server with what a small model cannot do: a message that has USETOOL gets a call of one of the client's tools, USETOOL:NAME {JSON}
 * of the tool whose name ends so, with these arguments, one that has THINK gets reasoning before its answer, and one that has SLOWLY an answer without an end. Everything else is the model
 * server's own, with short answers.
 *
 * @param file what a tool that wants one is called with.
 * @param port 0: a free one.
 */
export async function scriptedServer(
  upstream: () => string,
  cleanUps: (() => Promise<unknown>)[],
  { file = 'a.txt', port = 0 }: { readonly file?: string; readonly port?: number } = {},
) {
  const seen: SeenChat[] = [];
  const scripted = { holdRestoreMs: 0 };
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => void answer(req.method ?? '', req.url ?? '', req.headers, Buffer.concat(chunks), res));
  });
  async function answer(method: string, url: string, headers: IncomingHttpHeaders, body: Buffer, res: ServerResponse) {
    const left = new AbortController();
    const isChat = url === '/v1/chat/completions';
    const chat = isChat ? (JSON.parse(body.toString()) as Chat) : null;
    const script = chat && scriptOf(chat, `call_${seen.length + 1}`);
    const asked: SeenChat | null = chat && {
      chat,
      isScripted: script !== null,
      cachedTokens: null,
      promptTokens: null,
      leftMs: null,
      called: typeof script === 'object' && script ? script.tool.function.name : null,
      words: 0,
    };
    if (asked) seen.push(asked);
    res.once('close', () => {
      if (res.writableFinished) return;
      left.abort();
      if (asked) asked.leftMs = performance.now();
    });
    if (asked && script === 'slowly') return await tell(res, asked, left.signal);
    if (chat && script && script !== 'slowly')
      return script === 'think' ? think(chat, res) : callTool(chat, script, res, file);
    if (url.includes('action=restore')) await delay(scripted.holdRestoreMs);
    try {
      const short =
        chat &&
        JSON.stringify({
          ...chat,
          max_tokens: Math.min(chat.max_tokens ?? answerTokens, answerTokens),
          // Pi's word for it, which counts before the other one.
          max_completion_tokens: undefined,
        });
      const given = await fetch(upstream() + url, {
        method,
        headers: { 'content-type': headers['content-type'] ?? 'application/json' },
        ...(method !== 'GET' && { body: short ?? body }),
        signal: left.signal,
      });
      res.writeHead(given.status, { 'content-type': given.headers.get('content-type') ?? 'application/json' });
      let rest = '';
      for await (const piece of given.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const lines = (rest + piece).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) res.write(`${ended(line, asked)}\n`);
      }
      res.end(ended(rest, asked));
    } catch {
      res.destroy();
    }
  }
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, scripted };
}

/** An answer that was cut short ends like one that ended by itself: some clients would go on by themselves. */
function ended(line: string, asked: SeenChat | null): string {
  if (!asked) return line;
  const [, cached] = /"cached_tokens":\s*(\d+)/.exec(line) ?? [];
  const [, prompt] = /"prompt_tokens":\s*(\d+)/.exec(line) ?? [];
  if (cached !== undefined) asked.cachedTokens = Number(cached);
  if (prompt !== undefined) asked.promptTokens = Number(prompt);
  return line.replace(/"finish_reason":\s*"length"/, '"finish_reason":"stop"');
}

type Tool = NonNullable<Chat['tools']>[number];
interface Call {
  readonly id: string;
  readonly tool: Tool;
  /** JSON that the message has; null: whatever the tool takes. */
  readonly given: string | null;
}
type Script = Call | 'slowly' | 'think' | null;

function scriptOf({ messages, tools = [] }: Chat, id: string): Script {
  const last = messages.at(-1);
  if (last?.role !== 'user') return null;
  const said = textOf(last.content);
  if (said.includes('SLOWLY')) return 'slowly';
  if (said.includes('THINK')) return 'think';
  const [asks, wish, given = null] = /USETOOL(?::(\w+) (\{[^\n]*\}))?/.exec(said) ?? [];
  if (asks === undefined) return null;
  const name = (tool: Tool): string => tool.function.name.toLowerCase();
  const tool =
    wish === undefined
      ? (wanted.flatMap((begin) => tools.find((each) => name(each).startsWith(begin)) ?? [])[0] ?? tools[0])
      : tools.find((each) => name(each).endsWith(wish.toLowerCase()));
  // OpenCode puts quotes around what it is given, and marks those inside.
  return tool ? { id, tool, given: given && given.replaceAll('\\"', '"') } : null;
}

const textOf = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : Array.isArray(content)
      ? content.map((part: { readonly text?: string }) => part.text ?? '').join('\n')
      : '';

const chunk = (delta: object, finish_reason: string | null, more: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gemma', choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`;

async function tell(res: ServerResponse, asked: SeenChat, left: AbortSignal): Promise<void> {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let word = 1; !left.aborted; word++) {
    res.write(chunk({ ...(word === 1 && { role: 'assistant' }), content: `word${word} ` }, null));
    asked.words = word;
    await delay(30, undefined, { signal: left }).catch(() => undefined);
  }
}

function think({ stream }: Chat, res: ServerResponse): void {
  const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };
  const [reasoning_content, content] = ['They want a thought.', 'Thought of.'];
  if (stream !== true) {
    const choices = [{ index: 0, message: { role: 'assistant', reasoning_content, content }, finish_reason: 'stop' }];
    res.writeHead(200, { 'content-type': 'application/json' });
    return void res.end(
      JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'gemma', choices, usage }),
    );
  }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ role: 'assistant', reasoning_content }, null));
  res.write(chunk({ content }, null));
  res.write(chunk({}, 'stop'));
  res.write(chunk({}, null, { choices: [], usage }));
  res.end('data: [DONE]\n\n');
}

function callTool({ stream }: Chat, { id, tool, given }: Call, res: ServerResponse, file: string) {
  const { name, parameters } = tool.function;
  const call = {
    id,
    type: 'function',
    function: { name, arguments: given ?? JSON.stringify(filled(parameters ?? {}, file)) },
  };
  const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };
  if (stream !== true) {
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    const choices = [{ index: 0, message, finish_reason: 'tool_calls' }];
    res.writeHead(200, { 'content-type': 'application/json' });
    return void res.end(
      JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'gemma', choices, usage }),
    );
  }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ role: 'assistant', content: null, tool_calls: [{ index: 0, ...call }] }, null));
  res.write(chunk({}, 'tool_calls'));
  res.write(chunk({}, null, { choices: [], usage }));
  res.end('data: [DONE]\n\n');
}

/** Arguments that a schema takes. @param file for what wants one. @param name of the field, which says what the tool would do with it. */
function filled({ type, enum: values, properties = {}, required, items }: Schema, file: string, name = ''): unknown {
  if (values) return values[0];
  switch (typeof type === 'object' ? type[0] : type) {
    case 'array':
      return [filled(items ?? {}, file, name)];
    case 'number':
    case 'integer':
      return 1;
    case 'boolean':
      return false;
    case 'string':
      return /command|cmd/.test(name)
        ? 'echo hi'
        : /pattern/.test(name)
          ? '*.txt'
          : /path|file/i.test(name)
            ? file
            : 'x';
    default:
      return Object.fromEntries((required ?? []).map((field) => [field, filled(properties[field] ?? {}, file, field)]));
  }
}
