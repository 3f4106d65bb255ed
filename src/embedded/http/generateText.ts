import type { EmbeddedEngine, GenerationRequest, TokenLogprob } from '../engine.ts';
import { CallArguments } from './callArguments.ts';
import { StopStrings } from './stopStrings.ts';
import { TextStream, type Detokenize } from './textStream.ts';

export interface TextRequest extends Omit<GenerationRequest, 'rule'> {
  /** JSON schema that the whole answer follows; null for none. */
  readonly schema: object | null;
  /** Tools that the answer may call, as the request has them. Default: none. */
  readonly tools?: readonly unknown[];
  readonly stopStrings: readonly string[];
}

export interface Finish {
  readonly reason: 'stop' | 'length';
  /** The stop string, or the stop token that the request named; null otherwise. */
  readonly stopReason: string | number | null;
}

/** One token of an answer, with the text that it releases: maybe none, maybe that of earlier tokens too. */
export interface TextPiece {
  readonly text: string;
  readonly id: number;
  readonly logprob: number | null;
  readonly top: readonly TokenLogprob[];
  /** Tokens of the prompt whose KV was reused. */
  readonly cachedTokens: number;
  /** Not null in the last piece. */
  readonly finish: Finish | null;
}

/** Runs a request and yields its text. Run the generator to its end or return it, as with {@link EmbeddedEngine.generate}. */
export async function* generateText(
  engine: EmbeddedEngine,
  detokenize: Detokenize,
  request: TextRequest,
  namedEndIds: ReadonlySet<number>,
  signal: AbortSignal,
): AsyncGenerator<TextPiece, void, void> {
  const { finishedRequests } = engine.counters;
  const stops = new StopStrings(request.stopStrings);
  const stream = new TextStream(detokenize, request.promptIds);
  let cachedTokens = 0;
  let generated = 0;
  let isCounted = false;
  const { schema, tools = [] } = request;
  const json = schema ? new WholeJson() : null;
  // A token that a grammar decides on has no log-probability, which a client that asked for them must get.
  const calls = json || tools.length === 0 || request.topLogprobs !== null ? null : new CallArguments(tools);
  const whole = schema && { schema };
  const rule = () => whole ?? calls?.rule ?? null;
  try {
    for await (const event of engine.generate({ ...request, rule }, signal)) {
      if (event.type === 'prompt') {
        cachedTokens = event.cachedTokens;
        continue;
      }
      generated++;
      const isLast = event.isEnd || generated === request.maxTokens;
      const said = event.isEnd ? '' : await stream.push(event.id);
      calls?.push(said);
      let text = event.isEnd ? '' : stops.push(said);
      if (isLast) text += stops.push(await stream.end());
      // A grammar allows white space behind its text, without an end.
      const isWhole = json?.isWholeWith(text) ?? false;
      const named = event.isEnd && namedEndIds.has(event.id) ? event.id : null;
      const finish = finishOf(stops.found, named, event.isEnd || isWhole, isLast);
      if (finish && stops.found === null) text += stops.end();
      if (finish) {
        finishedRequests[finish.reason]++;
        isCounted = true;
      }
      yield { text, id: event.id, logprob: event.logprob, top: event.top, cachedTokens, finish };
      if (finish) return;
    }
  } catch (error) {
    if (!signal.aborted) finishedRequests.error++;
    isCounted ||= !signal.aborted;
    throw error;
  } finally {
    if (!isCounted) finishedRequests.abort++;
  }
}

/** Says when a text that arrives in pieces has become an object or a list of JSON. */
class WholeJson {
  #text = '';

  isWholeWith(piece: string): boolean {
    this.#text += piece;
    if (!/[}\]]\s*$/.test(piece)) return false;
    try {
      JSON.parse(this.#text);
      return true;
    } catch {
      return false;
    }
  }
}

function finishOf(stop: string | null, namedEnd: number | null, isEnd: boolean, isLast: boolean): Finish | null {
  if (stop !== null) return { reason: 'stop', stopReason: stop };
  if (isEnd) return { reason: 'stop', stopReason: namedEnd };
  return isLast ? { reason: 'length', stopReason: null } : null;
}
