// A program over the npm package `openai`, with chat completions or with Responses, or the AI SDK: one turn of a conversation that it keeps in
// a file. With Responses, it sends only what is new, behind the id of the last answer.
// node chat.mjs KIND PACKAGE.json BASE_URL KEY MODEL FILE TEXT
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [kind, modules, baseURL, apiKey, model, file, text] = process.argv.slice(2);
const require = createRequire(modules);
const load = async (name) => await import(pathToFileURL(require.resolve(name)).href);
const messages = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
messages.push({ role: 'user', content: text });
const left = new AbortController();
process.once('SIGINT', () => left.abort());
const parameters = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] };
const system = 'You are terse. Read a file where you are asked to.';

async function withOpenAi() {
  const { default: OpenAI } = await load('openai');
  const client = new OpenAI({ baseURL, apiKey });
  const tools = [{ type: 'function', function: { name: 'read_file', description: 'Reads a file', parameters } }];
  for (;;) {
    const said = [{ role: 'system', content: system }, ...messages];
    // The likeliest answer: with others, a small model sometimes begins a call that its server cannot read, and answers 500.
    const body = { model, tools, messages: said, stream: true, temperature: 0 };
    const answer = { role: 'assistant', content: '' };
    for await (const { choices } of await client.chat.completions.create(body, { signal: left.signal })) {
      const { content, tool_calls: calls } = choices[0]?.delta ?? {};
      process.stdout.write(content ?? '');
      answer.content += content ?? '';
      if (calls) answer.tool_calls = calls.map((call) => ({ ...call, index: undefined }));
    }
    messages.push(answer);
    if (!answer.tool_calls) return;
    for (const { id } of answer.tool_calls) messages.push({ role: 'tool', tool_call_id: id, content: 'Red.' });
  }
}

async function withResponses() {
  const { default: OpenAI } = await load('openai');
  const client = new OpenAI({ baseURL, apiKey });
  const tools = [{ type: 'function', name: 'read_file', description: 'Reads a file', parameters, strict: false }];
  for (;;) {
    const last = messages.findLastIndex(({ id }) => id !== undefined);
    const body = {
      model,
      instructions: system,
      tools,
      input: messages.slice(last + 1),
      ...(last !== -1 && { previous_response_id: messages[last].id }),
      stream: true,
      temperature: 0,
    };
    let response = null;
    for await (const event of await client.responses.create(body, { signal: left.signal })) {
      if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
      if (event.type === 'response.completed') response = event.response;
    }
    if (response === null) throw new Error('The answer has no end.');
    messages.push({ id: response.id });
    const calls = response.output.filter(({ type }) => type === 'function_call');
    if (calls.length === 0) return;
    for (const { call_id } of calls) messages.push({ type: 'function_call_output', call_id, output: 'Red.' });
  }
}

async function withAiSdk() {
  const { jsonSchema, streamText, tool, stepCountIs } = await load('ai');
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
  const provider = createOpenAICompatible({ name: 'cwm', baseURL, apiKey, includeUsage: true });
  const read = tool({ description: 'Reads a file', inputSchema: jsonSchema(parameters), execute: async () => 'Red.' });
  const tools = { read_file: read };
  const stopWhen = stepCountIs(3);
  const options = { model: provider(model), system, messages, tools, stopWhen, abortSignal: left.signal };
  const result = streamText(options);
  for await (const piece of result.textStream) process.stdout.write(piece);
  messages.push(...(await result.responseMessages));
}

await { openai: withOpenAi, responses: withResponses, aiSdk: withAiSdk }[kind]();
writeFileSync(file, JSON.stringify(messages));
