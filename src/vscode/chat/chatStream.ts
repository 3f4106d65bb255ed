import { createParser } from 'eventsource-parser';
import { CwmError } from '../../protocol/errors.ts';

/** A call of a tool that the model wrote. */
export interface StreamedCall {
  readonly id: string;
  readonly name: string;
  readonly input: object;
}

interface StreamListener {
  text(piece: string): void;
  /** When the answer has ended. */
  call(call: StreamedCall): void;
  /** As the server reports it. */
  usage(usage: object): void;
}

interface Chunk {
  readonly choices?: readonly {
    readonly finish_reason?: string | null;
    readonly delta?: {
      readonly content?: string | null;
      readonly tool_calls?: readonly {
        readonly index?: number;
        readonly id?: string;
        readonly function?: { readonly name?: string; readonly arguments?: string };
      }[];
    };
  }[];
  readonly usage?: object | null;
  readonly error?: { readonly message?: string };
}

/**
 * Reads a stream of chat completions. What was written of an answer is given before its failure.
 *
 * @param isLengthAsked the caller named the maximum length, so that a text of that length is what it wants.
 * @throws CwmError EngineRejected with the server's words where it fails in the middle, and where the answer was cut at its longest length or has a call
 *   whose arguments are no JSON object: no tool may run with a part of its arguments, and VS Code shows a text that was cut like a whole one.
 */
export async function readChatStream(
  pieces: AsyncIterable<Uint8Array>,
  listener: StreamListener,
  isLengthAsked: boolean,
): Promise<void> {
  const calls = new Map<number, { id: string; name: string; written: string }>();
  let failure: string | null = null;
  let isCut = false;
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) failure = chunk.error.message ?? 'The model server failed.';
      if (chunk.usage) listener.usage(chunk.usage);
      for (const { delta, finish_reason: reason } of chunk.choices ?? []) {
        isCut ||= reason === 'length';
        if (delta?.content) listener.text(delta.content);
        for (const { index = 0, id, function: named } of delta?.tool_calls ?? []) {
          const call = calls.get(index) ?? { id: '', name: '', written: '' };
          calls.set(index, {
            id: call.id || (id ?? ''),
            name: call.name + (named?.name ?? ''),
            written: call.written + (named?.arguments ?? ''),
          });
        }
      }
    },
  });
  const decoder = new TextDecoder();
  for await (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
  if (failure !== null) throw new CwmError('EngineRejected', failure);
  if (isCut && (calls.size > 0 || !isLengthAsked)) {
    throw new CwmError('EngineRejected', 'The answer reached its maximum length and was cut.', {
      hint: 'Ask the model to continue, or to answer in smaller steps. Serve the model with a larger context for longer answers.',
    });
  }
  // All of them first: where one cannot run, none does.
  const whole = [...calls.values()].map(({ id, name, written }) => ({ id, name, input: argumentsIn(name, written) }));
  for (const call of whole) listener.call(call);
}

/** @param written by the model; for a tool that takes nothing, some write nothing or null. */
function argumentsIn(tool: string, written: string): object {
  try {
    const value: unknown = JSON.parse(written.trim() || '{}') ?? {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as object;
  } catch {
    // The same error.
  }
  throw new CwmError('EngineRejected', `The model calls "${tool}" with arguments that are no JSON object.`, {
    hint: 'Send the message again. Another model may write calls that can run.',
    context: { written: written.slice(0, 200) },
  });
}
