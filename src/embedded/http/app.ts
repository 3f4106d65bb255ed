import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { commonPrefixLength } from '../../base/tokenIds.ts';
import type { DiskCache } from '../kv/diskCache.ts';
import type { KvPack } from '../kv/kvPack.ts';
import type { EmbeddedEngine } from '../engine.ts';
import { hashProfile } from '../kv/files/kvNamespace.ts';
import type { LlamaSupervisor } from '../worker/llamaSupervisor.ts';
import type { EngineModel } from '../engineModel.ts';
import { onlyAllowed } from './access.ts';
import { streamAnswer, wholeAnswer, type GeneratedAnswer } from './answer.ts';
import { chatShape, completionShape, type AnswerShape } from './answerShape.ts';
import { ApiError, errorBody, toApiError } from './apiError.ts';
import { jsonOf } from './jsonOf.ts';
import { ChatTemplate } from './chatTemplate.ts';
import { generateText, type TextRequest } from './generateText.ts';
import { addKvRoutes } from './kvRoutes.ts';
import { metricsPage } from './metricsPage.ts';
import {
  chatRequestSchema,
  completionRequestSchema,
  detokenizeRequestSchema,
  parseRequest,
  refuseUnsupported,
  tokenizeRequestSchema,
  type CompletionRequest,
  type GenerationFields,
} from './requests.ts';
import { namedEndIds, textRequest } from './textRequest.ts';
import { Tokenizer } from './tokenizer.ts';

export interface AppOptions {
  readonly model: EngineModel;
  readonly engine: EmbeddedEngine;
  readonly supervisor: LlamaSupervisor;
  readonly disk: DiskCache | null;
  /** Null where KV cannot be taken to another machine. */
  readonly pack: KvPack | null;
  /** Undefined when every local program may ask. */
  readonly token: string | undefined;
  readonly version: string;
  /** @throws CwmError when the model's file is no longer the one that was loaded. */
  readonly checkModel: () => void;
  readonly log: (message: string) => void;
}

const maxBodyBytes = 64 << 20;
const defaultCompletionTokens = 16;

/** vLLM's HTTP dialect over the engine. */
export function buildApp(options: AppOptions): Hono {
  const { model, engine, supervisor, disk, version } = options;
  const tokenizer = new Tokenizer(supervisor, model);
  const template = new ChatTemplate(model.info, model.template);
  const app = new Hono();
  const fail = (error: unknown, context: Context): Response => {
    // The client is gone.
    if (context.req.raw.signal.aborted) return new Response(null, { status: 499 });
    const apiError = toApiError(error);
    if (apiError !== error) options.log(`${context.req.method} ${context.req.path} failed: ${describe(error)}`);
    return context.json(errorBody(apiError), apiError.status);
  };
  app.onError(fail);
  app.notFound((context) => context.json(errorBody(new ApiError(404, 'Not Found')), 404));
  app.use(onlyAllowed(options.token));
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: (context) => fail(new ApiError(413, `The request is larger than ${maxBodyBytes} bytes.`), context),
    }),
  );

  app.post('/v1/*', async (_, next) => {
    // Check before computing: other weights must not continue the KV of these.
    options.checkModel();
    await next();
  });

  app.get('/health', async (context) => {
    const ready = await supervisor.get().then(
      (llama) => llama.isAlive,
      () => false,
    );
    return context.body(null, ready ? 200 : 503);
  });
  app.get('/version', (context) => context.json({ version, cwm: { notice: model.notice, workerPid: supervisor.pid } }));
  app.get('/v1/models', (context) => context.json({ object: 'list', data: [modelEntry(model, template)] }));
  app.get('/metrics', (context) =>
    context.text(
      metricsPage({
        model,
        counters: engine.counters,
        blocks: disk?.counters ?? null,
        workerRestarts: supervisor.restarts,
      }),
    ),
  );

  app.post('/tokenize', async (context) => {
    const request = parseRequest(tokenizeRequestSchema, await jsonOf(context));
    checkModel(request.model);
    const tokens =
      'messages' in request
        ? await tokenizer.chat(template.render(request))
        : await tokenizer.prompt(request.prompt, request.add_special_tokens ?? true);
    const strings = request.return_token_strs
      ? await tokenizer.texts(
          tokens.map((id) => [id]),
          true,
        )
      : null;
    return context.json({
      count: tokens.length,
      max_model_len: model.info.contextTokens,
      tokens,
      token_strs: strings,
    });
  });

  app.post('/detokenize', async (context) => {
    const request = parseRequest(detokenizeRequestSchema, await jsonOf(context));
    checkModel(request.model);
    return context.json({ prompt: await tokenizer.text(request.tokens) });
  });

  // It reads and writes files, so that no local program may ask without the token.
  if (options.token !== undefined) addKvRoutes(app, options.pack);

  app.post('/v1/completions', async (context) => {
    const request = parseRequest(completionRequestSchema, await jsonOf(context));
    checkModel(request.model);
    refuseUnsupported(request);
    const promptIds = await completionPrompt(request);
    const maxTokens = request.max_tokens ?? defaultCompletionTokens;
    const asked = textRequest(model, request, { promptIds, maxTokens, topLogprobs: request.logprobs ?? null });
    const text = { ...asked, tail: request.cwm_tail ?? undefined };
    return respond(context, request, text, completionShape(headOf(request, promptIds)));
  });

  app.post('/v1/chat/completions', async (context) => {
    const request = parseRequest(chatRequestSchema, await jsonOf(context));
    checkModel(request.model);
    refuseUnsupported(request);
    const rendered = template.render(request);
    const promptIds = await tokenizer.chat(rendered);
    // Others can be cut where they part.
    const shared = disk?.cutsAnywhere === false ? template.sharedText(request, rendered) : '';
    const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? null;
    const topLogprobs = request.logprobs === true ? (request.top_logprobs ?? 0) : null;
    const moreStops = model.template.stopStrings;
    const text = {
      ...textRequest(model, request, { promptIds, maxTokens, topLogprobs, moreStops }),
      sharedTokens: shared === '' ? 0 : commonPrefixLength(await tokenizer.chat(shared), promptIds),
      // The marks of calls are seen only where special tokens have a text.
      ...(request.tools && request.skip_special_tokens === false && { tools: request.tools }),
    };
    return respond(context, request, text, chatShape(headOf(request, promptIds)));
  });

  const headOf = (request: GenerationFields, promptIds: readonly number[]) => ({
    model: model.id,
    promptIds,
    returnsIds: request.return_token_ids === true,
  });

  async function respond(
    context: Context,
    request: GenerationFields,
    text: TextRequest,
    shape: AnswerShape,
  ): Promise<Response> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, context.req.raw.signal]);
    const showsSpecial = request.skip_special_tokens === false;
    const detokenize = (lists: readonly (readonly number[])[]) => tokenizer.texts(lists, showsSpecial);
    const asIds = request.return_tokens_as_token_ids === true;
    const answer: GeneratedAnswer = {
      shape,
      promptTokens: text.promptIds.length,
      pieces: generateText(engine, detokenize, text, namedEndIds(request), signal),
      tokenTexts: text.topLogprobs === null ? null : (ids) => tokenizer.tokenTexts(ids, asIds),
    };
    if (request.stream === true) {
      return streamAnswer(answer, request.stream_options?.include_usage === true, stop, (error) =>
        options.log(`A stream failed: ${describe(error)}`),
      );
    }
    return context.json(await wholeAnswer(answer));
  }

  async function completionPrompt({ prompt, add_special_tokens }: CompletionRequest): Promise<readonly number[]> {
    const first = prompt[0];
    if (typeof prompt === 'string') return tokenizer.prompt(prompt, add_special_tokens ?? true);
    if (first === undefined || typeof first === 'number') return prompt as number[];
    if (prompt.length > 1) throw new ApiError(400, 'Several prompts in one request are not supported by this engine.');
    return typeof first === 'string' ? tokenizer.prompt(first, add_special_tokens ?? true) : first;
  }

  function checkModel(asked: string | null | undefined): void {
    if ((asked ?? model.id) !== model.id) throw new ApiError(404, `The model \`${asked}\` does not exist.`);
  }

  return app;
}

function modelEntry(model: EngineModel, { takesTools }: ChatTemplate): object {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(model.startedAt.getTime() / 1000),
    owned_by: 'cwm',
    root: model.path,
    parent: null,
    max_model_len: model.info.contextTokens,
    permission: [],
    cwm: {
      fingerprint: model.sha256,
      blockDir: model.blocks?.folder ?? null,
      blockFiles: model.blocks?.kinds ?? null,
      blockTokens: model.blockTokens,
      blockSizeBytes: model.blocks?.fileBytes ?? null,
      hashProfile,
      notice: model.notice,
      stopStrings: model.template.stopStrings,
      takesTools,
    },
  };
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
