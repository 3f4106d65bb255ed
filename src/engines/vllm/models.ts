import { CwmError } from '../../protocol/errors.ts';
import type { ServedModel } from '../../protocol/schemas/health.ts';
import type { ModelEntry } from './wire.ts';

/** Words in the names of models that turn text into vectors, sound or pictures, or sort it. */
const otherNames =
  /embed|rerank|minilm|moderation|whisper|dall-?e|stable-diffusion|(^|[-_/:])(bge|e5|gte|tts|asr|clip)([-_/:.]|$)/i;
const otherUses = /embed|rerank|rank|classif|score|speech|audio|image|transcri|moderation/i;

/** Whether people can chat with a model, as far as its name and its server show. */
export function useOf({ id, type, task, capabilities }: ModelEntry): ServedModel['use'] {
  const told = [type, task].filter((word) => typeof word === 'string').join(' ');
  if (capabilities?.completion_chat === false || otherUses.test(told) || otherNames.test(id)) return 'other';
  return capabilities?.completion_chat === true || /chat|generate|llm|completion|text/i.test(told) ? 'chat' : 'unknown';
}

export interface ModelChoice {
  /** As `#model=NAME` of the engine's spec gives it. */
  readonly wanted: string | undefined;
  /** The model used before; the order of lists changes now and then. */
  readonly before: string | undefined;
}

/**
 * The model to use: the chosen one, else the one used before, else the first chat model that is no adapter.
 *
 * @throws CwmError ModelMismatch when the chosen one is not served, or none is.
 */
export function pickModel(entries: readonly ModelEntry[], { wanted, before }: ModelChoice, label: string): ModelEntry {
  if (wanted !== undefined) {
    // Ollama adds the tag by itself. Some servers list nothing and serve any name that a client asks for.
    const entry =
      entries.find(({ id }) => id === wanted) ??
      entries.find(({ id }) => id === `${wanted}:latest`) ??
      (entries.length === 0 || entries.some(isPattern) ? { id: wanted } : undefined);
    if (entry) return entry;
    throw new CwmError(
      'ModelMismatch',
      `The server at ${label} does not serve the model "${wanted}" (it serves ${namesOf(entries)}).`,
      { hint: 'Name one that it serves: #model=NAME behind the URL.', context: { engine: label } },
    );
  }
  const chat = entries.filter((entry) => useOf(entry) !== 'other' && !isPattern(entry));
  const entry =
    chat.find(({ id }) => id === before) ??
    chat.find(({ parent }) => parent === null || parent === undefined) ??
    chat[0] ??
    entries[0];
  if (entry) return entry;
  throw new CwmError('ModelMismatch', `The server at ${label} lists no model.`, {
    hint: 'Load a model at the server, or name one that it serves: #model=NAME behind the URL.',
    context: { engine: label },
  });
}

/** LiteLLM lists whole families: `openai/*`. */
const isPattern = ({ id }: ModelEntry): boolean => id.includes('*');

const namesOf = (entries: readonly ModelEntry[]): string => entries.map(({ id }) => `"${id}"`).join(', ') || 'none';

const mostNamed = 8;

/** A notice for the user when a server has several models and none was chosen. */
export function choiceNotices(entries: readonly ModelEntry[], used: ModelEntry, { wanted }: ModelChoice): string[] {
  const others = entries.filter((entry) => entry.id !== used.id && useOf(entry) !== 'other');
  if (wanted !== undefined || others.length === 0) return [];
  const named = namesOf(others.slice(0, mostNamed));
  const more = others.length > mostNamed ? ` and ${others.length - mostNamed} more` : '';
  return [
    `This server has several models, and "${used.id}" is used. To use another, put #model=NAME behind its URL: ${named}${more}.`,
  ];
}
