import * as z from 'zod/mini';
import type { Answer, SeenRequest } from './fakeHttp.ts';
import type { FakeLlama } from './fakeLlamaServer.ts';
import { detokenize, textOf, tokenizeText } from './fakeModel.ts';
import { emptySlot, readSlotFile, writeSlotFile } from './fakeSlots.ts';

const maybe = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(schema);
const ids = z.array(z.int().check(z.nonnegative()));
const picturePrompt = z.object({ prompt_string: z.string(), multimodal_data: z.array(z.string()) });
const completionBody = z.object({
  prompt: z.union([ids.check(z.minLength(1)), picturePrompt]),
  id_slot: z.int(),
  cache_prompt: z.boolean(),
  n_predict: z.int(),
  temperature: z.number(),
  n_probs: maybe(z.int()),
  stream: maybe(z.boolean()),
  return_tokens: maybe(z.boolean()),
});
const part = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('image_url'),
    image_url: z.object({ url: z.string().check(z.startsWith('data:image/')) }),
  }),
]);
const content = z.union([z.string(), z.array(part)]);
const pictureMark = '<__media_fake__>';
const textOfParts = (given: z.output<typeof content>): string =>
  typeof given === 'string' ? given : given.map((it) => (it.type === 'text' ? it.text : pictureMark)).join('');
const saidText = z.pipe(
  z.nullish(content),
  z.transform((given) => textOfParts(given ?? '')),
);
const message = z.pipe(
  z.object({ role: z.string(), content: saidText, tool_calls: z.optional(z.array(z.unknown())) }),
  z.transform(({ role, content, tool_calls: calls }) => ({
    role,
    content: calls ? content + JSON.stringify(calls) : content,
  })),
);
const templateBody = z.object({
  messages: z.array(message),
  tools: maybe(z.array(z.unknown())),
  add_generation_prompt: maybe(z.boolean()),
});
const chatBody = z.object({
  messages: templateBody.shape.messages,
  tools: templateBody.shape.tools,
  stream: maybe(z.boolean()),
  cache_prompt: maybe(z.boolean()),
  id_slot: maybe(z.int()),
  max_tokens: maybe(z.int()),
});
const tokenizeBody = z.object({
  content: z.string(),
  add_special: maybe(z.boolean()),
  parse_special: maybe(z.boolean()),
});
const fileBody = z.object({ filename: maybe(z.string().check(z.regex(/^[\w.-]+$/))) });

const endId = 257;
const specials = { '<|im_start|>': 256, '<|im_end|>': endId } as const;

const ok = (json: unknown): Answer => ({ status: 200, json });
const refuse = (code: number, message: string, type = 'invalid_request_error', more = {}): Answer => ({
  status: code,
  json: { error: { code, message, type, ...more } },
});
const notFound = refuse(404, 'File Not Found', 'not_found_error');

/** llama-server's API, as far as a client of its slots meets it. */
export function answerLlama(llama: FakeLlama, { method, path, headers, body }: SeenRequest): Answer {
  const { faults } = llama;
  if (`${method} ${path}` === 'GET /health') return ok({ status: 'ok' });
  if (faults.apiKey !== null && headers.authorization !== `Bearer ${faults.apiKey}`)
    return refuse(401, 'Invalid API Key', 'authentication_error');
  const slotAction = /^POST \/slots\/(\d+)\?action=(\w*)$/.exec(`${method} ${path}`);
  if (slotAction) return act(llama, Number(slotAction[1]), slotAction[2] ?? '', body);
  switch (`${method} ${path}`) {
    case 'GET /v1/models':
      return ok({
        object: 'list',
        data: [{ id: faults.model, object: 'model', owned_by: faults.ownedBy, meta: meta(llama) }],
      });
    case 'GET /props':
      return ok(props(llama));
    case 'GET /lora-adapters':
      return faults.adapters === null ? notFound : ok(faults.adapters);
    case 'GET /slots':
      return faults.hidesSlots
        ? refuse(501, 'This server does not support slots endpoint. Start it with `--slots`', 'not_supported_error')
        : ok(
            llama.state.slots.map(({ task, ids }, id) => ({
              id,
              is_processing: faults.busy.includes(id),
              ...(task !== null && { id_task: task, n_prompt_tokens: ids.length }),
            })),
          );
    case 'POST /apply-template':
      return parsed(templateBody, body, ({ messages, tools, add_generation_prompt: opens = true }) =>
        ok({ prompt: faults.templateLine + toolLine(tools) + render(messages, opens) }),
      );
    case 'POST /tokenize':
      return parsed(tokenizeBody, body, ({ content, parse_special }) =>
        ok({ tokens: parse_special ? tokenizeSpecial(content) : tokenizeText(content) }),
      );
    case 'POST /detokenize':
      return parsed(z.object({ tokens: ids }), body, ({ tokens }) => ok({ content: textOf(tokens) }));
    case 'POST /v1/chat/completions':
      return parsed(chatBody, body, (request) => completeChat(llama, request));
    case 'POST /completion':
      return parsed(completionBody, body, (request) => complete(llama, request));
    default:
      return notFound;
  }
}

function parsed<Schema extends z.ZodMiniType>(
  schema: Schema,
  body: unknown,
  answer: (request: z.output<Schema>) => Answer,
): Answer {
  const result = schema.safeParse(body);
  return result.success ? answer(result.data) : refuse(400, JSON.stringify(result.error.issues[0]));
}

const meta = ({ faults }: FakeLlama) => ({
  n_vocab: 258,
  n_embd: 64,
  n_params: 1000 + faults.weights.length,
  size: 4000,
  ftype: 'F16',
});

const props = ({ faults, state }: FakeLlama) => ({
  default_generation_settings: { n_ctx: faults.contextTokens },
  total_slots: state.slots.length,
  model_alias: faults.model,
  model_path: '/models/fake.gguf',
  build_info: 'b7000-fake',
  ...(faults.seesPictures !== undefined && { modalities: { vision: faults.seesPictures, audio: false } }),
});

const toolLine = (tools: readonly unknown[] = []): string => (tools.length === 0 ? '' : JSON.stringify(tools));

/** An answer at the end is left open, to be continued. */
function render(messages: readonly { role: string; content: string }[], addGenerationPrompt: boolean): string {
  const last = messages.at(-1);
  const isOpen = last?.role === 'assistant';
  const closed = (isOpen ? messages.slice(0, -1) : messages).map(
    ({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`,
  );
  const end = isOpen ? `<|im_start|>assistant\n${last.content}` : addGenerationPrompt ? '<|im_start|>assistant\n' : '';
  return closed.join('') + end;
}

function tokenizeSpecial(text: string): number[] {
  const parts = text.split(/(<\|im_start\|>|<\|im_end\|>)/);
  return parts.flatMap((part) => (part in specials ? [specials[part as keyof typeof specials]] : tokenizeText(part)));
}

function act(llama: FakeLlama, id: number, action: string, body: unknown): Answer {
  const { faults, slotDir, state } = llama;
  if (slotDir === undefined)
    return refuse(
      501,
      'This server does not support slots action. Start it with `--slot-save-path`',
      'not_supported_error',
    );
  if (action !== 'save' && action !== 'restore' && action !== 'erase') return refuse(400, 'Invalid action');
  if (faults.seesPictures) return refuse(501, 'This feature is not supported by multimodal', 'not_supported_error');
  const index = id % state.slots.length;
  const slot = state.slots[index] ?? emptySlot();
  if (action === 'erase') {
    const erased = slot.ids.length;
    state.slots[index] = { ...emptySlot(), damage: slot.damage, task: slot.task };
    return ok({ id_slot: id, n_erased: erased });
  }
  const file = fileBody.safeParse(body).data?.filename;
  if (file === undefined) return refuse(400, 'Invalid filename');
  if (action === 'save') {
    if (faults.strangerBeforeSave) state.evaluate(slot, tokenizeText('a stranger'), faults.weights, true, true);
    if (faults.likeStrangersBeforeSave > 0) {
      faults.likeStrangersBeforeSave--;
      state.evaluate(
        slot,
        slot.ids.map((id) => (id + 1) % 256),
        faults.weights,
        false,
        true,
      );
    }
    if (faults.save === 'fails') return refuse(500, 'Unable to save slot', 'server_error');
    const written = faults.save === 'writes-nothing' ? 0 : writeSlotFile(slotDir, file, slot, faults);
    return ok({ id_slot: id, filename: file, n_saved: slot.ids.length, n_written: written, timings: { save_ms: 0.1 } });
  }
  const read = readSlotFile(slotDir, file);
  if (read === 'short') llama.abort();
  if (faults.restore === 'refuses' || read === 'invalid' || read === 'short') {
    state.slots[index] = { ...emptySlot(), damage: faults.refusedRestoreDamages, task: slot.task };
    return refuse(400, 'Unable to restore slot: No available space in KV cache or invalid slot save file');
  }
  if (faults.restore !== 'does-nothing') state.slots[index] = { ...read, damage: slot.damage, task: slot.task };
  return ok({ id_slot: id, filename: file, n_restored: read.ids.length, n_read: 1, timings: { restore_ms: 0.1 } });
}

/** Each picture is eight placeholders, the same for every picture. */
function withPictures(
  { faults }: FakeLlama,
  { prompt_string, multimodal_data }: z.output<typeof picturePrompt>,
): number[] | string {
  if (!faults.seesPictures) return 'Multimodal data provided, but model does not support multimodal requests.';
  const texts = prompt_string.split(pictureMark);
  if (texts.length - 1 !== multimodal_data.length)
    return 'The number of media markers is another one than that of files';
  const placeholders = Array<number>(8).fill(258);
  return texts.flatMap((text, index) => [...(index > 0 ? placeholders : []), ...tokenizeSpecial(text)]);
}

function complete(llama: FakeLlama, request: z.output<typeof completionBody>): Answer {
  const { faults, state } = llama;
  const { id_slot, cache_prompt, n_predict } = request;
  const prompt = 'prompt_string' in request.prompt ? withPictures(llama, request.prompt) : request.prompt;
  if (typeof prompt === 'string') return refuse(400, prompt);
  if (prompt.length >= faults.contextTokens) {
    const message = `request (${prompt.length} tokens) exceeds the available context size (${faults.contextTokens} tokens), try increasing it`;
    const more = { n_prompt_tokens: prompt.length, n_ctx: faults.contextTokens };
    return refuse(400, message, 'exceed_context_size_error', more);
  }
  if (faults.refusesLogprobs && request.n_probs) return refuse(400, 'n_probs is not supported here');
  const worked = (faults.worksElsewhere ? id_slot + 1 : id_slot) % state.slots.length;
  const slot = state.slots[worked] ?? emptySlot();
  if (request.n_probs && faults.strangersBeforeCanary > 0) {
    faults.strangersBeforeCanary--;
    state.pushOut(slot, tokenizeText('a stranger'), faults.weights);
  }
  if (faults.clearsIdle) state.clearIdle(slot);
  const filesHelp = faults.restore !== 'gives-no-reuse';
  const { cached, computed, next } = state.evaluate(slot, prompt, faults.weights, cache_prompt, filesHelp, faults);
  const output: number[] = [];
  let following = next;
  while (output.length < Math.max(1, n_predict) && output.at(-1) !== endId) {
    const last = output.at(-1);
    if (last !== undefined) following = state.append(slot, last, faults.weights);
    output.push(faults.answer?.[output.length] ?? following.id);
  }
  const timings = {
    true: { cache_n: cached, prompt_n: computed, prompt_ms: 1 },
    none: undefined,
    'do-not-add-up': { cache_n: prompt.length - 1, prompt_n: prompt.length, prompt_ms: 1 },
  }[faults.timings];
  const last = {
    id_slot: worked,
    stop: true,
    tokens_predicted: output.length,
    stop_type: output.at(-1) === endId ? 'eos' : 'limit',
    timings,
  };
  if (request.stream) {
    const events = [...streamed(output), { ...last, content: '', tokens: [] }];
    return { status: 200, events, endMark: false };
  }
  const probabilities = [{ id: next.id, top_logprobs: next.top.slice(0, request.n_probs) }];
  return ok({
    ...last,
    content: detokenize(output),
    tokens: request.return_tokens ? output : [],
    ...(request.n_probs && faults.givesLogprobs ? { completion_probabilities: probabilities } : {}),
  });
}

/** As another program asks: in the slot that it names, or that has most of the prompt. */
function completeChat(
  llama: FakeLlama,
  { messages, tools, stream = true, cache_prompt = true, id_slot: slot, max_tokens = 4 }: z.output<typeof chatBody>,
): Answer {
  const { state } = llama;
  const prompt = tokenizeSpecial(llama.faults.templateLine + toolLine(tools) + render(messages, true));
  const id_slot = slot ?? state.likest(prompt);
  const asked = { prompt, id_slot, cache_prompt, n_predict: max_tokens, temperature: 0, return_tokens: true };
  const answer = complete(llama, asked);
  if (!('json' in answer) || answer.status !== 200) return answer;
  const { tokens, timings } = answer.json as { tokens: number[]; timings: { cache_n: number } };
  const chunk = (more: object): object => ({
    id: 'c',
    object: 'chat.completion.chunk',
    model: llama.faults.model,
    ...more,
  });
  const choice = (delta: object, finish_reason: string | null): object =>
    chunk({ choices: [{ index: 0, delta, finish_reason }] });
  const usage = {
    prompt_tokens: prompt.length,
    completion_tokens: tokens.length,
    total_tokens: prompt.length + tokens.length,
    prompt_tokens_details: { cached_tokens: timings.cache_n },
  };
  const text = detokenize(tokens.filter((id) => id < 256));
  if (!stream) {
    const message = { role: 'assistant', content: text };
    return ok({ id: 'c', model: llama.faults.model, choices: [{ index: 0, message, finish_reason: 'stop' }], usage });
  }
  return { status: 200, events: [choice({ content: text }, null), choice({}, 'stop'), chunk({ choices: [], usage })] };
}

/** One chunk for each piece of text; of the tokens inside one character, only the last is told. */
function streamed(output: readonly number[]): object[] {
  const chunks: object[] = [];
  let pending: number[] = [];
  for (const id of output) {
    pending.push(id);
    const content = detokenize(pending);
    if (content.includes('\u{fffd}')) continue;
    chunks.push({ content, tokens: [id], stop: false, id_slot: -1, tokens_predicted: 0 });
    pending = [];
  }
  return chunks;
}
