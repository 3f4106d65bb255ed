import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parsePromptId, type PromptId } from '../../protocol/ids.ts';
import type { NamedPrompt, SystemPrompt } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';

/** The prompt of new sessions that name none. It is empty until the user writes it. */
export const defaultPromptId = 'default' as PromptId;

const maxPromptLength = 65_536;

/** Also `default`, which always exists. */
export async function listPrompts(core: CoreContext): Promise<RouteOutput<'listPrompts'>> {
  const stored = await core.store.prompts.list();
  const items = stored.some(({ id }) => id === defaultPromptId) ? [...stored] : [emptyDefault, ...stored];
  return { items };
}

/** @throws CwmError InvalidParameter (bad id, a text that is too long or half a character). */
export async function putPrompt(core: CoreContext, input: RouteInput<'putPrompt'>): Promise<NamedPrompt> {
  const id = parsePromptId(input.prompt);
  requireWellFormed(input.text, 'The prompt');
  if (input.text.length > maxPromptLength) {
    throw new CwmError('InvalidParameter', `The prompt is longer than ${maxPromptLength} characters.`);
  }
  const prompt = { id, text: input.text, updatedAt: core.clock.now().toISOString() };
  await core.store.prompts.put(prompt);
  return prompt;
}

/** Sessions that have the prompt retain its text. @throws CwmError InvalidParameter (bad id), PromptNotFound. */
export async function deletePrompt(
  core: CoreContext,
  input: RouteInput<'deletePrompt'>,
): Promise<RouteOutput<'deletePrompt'>> {
  const id = parsePromptId(input.prompt);
  if (!(await core.store.prompts.get(id))) throw notFound(id);
  await core.store.prompts.delete(id);
  return {};
}

/** What a session stores of the prompt with this id. @throws CwmError InvalidParameter (bad id), PromptNotFound. */
export async function takePrompt(core: CoreContext, named: string): Promise<SystemPrompt> {
  const id = parsePromptId(named);
  const stored = await core.store.prompts.get(id);
  if (!stored && id !== defaultPromptId) throw notFound(id);
  return { id, text: stored?.text ?? '' };
}

const emptyDefault: NamedPrompt = { id: defaultPromptId, text: '', updatedAt: new Date(0).toISOString() };

const notFound = (id: PromptId): CwmError => new CwmError('PromptNotFound', `There is no system prompt "${id}".`);
