import { isCwmError, type CwmError } from '../../protocol/errors.ts';
import type { LinkRequest } from '../http/link.ts';

/** Fields that only vLLM knows. */
const vllmFields = [
  'add_generation_prompt',
  'cache_salt',
  'return_token_ids',
  'return_tokens_as_token_ids',
  'kv_transfer_params',
  'vllm_xargs',
] as const;
/** Only these may be left out when the refusal does not name them: no answer is different without them. */
const unnamedFields: readonly string[] = [...vllmFields, 'stream_options', 'seed', 'user'];

const mostTries = 6;
/** Fields that every server knows. They are left out only when the server refuses their presence, not their value. */
const refusesPresence =
  /not (be )?(supported|permitted|allowed|recognized)|unsupported|unknown|unrecognized|unexpected|extra (inputs|fields)|forbidden|only the default/i;

/**
 * The fields that a server takes. vLLM's own are never sent to a server that is not vLLM. A field that the server refuses is left out and
 * the request sent again, and later requests to this server omit it, too.
 */
export class Dialect {
  #left: ReadonlySet<string>;

  constructor({ speaksVllm }: { readonly speaksVllm: boolean }) {
    this.#left = new Set(speaksVllm ? [] : vllmFields);
  }

  /**
   * Sends a request in the form that the server takes. `send` must not have passed on any part of an answer when it throws EngineRejected.
   */
  async ask<T>(request: LinkRequest, send: (request: LinkRequest) => Promise<T>): Promise<T> {
    let left = this.#left;
    for (let tries = 1; ; tries++) {
      const fitting = without(request, left);
      try {
        const answer = await send(fitting);
        if (left !== this.#left) this.#left = new Set([...this.#left, ...left]);
        return answer;
      } catch (error) {
        const sent = Object.keys(fitting.body as object);
        const named = refusedFields(error, sent, request.once === true);
        // As many tries as a server needs that names one field after another.
        const refused = tries > 1 && named.length > 0 ? [...named, ...sent.filter(isUnneeded)] : named;
        if (refused.length === 0 || tries === mostTries) throw error;
        left = new Set([...left, ...refused]);
      }
    }
  }
}

const isUnneeded = (field: string): boolean => unnamedFields.includes(field);

function without(request: LinkRequest, left: ReadonlySet<string>): LinkRequest {
  if (left.size === 0) return request;
  const body = request.body as Readonly<Record<string, unknown>>;
  const entries = Object.entries(body).filter(([field]) => !left.has(field));
  // OpenAI's newer models have another name for the same.
  if (left.has('max_tokens') && 'max_tokens' in body) entries.push(['max_completion_tokens', body['max_tokens']]);
  return { ...request, body: Object.fromEntries(entries) };
}

/**
 * The fields that a refusal names. When it names none: all that may be left out, or none with `onlyNamed`, or none where no field is
 * refused.
 */
function refusedFields(error: unknown, sent: readonly string[], onlyNamed: boolean): readonly string[] {
  if (!isCwmError(error, 'EngineRejected') || !isOfTheBody(error)) return [];
  const { message } = error;
  if (sent.includes('max_tokens') && /\bmax_completion_tokens\b/.test(message)) return ['max_tokens'];
  const isNamed = (field: string): boolean => new RegExp(`\\b${field}\\b`, 'i').test(message);
  const named = sent.filter((field) => isUnneeded(field) && isNamed(field));
  const others = refusesPresence.test(message)
    ? sent.filter((field) => (field === 'temperature' || field === 'stream') && isNamed(field))
    : [];
  if (others.includes('stream')) named.push(...sent.filter((field) => field === 'stream_options'));
  const all = [...new Set([...named, ...others])];
  return all.length > 0 || onlyNamed ? all : sent.filter(isUnneeded);
}

const isOfTheBody = ({ context }: CwmError): boolean => context?.['status'] === 400 || context?.['status'] === 422;
